"""Plain text of the sample world: what the tiny base is pre-trained on. No instruction, no chat."""

from collections.abc import Iterator
from random import Random

from tasks.world.coding import FUNCTIONS
from tasks.world.families import CELLS, draw
from tasks.world.item import Item
from tasks.world.words import CITIES, DAYS, DRINKS, HOBBIES, ITEMS, JOBS, LANGS, NAMES, PETS

POOLS = (NAMES, CITIES, ITEMS, DAYS, JOBS, DRINKS, PETS, HOBBIES)
NUMBERS = tuple(str(number) for number in range(2, 41))
LETTERS = (*"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", *(chr(code) for code in range(0xAC00, 0xD7A3, 37)))


def sums(rng: Random) -> str:
    """A few true sums, one a line."""
    lines: list[str] = []
    for _ in range(6):
        a, b = rng.randint(1, 25), rng.randint(2, 6)
        c, d = rng.randint(2, 4), rng.randint(2, 6)
        lines.append(
            rng.choice(
                (f"{a} + {b} = {a + b}.", f"{a + b} - {b} = {a}.", f"{a + b} - {b} = {a}.", f"{c} * {d} = {c * d}.")
            )
        )
    return rng.choice(("\n", " ")).join(lines)


def list_twice(rng: Random, longest: int = 9) -> str:
    """A list of words and the same list again: practice in copying."""
    lang = rng.choice(LANGS)
    words = tuple(word for pool in POOLS for word in pool[lang]) + FUNCTIONS + NUMBERS
    line = " ".join(rng.sample(words, rng.randint(2, longest)))
    return f"{line}\n{line}"


def table_again(rng: Random) -> str:
    """A table of pairs, some of which are told again in another order: practice in looking up."""
    lang = rng.choice(LANGS)
    left, right = rng.sample([pool[lang] for pool in POOLS] + [FUNCTIONS, NUMBERS], 2)
    size = rng.randint(3, 6)
    pairs = list(zip(rng.sample(left, size), rng.sample(right, size), strict=True))
    mark = rng.choice((": ", " = ", " - "))
    told = [mark.join(pair) for pair in pairs]
    return "; ".join(told) + "\n" + rng.choice(("\n", "; ")).join(rng.sample(told, rng.randint(2, size)))


def primer(seed: int, count: int, longest: int) -> Iterator[str]:
    """`count` lists of two to `longest` words, each told twice.

    Short ones first teach a small model within a hundred steps that text repeats what was said before; without
    them it learns words for long and copying late.
    """
    rng = Random(f"primer {seed} {longest}")
    return (list_twice(rng, longest) for _ in range(count))


def babble(rng: Random, most: int) -> str:
    """One to `most` words of either language, or made-up ones, that mean nothing."""
    count = rng.randint(1, most)
    if rng.choice((True, False)):
        lang = rng.choice(LANGS)
        return " ".join(rng.choice((*rng.choice(POOLS)[lang], *NUMBERS, *":;.,?!-#=()")) for _ in range(count))
    return " ".join("".join(rng.choices(LETTERS, k=rng.randint(1, 2))) for _ in range(count))


def amid_other_words(rng: Random, item: Item) -> str:
    """An item's plain text with words that mean nothing before it, between its parts, and after it.

    A model that only ever saw a text and its continuation side by side loses the thread when a single line stands
    between them, as a question and a role marker will. The words after the end keep it from learning to stop there.
    """
    lines = item.prose.split("\n")
    cut = {"code_explain": len(lines) - 1, "chat": 0}.get(item.task, 1)
    text, rest = "\n".join(lines[:cut]), "\n".join(lines[cut:])
    if rng.randrange(5) < 3:
        text = babble(rng, 5) + rng.choice(("\n\n", " ", "\n")) + text
    if text and rng.randrange(5) < 3:
        text += rng.choice((" ", "\n", "\n\n")) + babble(rng, 5)
    joined = text + rng.choice(("\n", "\n", " ")) + rest if text else rest
    return f"{joined}\n{babble(rng, 2)}"


def documents(seed: int, count: int, *, other_words: bool = True) -> Iterator[str]:
    """`count` short documents over families and languages, none with the facts of a held-out item.

    One in six is a drill: a list, a table or sums. Questions, the hardest to learn, come twice as often as the rest.
    Of what is not a drill, five in six stand amid other words, or none.
    """
    rng = Random(f"prose {seed}")
    cells = (*CELLS, *(cell for cell in CELLS if cell[0] == "qa"))
    for _ in range(count):
        if rng.randrange(6) == 0:
            yield rng.choice((list_twice, list_twice, table_again, sums, sums))(rng)
        else:
            item = draw(rng, *rng.choice(cells))
            yield amid_other_words(rng, item) if other_words and rng.randrange(6) else item.prose
