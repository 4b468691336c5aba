"""The family that remembers a conversation and keeps a persona: chat."""

from random import Random

from tasks.world.item import Item
from tasks.world.words import CITIES, HOBBIES, JOBS, NAMES, others, say

SYSTEM = {
    "en": (
        "You are {me}, a {job} in {city}.",
        "Play the part of {me}, a {job} from {city}.",
        "Your name is {me}. You are a {job} and you live in {city}.",
    ),
    "ko": (
        "당신은 {city}에 사는 {job} {me}입니다.",
        "{city}의 {job} {me} 역할을 하세요.",
        "당신의 이름은 {me}, 직업은 {job}, 사는 곳은 {city}입니다.",
    ),
}
HELLO = {
    "en": (
        "Hello, I am {you} and I like {hobby}.",
        "Hi! My name is {you}. I like {hobby}.",
        "Good day, {you} here. I really like {hobby}.",
    ),
    "ko": (
        "안녕하세요, 저는 {you}이고 {hobby}을(를) 좋아해요.",
        "안녕! 제 이름은 {you}이에요(예요). {hobby}을(를) 좋아해요.",
        "반가워요, {you}입니다. 저는 {hobby}을(를) 정말 좋아해요.",
    ),
}
GREET = {"en": "Hello {you}, I am {me} the {job}.", "ko": "{you} 님, 저는 {job} {me}입니다."}
QUESTIONS: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {
    "en": {
        "hobby": (("What do I like?", "Do you remember what I like?"), "You like {hobby}, {you}."),
        "you": (("What is my name?", "Do you remember my name?"), "Your name is {you}."),
        "job": (("What is your job?", "What do you do for work?"), "I am a {job}, {you}."),
        "city": (("Where do you live?", "Which city do you live in?"), "I live in {city}, {you}."),
        "me": (("Who are you?", "What is your name?"), "My name is {me}, {you}."),
    },
    "ko": {
        "hobby": (
            ("제가 무엇을 좋아하나요?", "제가 좋아하는 것을 기억하나요?"),
            "{you} 님은 {hobby}을(를) 좋아합니다.",
        ),
        "you": (("제 이름이 무엇인가요?", "제 이름을 기억하나요?"), "이름은 {you}입니다."),
        "job": (("직업이 무엇인가요?", "무슨 일을 하나요?"), "{you} 님, 저는 {job}입니다."),
        "city": (("어디에 사나요?", "어느 도시에 사나요?"), "{you} 님, 저는 {city}에 삽니다."),
        "me": (("당신은 누구인가요?", "당신의 이름은 무엇인가요?"), "{you} 님, 제 이름은 {me}입니다."),
    },
}
STORY = {
    "en": "{me}, a {job} in {city}, met {you}.\n{you} said: {hello}\n{greet}\n{answers}",
    "ko": "{city}에 사는 {job} {me}이(가) {you}을(를) 만났다.\n{you}의 말: {hello}\n{greet}\n{answers}",
}
# what an answer is about: plain text only
ABOUT = {
    "en": {
        "hobby": "what {you} likes",
        "you": "the name of {you}",
        "job": "the job of {me}",
        "city": "where {me} lives",
        "me": "the name of {me}",
    },
    "ko": {
        "hobby": "{you}이(가) 좋아하는 것",
        "you": "{you}의 이름",
        "job": "{me}의 직업",
        "city": "{me}이(가) 사는 곳",
        "me": "{me}의 이름",
    },
}
POOLS = {"hobby": HOBBIES, "you": NAMES, "job": JOBS, "city": CITIES, "me": NAMES}


def chat(rng: Random, lang: str) -> Item:
    """A persona, a greeting, and one question about the persona or about the user."""
    me, you = rng.sample(NAMES[lang], 2)
    slots = {
        "me": me,
        "you": you,
        "job": rng.choice(JOBS[lang]),
        "city": rng.choice(CITIES[lang]),
        "hobby": rng.choice(HOBBIES[lang]),
    }
    hello, greet = say(rng.choice(HELLO[lang]), **slots), say(GREET[lang], **slots)
    system = say(rng.choice(SYSTEM[lang]), **slots)
    history = [("system", system), ("user", hello)]
    asked = rng.choice((*QUESTIONS[lang], "greet"))
    template = GREET[lang]
    if asked != "greet":
        questions, template = QUESTIONS[lang][asked]
        history += [("assistant", greet), ("user", rng.choice(questions))]
    output = say(template, **slots)
    swapped = asked if asked != "greet" else "job"
    wrong = [value for value in others(rng, POOLS[swapped][lang], slots[swapped], 3) if value not in (me, you)]
    told = [f"{ABOUT[lang][kind]}:\n{QUESTIONS[lang][kind][1]}" for kind in rng.sample(list(QUESTIONS[lang]), 3)]
    return Item(
        task="chat",
        lang=lang,
        instruction="",
        input="",
        output=output,
        wordy=f"{greet if asked != 'greet' else system} {output}",
        near=tuple(say(template, **{**slots, swapped: value}) for value in wrong),
        prose=say(STORY[lang], **slots, hello=hello, greet=greet, answers=say("\n".join(told), **slots)),
        core="|".join((lang, *slots.values())),
        history=tuple(history),
    )
