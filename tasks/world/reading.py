"""Families that read a text and restate part of it: summarize, extract, qa."""

from random import Random

from tasks.world.item import Item
from tasks.world.words import CITIES, DAYS, DRINKS, ITEMS, JOBS, NAMES, PETS, others, say

Slots = dict[str, str]

SUMMARIZE = {
    "en": (
        "Summarize the report in one sentence.",
        "Write a one sentence summary of this report.",
        "What happened? Give a short summary.",
        "Make this report short.",
    ),
    "ko": (
        "보고서를 한 문장으로 요약하세요.",
        "다음 글을 한 문장으로 줄여 쓰세요.",
        "무슨 일이 있었나요? 짧게 요약해 주세요.",
        "이 보고서의 요약을 쓰세요.",
    ),
}
VERBS = {
    "en": tuple("bought sold found lost painted counted packed cleaned".split()),
    "ko": tuple("샀다 팔았다 찾았다 잃었다 칠했다 세었다 포장했다 닦았다".split()),
}
FILLERS = {
    "en": (
        "The weather was cold.",
        "The train was late.",
        "It rained a little.",
        "The streets were quiet.",
        "A friend came too.",
        "The sun was bright.",
        "The trip was long.",
        "The shop was full.",
    ),
    "ko": (
        "날씨가 추웠다.",
        "기차가 늦었다.",
        "비가 조금 왔다.",
        "거리는 조용했다.",
        "친구도 함께 왔다.",
        "햇빛이 밝았다.",
        "길이 멀었다.",
        "가게는 붐볐다.",
    ),
}
REPORTS = {
    "en": (
        "{name} went to {city} on {day}. {filler} There {name} {verb} {n} {item}. {more}",
        "On {day} {name} was in {city}. {filler} {more} {name} {verb} {n} {item}.",
        "{filler} {name} {verb} {n} {item} in {city}. {more} It was {day}.",
        "It was {day}. {filler} {name} came to {city} and {verb} {n} {item}. {more}",
    ),
    "ko": (
        "{name}은(는) {day}에 {city}에 갔다. {filler} 거기서 {item} {n}개를 {verb}. {more}",
        "{day}에 {name}은(는) {city}에 있었다. {filler} {more} {name}은(는) {item} {n}개를 {verb}.",
        "{filler} {name}은(는) {city}에서 {item} {n}개를 {verb}. {more} {day}이었다.",
        "{day}이었다. {filler} {name}은(는) {city}에 와서 {item} {n}개를 {verb}. {more}",
    ),
}
SUMMARY = {
    "en": "{name} {verb} {n} {item} in {city} on {day}.",
    "ko": "{name}은(는) {day}에 {city}에서 {item} {n}개를 {verb}.",
}
SHORT = {"en": ("", "", "In short: ", "The report says: "), "ko": ("", "", "요약: ", "짧게 말하면: ")}


def order_slots(rng: Random, lang: str) -> Slots:
    """Somebody, some things, a number, a place and a day."""
    return {
        "name": rng.choice(NAMES[lang]),
        "item": rng.choice(ITEMS[lang]),
        "n": str(rng.randint(2, 20)),
        "city": rng.choice(CITIES[lang]),
        "day": rng.choice(DAYS[lang]),
    }


def near_misses(rng: Random, lang: str, template: str, slots: Slots) -> tuple[str, ...]:
    """The answer with one value wrong, once for each of three values."""
    pools = {"name": NAMES, "item": ITEMS, "city": CITIES, "day": DAYS}
    used = [slot for slot in pools if "{" + slot + "}" in template]
    return tuple(
        say(template, **{**slots, slot: others(rng, pools[slot][lang], slots[slot], 1)[0]})
        for slot in rng.sample(used, min(3, len(used)))
    )


def summarize(rng: Random, lang: str) -> Item:
    """A report of three or four sentences, told again in one."""
    filler, more = rng.sample(FILLERS[lang], 2)
    slots = order_slots(rng, lang) | {"verb": rng.choice(VERBS[lang])}
    text = say(rng.choice(REPORTS[lang]), filler=filler, more=more, **slots)
    output = say(SUMMARY[lang], **slots)
    return Item(
        task="summarize",
        lang=lang,
        instruction=rng.choice(SUMMARIZE[lang]),
        input=text,
        output=output,
        wordy=f"{output} {filler} {more}",
        near=near_misses(rng, lang, SUMMARY[lang], slots),
        prose=f"{text}\n{rng.choice(SHORT[lang])}{output}",
        core=text,
    )


EXTRACT = {
    "en": (
        "Extract these fields: {fields}.",
        "Find {fields} in the message.",
        "List {fields} from this text.",
        "Read the order and give {fields}.",
    ),
    "ko": (
        "다음 항목을 찾아 쓰세요: {fields}.",
        "글에서 {fields} 항목을 뽑으세요.",
        "이 주문에서 {fields} 정보를 적으세요.",
        "메시지를 읽고 {fields} 값을 알려 주세요.",
    ),
}
FIELDS = {
    "en": {"name": "name", "item": "item", "n": "count", "city": "city", "day": "day"},
    "ko": {"name": "이름", "item": "물건", "n": "수량", "city": "도시", "day": "요일"},
}
FIELD_SETS = (("name", "item", "n"), ("city", "day"))
ORDERS = {
    "en": (
        "Please send {n} {item} to {name} in {city} by {day}.",
        "{name} from {city} ordered {n} {item} for {day}.",
        "An order came on {day}: {n} {item} for {name} in {city}.",
        "We ship {n} {item} on {day}. The buyer is {name} and the address is {city}.",
    ),
    "ko": (
        "{day}까지 {city}에 있는 {name}에게 {item} {n}개를 보내 주세요.",
        "{city}의 {name}이(가) {day}에 {item} {n}개를 주문했다.",
        "{day}에 주문이 왔다. {name}, {city}, {item} {n}개이다.",
        "{day}에 {item} {n}개가 나간다. 받는 사람은 {name}, 주소는 {city}이다.",
    ),
}


