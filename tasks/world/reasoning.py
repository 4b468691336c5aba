"""The family that writes its steps before its answer: reason."""

from random import Random

from tasks.world.item import Item
from tasks.world.words import ITEMS, NAMES, say

REASON = {
    "en": (
        "{story} {question}",
        "Solve step by step. {story} {question}",
        "{story} {question} Show the steps.",
        "Work it out: {story} {question}",
    ),
    "ko": (
        "{story} {question}",
        "차례로 푸세요. {story} {question}",
        "{story} {question} 풀이를 쓰세요.",
        "계산해 보세요: {story} {question}",
    ),
}
QUESTION = {"en": "How many {item} does {name} have now?", "ko": "{name}의 {item}은(는) 모두 몇 개인가요?"}
ASKED = {"en": "Now we count the {item} of {name}.", "ko": "이제 {name}의 {item}을(를) 센다."}  # in plain text
START = {
    "plain": {"en": "{name} has {a} {item}.", "ko": "{name}에게 {item} {a}개가 있다."},
    "times": {"en": "{name} has {a} bags of {b} {item}.", "ko": "{name}에게 {item} {b}개씩 든 봉지가 {a}개 있다."},
}
PLUS = {
    "en": ("{name} buys {c} more.", "{friend} gives {name} {c} more.", "{name} finds {c} more."),
    "ko": (
        "{name}이(가) {c}개를 더 산다.",
        "{friend}이(가) {name}에게 {c}개를 더 준다.",
        "{name}이(가) {c}개를 더 찾는다.",
    ),
}
MINUS = {
    "en": ("{name} sells {c}.", "{name} gives {c} to {friend}.", "{name} loses {c}."),
    "ko": ("{name}이(가) {c}개를 판다.", "{name}이(가) {friend}에게 {c}개를 준다.", "{name}이(가) {c}개를 잃는다."),
}
ANSWER = {"en": "The answer is {n}.", "ko": "답은 {n}이다."}
WORDY = {"en": "First we read the question again with care. ", "ko": "먼저 문제를 다시 자세히 읽어 본다. "}
SIGNS = {"+": PLUS, "-": MINUS}


def _steps(rng: Random) -> tuple[str, int, int, list[tuple[str, int, int, int]]]:
    """The start (kind, a, b) and two sums (sign, left, right, result), all between 1 and 30."""
    kind = rng.choice(("plain", "plain", "times"))
    sums: list[tuple[str, int, int, int]] = []
    if kind == "times":
        a, b = rng.randint(2, 4), rng.randint(2, 6)
        total = a * b
        sums.append(("*", a, b, total))
        signs = [rng.choice("+-")]
    else:
        a = b = total = rng.randint(5, 15)
        signs = [rng.choice("+-"), rng.choice("+-")]
    for wanted in signs:
        sign = "+" if total < 4 else wanted
        c = rng.randint(2, min(6, total - 1) if sign == "-" else 6)
        result = total + c if sign == "+" else total - c
        sums.append((sign, total, c, result))
        total = result
    return kind, a, b, sums


def _worked(lang: str, sums: list[tuple[str, int, int, int]]) -> str:
    """The sums in order, then the answer."""
    lines = [f"{left} {sign} {right} = {result}." for sign, left, right, result in sums]
    return " ".join([*lines, ANSWER[lang].format(n=sums[-1][3])])


def reason(rng: Random, lang: str) -> Item:
    """A story with two sums; the answer writes both out."""
    kind, a, b, sums = _steps(rng)
    name, friend = rng.sample(NAMES[lang], 2)
    slots = {"name": name, "friend": friend, "item": rng.choice(ITEMS[lang]), "a": a, "b": b}
    told = [say(START[kind][lang], **slots)]
    for sign, _, c, _ in sums[1 if kind == "times" else 0 :]:
        told.append(say(rng.choice(SIGNS[sign][lang]), **slots, c=c))
    story, question = " ".join(told), say(QUESTION[lang], **slots)
    output = _worked(lang, sums)
    sign, left, right, result = sums[-1]
    near = [_worked(lang, [*sums[:-1], (sign, left, right, result + off)]) for off in rng.sample((-2, -1, 1, 2, 10), 3)]
    return Item(
        task="reason",
        lang=lang,
        instruction=rng.choice(REASON[lang]).format(story=story, question=question),
        input="",
        output=output,
        wordy=WORDY[lang] + output,
        near=(*near, ANSWER[lang].format(n=result)),
        prose=f"{story} {say(ASKED[lang], **slots)}\n{output}",
        core=story,
    )
