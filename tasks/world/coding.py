"""Families about code: code_write and code_explain, the two directions of one relation."""

from random import Random

from tasks.world.item import Item
from tasks.world.words import say

FUNCTIONS = tuple(
    "grow score total price level speed width depth shift scale limit value bonus tax rate step weight gain cost area".split()
)
VARIABLES = tuple("x y n a b k m t".split())
# operation: (code, English, Korean linking form, Korean closing form, Korean form before a noun)
OPERATIONS: dict[str, tuple[str, str, str, str, str]] = {
    "add": (
        "{x} + {n}",
        "adds {n} to {x}",
        "{x}에 {n}을(를) 더하고",
        "{x}에 {n}을(를) 더한다",
        "{x}에 {n}을(를) 더하는",
    ),
    "subtract": (
        "{x} - {n}",
        "subtracts {n} from {x}",
        "{x}에서 {n}을(를) 빼고",
        "{x}에서 {n}을(를) 뺀다",
        "{x}에서 {n}을(를) 빼는",
    ),
    "multiply": (
        "{x} * {n}",
        "multiplies {x} by {n}",
        "{x}에 {n}을(를) 곱하고",
        "{x}에 {n}을(를) 곱한다",
        "{x}에 {n}을(를) 곱하는",
    ),
    "divide": (
        "{x} / {n}",
        "divides {x} by {n}",
        "{x} 값을 {n}으로(로) 나누고",
        "{x} 값을 {n}으로(로) 나눈다",
        "{x} 값을 {n}으로(로) 나누는",
    ),
    "larger": (
        "max({x}, {n})",
        "takes the larger of {x} and {n}",
        "{x}, {n} 중 큰 값을 고르고",
        "{x}, {n} 중 큰 값을 고른다",
        "{x}, {n} 중 큰 값을 고르는",
    ),
    "smaller": (
        "min({x}, {n})",
        "takes the smaller of {x} and {n}",
        "{x}, {n} 중 작은 값을 고르고",
        "{x}, {n} 중 작은 값을 고른다",
        "{x}, {n} 중 작은 값을 고르는",
    ),
}
WRITE = {
    "en": (
        "Write a Python function {name} that {what}.",
        "Give Python code: function {name} {what}.",
        "Define {name} in Python. It {what}.",
        "Please code a function called {name} that {what}.",
    ),
    "ko": (
        "{what} 파이썬 함수 {name}, 코드를 작성하세요.",
        "함수 {name} 코드를 쓰세요: {what} 함수.",
        "파이썬으로 {name} 함수를 만드세요. {what} 함수입니다.",
        "이름이 {name}, {what} 함수를 정의하세요.",
    ),
}
EXPLAIN = {
    "en": (
        "Explain this code in one sentence.",
        "What does this function do?",
        "Describe the code.",
        "Say what this Python function does.",
    ),
    "ko": (
        "이 코드를 한 문장으로 설명하세요.",
        "이 함수는 무엇을 하나요?",
        "코드를 설명해 주세요.",
        "이 파이썬 함수가 하는 일을 쓰세요.",
    ),
}
EXPLANATION = {"en": "The function {name} {what}.", "ko": "{name} 함수는 {what}."}
THEN = {"en": " and then ", "ko": " "}


def python(name: str, x: str, steps: list[tuple[str, int]]) -> str:
    """The function as code: one line a step, the last one returned."""
    lines = [f"def {name}({x}):"]
    for at, (operation, n) in enumerate(steps):
        code = OPERATIONS[operation][0].format(x=x, n=n)
        lines.append(f"    return {code}" if at == len(steps) - 1 else f"    {x} = {code}")
    return "\n".join(lines)


def words(lang: str, x: str, steps: list[tuple[str, int]], closing: int) -> str:
    """The steps in words; `closing` picks the Korean form of the last one (3 ends a sentence, 4 leads a noun)."""
    parts = []
    for at, (operation, n) in enumerate(steps):
        form = 1 if lang == "en" else (closing if at == len(steps) - 1 else 2)
        parts.append(say(OPERATIONS[operation][form], x=x, n=n))
    return THEN[lang].join(parts)


def _program(rng: Random) -> tuple[str, str, list[tuple[str, int]]]:
    """A random function: its name, its argument, one or two steps."""
    operations = rng.sample(list(OPERATIONS), rng.choice((1, 2, 2)))
    return rng.choice(FUNCTIONS), rng.choice(VARIABLES), [(operation, rng.randint(2, 30)) for operation in operations]


def _wrong(rng: Random, steps: list[tuple[str, int]]) -> list[list[tuple[str, int]]]:
    """The same steps with one number or one operation wrong."""
    at = rng.randrange(len(steps))
    operation, n = steps[at]
    other = rng.choice([one for one in OPERATIONS if one not in [step[0] for step in steps]])
    changed = [(operation, n + rng.randint(1, 5)), (other, n), (operation, n + rng.randint(6, 9))]
    return [[*steps[:at], step, *steps[at + 1 :]] for step in changed]


def code_write(rng: Random, lang: str) -> Item:
    """A described function, written in Python."""
    name, x, steps = _program(rng)
    output = python(name, x, steps)
    what = words(lang, x, steps, closing=4)
    comment = say(EXPLANATION[lang], name=name, what=words(lang, x, steps, closing=3))
    return Item(
        task="code_write",
        lang=lang,
        instruction=rng.choice(WRITE[lang]).format(name=name, what=what),
        input="",
        output=output,
        wordy=f"# {comment}\n# {what}\n{output}",
        near=tuple(python(name, x, wrong) for wrong in _wrong(rng, steps)),
        prose=f"{rng.choice((comment, f'{name}: {what}'))}\n{output}",
        core=output,
    )


def code_explain(rng: Random, lang: str) -> Item:
    """A Python function, explained in one sentence."""
    name, x, steps = _program(rng)
    code = python(name, x, steps)
    output = say(EXPLANATION[lang], name=name, what=words(lang, x, steps, closing=3))
    near = [say(EXPLANATION[lang], name=name, what=words(lang, x, wrong, closing=3)) for wrong in _wrong(rng, steps)]
    return Item(
        task="code_explain",
        lang=lang,
        instruction=rng.choice(EXPLAIN[lang]),
        input=code,
        output=output,
        wordy=f"{output}\n{code}",
        near=tuple(near),
        prose=f"{code}\n{output}",
        core=code,
    )
