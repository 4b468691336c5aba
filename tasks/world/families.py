"""The eight families, and the draw of items on one side of the evaluation wall."""

from collections.abc import Callable
from random import Random

from tasks.world.coding import code_explain, code_write
from tasks.world.item import Item
from tasks.world.labelling import classify
from tasks.world.reading import extract, qa, summarize
from tasks.world.reasoning import reason
from tasks.world.talking import chat
from tasks.world.words import LANGS

FAMILIES: dict[str, Callable[[Random, str], Item]] = {
    "summarize": summarize,
    "extract": extract,
    "qa": qa,
    "classify": classify,
    "chat": chat,
    "code_write": code_write,
    "code_explain": code_explain,
    "reason": reason,
}
CELLS = tuple((task, lang) for task in FAMILIES for lang in LANGS)


def draw(rng: Random, task: str, lang: str, *, held_out: bool = False) -> Item:
    """One item of a family, from the training side or from the held-out side."""
    while True:
        item = FAMILIES[task](rng, lang)
        if item.held_out == held_out:
            return item


def draw_new(rng: Random, count: int, seen: set[str], *, held_out: bool = False) -> list[Item]:
    """`count` items spread evenly over families and languages, no prompt of `seen`, which grows."""
    items: list[Item] = []
    while len(items) < count:
        task, lang = CELLS[len(items) % len(CELLS)]
        item = draw(rng, task, lang, held_out=held_out)
        if item.prompt_key not in seen:
            seen.add(item.prompt_key)
            items.append(item)
    return items