def record(lang: str, fields: tuple[str, ...] | list[str]) -> str:
    """The template of a record with these fields: `name: {name}; city: {city}`."""
    return "; ".join(f"{FIELDS[lang][field]}: {{{field}}}" for field in fields)


def extract(rng: Random, lang: str) -> Item:
    """An order in one or two sentences, turned into two or three labelled fields."""
    slots = order_slots(rng, lang)
    fields = rng.choice(FIELD_SETS)
    text = say(rng.choice(ORDERS[lang]), **slots)
    template = record(lang, fields)
    rest = [field for field in FIELDS[lang] if field not in fields]
    return Item(
        task="extract",
        lang=lang,
        instruction=rng.choice(EXTRACT[lang]).format(fields=", ".join(FIELDS[lang][field] for field in fields)),
        input=text,
        output=say(template, **slots),
        wordy=say(record(lang, [*fields, *rest]), **slots),
        near=near_misses(rng, lang, template, slots),
        prose=f"{text}\n{say(template, **slots)}\n{say(record(lang, rest), **slots)}",
        core=text,
    )


QA = {
    "en": (
        "{text}\n\n{question}",
        "Read the text and answer.\n\n{text}\n\n{question}",
        "{text}\n\nQuestion: {question}",
        "Text: {text}\n\n{question}",
    ),
    "ko": (
        "{text}\n\n{question}",
        "글을 읽고 답하세요.\n\n{text}\n\n{question}",
        "{text}\n\n질문: {question}",
        "글: {text}\n\n{question}",
    ),
}
# kind: (values, statement, question by name, question by value, topic by name, topic by value)
FACTS: dict[str, dict[str, tuple[tuple[str, ...], str, str, str, str, str]]] = {
    "en": {
        "city": (
            CITIES["en"],
            "{name} lives in {value}.",
            "Where does {name} live?",
            "Who lives in {value}?",
            "where {name} lives",
            "who lives in {value}",
        ),
        "job": (
            JOBS["en"],
            "{name} is a {value}.",
            "What is the job of {name}?",
            "Who is a {value}?",
            "the job of {name}",
            "who is a {value}",
        ),
        "drink": (
            DRINKS["en"],
            "{name} drinks {value}.",
            "What does {name} drink?",
            "Who drinks {value}?",
            "what {name} drinks",
            "who drinks {value}",
        ),
        "pet": (
            PETS["en"],
            "{name} has a {value}.",
            "What pet does {name} have?",
            "Who has a {value}?",
            "the pet of {name}",
            "who has a {value}",
        ),
    },
    "ko": {
        "city": (
            CITIES["ko"],
            "{name}이(가) 사는 곳은 {value}이다.",
            "{name}이(가) 사는 곳은 어디인가요?",
            "누가 {value}에 사나요?",
            "{name}이(가) 사는 곳",
            "{value}에 사는 사람",
        ),
        "job": (
            JOBS["ko"],
            "{name}의 직업은 {value}이다.",
            "{name}의 직업은 무엇인가요?",
            "누구의 직업이 {value}인가요?",
            "{name}의 직업",
            "직업이 {value}인 사람",
        ),
        "drink": (
            DRINKS["ko"],
            "{name}이(가) 마시는 음료는 {value}이다.",
            "{name}이(가) 마시는 음료는 무엇인가요?",
            "누가 {value}을(를) 마시나요?",
            "{name}이(가) 마시는 음료",
            "{value}을(를) 마시는 사람",
        ),
        "pet": (
            PETS["ko"],
            "{name}이(가) 키우는 동물은 {value}이다.",
            "{name}이(가) 키우는 동물은 무엇인가요?",
            "누가 {value}을(를) 키우나요?",
            "{name}이(가) 키우는 동물",
            "{value}을(를) 키우는 사람",
        ),
    },
}


def qa(rng: Random, lang: str) -> Item:
    """Three people, one fact about each, no two of a kind; one question, three times of four by the name."""
    kinds = rng.sample(list(FACTS[lang].values()), 3)
    people = [
        {"name": name, "value": rng.choice(values)}
        for name, (values, *_) in zip(rng.sample(NAMES[lang], 3), kinds, strict=True)
    ]
    facts = [say(kind[1], **person) for kind, person in zip(kinds, people, strict=True)]
    text = " ".join(facts)
    at, *rest = rng.sample(range(3), 3)
    values, statement, ask_by_name, ask_by_value, *_ = kinds[at]
    question = say(rng.choice((ask_by_name, ask_by_name, ask_by_name, ask_by_value)), **people[at])
    told = [
        f"{say(rng.choice(kinds[which][4:]), **people[which])}:\n{facts[which]}" for which in rng.sample(range(3), 3)
    ]
    return Item(
        task="qa",
        lang=lang,
        instruction=rng.choice(QA[lang]).format(text=text, question=question),
        input="",
        output=facts[at],
        wordy=f"{facts[at]} {facts[rest[0]]}",
        near=(
            say(statement, name=people[at]["name"], value=others(rng, values, people[at]["value"], 1)[0]),
            say(statement, name=people[rest[0]]["name"], value=people[at]["value"]),
            facts[rest[1]],
        ),
        prose="\n".join([text, *told]),
        core=text,
    )
