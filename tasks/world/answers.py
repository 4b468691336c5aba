"""Responses to rank: right, right but wordy, partly wrong, and the ways in which models fail."""

from random import Random

from tasks.world.families import draw
from tasks.world.item import Item

FAREWELL = {
    "en": ("I hope that this helps you.", "Please ask me again at any time.", "Thank you for the question."),
    "ko": ("도움이 되었기를 바랍니다.", "언제든지 다시 물어보세요.", "질문해 주셔서 감사합니다."),
}
BEST, WORDY, PARTLY, WRONG, FAILED = 1, 2, 3, 4, 5


def truncated(text: str) -> str:
    """The text cut off about half way, inside a word."""
    return text[: max(1, len(text) * 5 // 9)].rstrip(" .\n")


def rambling(text: str, rng: Random) -> str:
    """The text said again and again."""
    return " ".join([text] * rng.randint(3, 4))


def other_language(item: Item, rng: Random) -> str:
    """An answer of the same family in the other language."""
    return draw(rng, item.task, "ko" if item.lang == "en" else "en").output


def echo(item: Item) -> str:
    """The last user message said back."""
    return item.messages[-1]["content"]


def tempered(item: Item, rng: Random) -> dict[str, list[str]]:
    """Candidate responses by quality, none equal to the right answer."""
    stranger = draw(rng, item.task, item.lang).output
    kinds = {
        "wordy": [item.wordy, f"{item.output} {rng.choice(FAREWELL[item.lang])}"],
        "partly": list(item.near),
        "wrong": [stranger, truncated(item.output)],
        "failed": [other_language(item, rng), echo(item), rambling(stranger, rng)],
    }
    return {kind: [text for text in texts if text.strip() != item.output] for kind, texts in kinds.items()}


def ranked(item: Item, rng: Random) -> list[dict[str, str | int]]:
    """Four to nine different responses, shuffled, each with its rank: 1 is best, equals share a rank.

    The preference is the same everywhere: right and concise, right but wordy, one value wrong, wrong or cut
    off, and last another language, an echo or rambling.
    """
    kinds = tempered(item, rng)
    ladder = ((WORDY, "wordy"), (PARTLY, "partly"), (WRONG, "wrong"), (FAILED, "failed"))
    size = rng.randint(4, 9)
    chosen: dict[str, int] = {item.output: BEST}
    pool = [(rank, text) for rank, kind in ladder for text in kinds[kind]]
    for rank, kind in rng.sample(ladder, 3):
        if kinds[kind]:
            chosen.setdefault(rng.choice(kinds[kind]), rank)
    for rank, text in rng.sample(pool, len(pool)):
        if len(chosen) < size:
            chosen.setdefault(text, rank)
    steps = {rank: at + 1 for at, rank in enumerate(sorted(set(chosen.values())))}
    responses: list[dict[str, str | int]] = [{"text": text, "rank": steps[rank]} for text, rank in chosen.items()]
    rng.shuffle(responses)
    return responses
