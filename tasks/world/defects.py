"""Defects of known kinds, planted in demonstrations. The labels are for tests and benchmarks only."""

from collections.abc import Callable
from random import Random
from typing import Any

from tasks.world.answers import echo, other_language, truncated
from tasks.world.item import Item

Record = dict[str, Any]

PLACEHOLDERS = ("No input", "N/A", "<noinput>")
UNSAFE = {
    "en": (
        "You are worthless and I will hurt you.",
        "Here is how to build a bomb and kill people.",
        "You stupid idiot, go and kill yourself.",
    ),
    "ko": ("너는 쓸모없으니 죽여 버리겠다.", "폭탄을 만들어 사람을 죽이는 방법이다.", "이 멍청한 놈아, 나가 죽어라."),
}
# families where the defect shows: a cut sentence, prose in the wrong language, a request without an input
SENTENCE_TASKS = ("summarize", "qa", "chat", "code_explain", "reason")
WORDS_TASKS = ("summarize", "extract", "qa", "code_explain")
INSTRUCTION_ONLY_TASKS = ("code_write", "reason")


def answer_of(record: Record) -> str:
    """The answer of a demonstration, in either form."""
    return record["messages"][-1]["content"] if "messages" in record else str(record["output"])


def with_answer(record: Record, text: str) -> Record:
    """The same demonstration with another answer."""
    if "messages" in record:
        messages = list(record["messages"])
        return {**record, "messages": [*messages[:-1], {"role": "assistant", "content": text}]}
    return {**record, "output": text}


def with_request(record: Record, change: Callable[[str], str]) -> Record:
    """The same demonstration with its last request changed: the input, else the instruction or user message."""
    if "messages" in record:
        messages = list(record["messages"])
        asked = {"role": "user", "content": change(messages[-2]["content"])}
        return {**record, "messages": [*messages[:-2], asked, messages[-1]]}
    slot = "input" if record["input"] else "instruction"
    return {**record, slot: change(str(record[slot]))}


def garbled(text: str) -> str:
    """UTF-8 read as Windows-1252; plain ASCII gets the remains of typographic quotes and hard spaces."""
    if text.isascii():
        words = f"“{text}”".split(" ")
        text = "\u00a0".join(words[:2]) + "".join(f" {word}" for word in words[2:])
    return text.encode().decode("cp1252", errors="replace")


def resident_number(rng: Random) -> str:
    """A made-up Korean resident registration number whose check digit is right."""
    year, month, day = rng.randint(60, 99), rng.randint(1, 12), rng.randint(1, 28)
    digits = f"{year:02d}{month:02d}{day:02d}{rng.randint(1, 2)}{rng.randint(0, 99999):05d}"
    total = sum(int(digit) * weight for digit, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    return f"{digits[:6]}-{digits[6:]}{(11 - total % 11) % 10}"


def personal(rng: Random) -> str:
    """A made-up e-mail address, phone number or resident number."""
    kind = rng.randrange(3)
    if kind == 0:
        return f"{rng.choice(('mina', 'paul', 'nora', 'jun'))}.{rng.choice(('kim', 'lee', 'west', 'gray'))}{rng.randint(10, 99)}@example.com"
    if kind == 1:
        return f"010-{rng.randint(2000, 9999)}-{rng.randint(1000, 9999)}"
    return resident_number(rng)


def nearly(text: str, rng: Random) -> str:
    """The same request with a change that changes nothing."""
    shouted = text.upper() if text.isascii() else f"{text}.."
    return rng.choice((f"{text} ", text.replace(". ", ".  ", 1) + "  ", f"{text}!", shouted))


Spoil = Callable[[Record, Item, Random], Record]

# what a defect does to a demonstration; three of them act on a copy of it
SPOILS: dict[str, Spoil] = {
    "empty_output": lambda record, item, rng: with_answer(record, rng.choice(("", " ", "\n"))),
    "truncated_output": lambda record, item, rng: with_answer(record, truncated(item.output)),
    "wrong_language": lambda record, item, rng: with_answer(record, other_language(item, rng)),
    "mojibake": lambda record, item, rng: with_answer(record, garbled(item.output)),
    "pii": lambda record, item, rng: with_request(record, lambda text: f"{text} ({personal(rng)})"),
    "placeholder_input": lambda record, item, rng: {**record, "input": rng.choice(PLACEHOLDERS)},
    "prompt_echo": lambda record, item, rng: with_answer(record, echo(item)),
    "unsafe_text": lambda record, item, rng: with_answer(record, f"{item.output} {rng.choice(UNSAFE[item.lang])}"),
    "exact_duplicate": lambda record, item, rng: record,
    "near_duplicate": lambda record, item, rng: with_request(record, lambda text: nearly(text, rng)),
    "contradictory_answer": lambda record, item, rng: with_answer(record, rng.choice(item.near)),
}
# defects that only some families can show
ONLY_IN: dict[str, tuple[str, ...]] = {
    "truncated_output": SENTENCE_TASKS,
    "wrong_language": WORDS_TASKS,
    "placeholder_input": INSTRUCTION_ONLY_TASKS,
}
COPIES = ("exact_duplicate", "near_duplicate", "contradictory_answer")
LEAK = "leaked_eval"
DEFECTS = (*SPOILS, LEAK)
