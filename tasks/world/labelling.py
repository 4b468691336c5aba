"""The family that names what a text is: classify."""

from random import Random

from tasks.world.item import Item
from tasks.world.reading import order_slots
from tasks.world.words import others, say

FEELING = {
    "en": (
        "Is this review positive, negative or mixed?",
        "Classify the review: positive, negative or mixed.",
        "Give the feeling of this review in one word.",
        "Label the review.",
    ),
    "ko": (
        "이 후기는 긍정, 부정, 혼합 중 무엇인가요?",
        "후기를 분류하세요: 긍정, 부정, 혼합.",
        "이 후기의 느낌을 한 단어로 쓰세요.",
        "후기에 이름표를 붙이세요.",
    ),
}
TOPIC = {
    "en": (
        "What is the topic: sport, food, music or travel?",
        "Classify the text: sport, food, music or travel.",
        "Give the topic of this text in one word.",
        "Label the topic.",
    ),
    "ko": (
        "주제는 운동, 음식, 노래, 여행 중 무엇인가요?",
        "글을 분류하세요: 운동, 음식, 노래, 여행.",
        "이 글의 주제를 한 단어로 쓰세요.",
        "글에 주제를 붙이세요.",
    ),
}
# adjectives: English (word, word), Korean (linking form, closing form)
GOOD = {
    "en": [(word, word) for word in "lovely great strong cheap clean pretty useful perfect".split()],
    "ko": [
        ("예쁘고", "예뻤다"),
        ("튼튼하고", "튼튼했다"),
        ("싸고", "쌌다"),
        ("깨끗하고", "깨끗했다"),
        ("편하고", "편했다"),
        ("훌륭하고", "훌륭했다"),
    ],
}
BAD = {
    "en": [(word, word) for word in "ugly weak broken dirty useless terrible expensive old".split()],
    "ko": [
        ("못생겼고", "못생겼다"),
        ("약하고", "약했다"),
        ("비싸고", "비쌌다"),
        ("더럽고", "더러웠다"),
        ("불편하고", "불편했다"),
        ("끔찍하고", "끔찍했다"),
    ],
}
REVIEWS = {
    "en": ("The {item} from {city} were {a} and {b}.", "{name} said the {item} were {a} and {b}."),
    "ko": ("{city}에서 온 {item}은(는) {a} {b}.", "{name}이(가) 산 {item}은(는) {a} {b}."),
}
FEELINGS = {"en": ("positive", "negative", "mixed"), "ko": ("긍정", "부정", "혼합")}
ACTS = {
    "en": {
        "sport": ("played football", "won the race", "swam ten laps", "lost the tennis match"),
        "food": ("cooked soup", "baked bread", "tasted cheese", "ate warm rice"),
        "music": ("played the piano", "sang a song", "joined the choir", "heard a violin"),
        "travel": ("took the train", "booked a hotel", "packed a suitcase", "caught a flight"),
    },
    "ko": {
        "운동": ("축구를 했다", "경주에서 이겼다", "수영을 했다", "농구를 했다"),
        "음식": ("국을 끓였다", "빵을 구웠다", "치즈를 먹었다", "밥을 지었다"),
        "노래": ("피아노를 쳤다", "합창을 했다", "가사를 외웠다", "바이올린을 들었다"),
        "여행": ("기차를 탔다", "호텔을 잡았다", "짐을 쌌다", "비행기를 탔다"),
    },
}
ACTED = {
    "en": ("On {day} {name} {act} in {city}.", "{name} {act} in {city} on {day}."),
    "ko": ("{day}에 {name}은(는) {city}에서 {act}.", "{name}은(는) {city}에서 {day}에 {act}."),
}
LABELLED = {"en": ("This is {label}.", "{label}"), "ko": ("이것은 {label}이다.", "{label}")}


def classify(rng: Random, lang: str) -> Item:
    """A review's feeling or a sentence's topic, in one word."""
    slots = order_slots(rng, lang)
    if rng.choice((True, False)):
        label = rng.choice(FEELINGS[lang])
        at = FEELINGS[lang].index(label)
        if at < 2:
            one, two = rng.sample((GOOD, BAD)[at][lang], 2)
        else:
            one, two = rng.sample((rng.choice(GOOD[lang]), rng.choice(BAD[lang])), 2)
        text = say(rng.choice(REVIEWS[lang]), a=one[0], b=two[1], **slots)
        instruction, labels = rng.choice(FEELING[lang]), FEELINGS[lang]
    else:
        labels = tuple(ACTS[lang])
        label = rng.choice(labels)
        text = say(rng.choice(ACTED[lang]), act=rng.choice(ACTS[lang][label]), **slots)
        instruction = rng.choice(TOPIC[lang])
    return Item(
        task="classify",
        lang=lang,
        instruction=instruction,
        input=text,
        output=label,
        wordy=f"{text} {say(LABELLED[lang][0], label=label)}",
        near=tuple(others(rng, labels, label, 2)),
        prose=f"{text}\n{say(rng.choice(LABELLED[lang]), label=label)}",
        core=text,
    )
