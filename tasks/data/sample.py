"""The verb `sample`: write the sample datasets, with planted defects and their hidden labels."""

import json
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from random import Random

from tasks.recipe import Sample, load_params
from tasks.world.answers import ranked
from tasks.world.defects import COPIES, DEFECTS, LEAK, ONLY_IN, SPOILS, Record
from tasks.world.families import FAMILIES, draw_new
from tasks.world.item import Item

OUT = Path("data/raw/sample")
PARAMS = Path("params.yaml")


def demonstration(item: Item) -> Record:
    """An item in Alpaca form, or as messages where it is a conversation."""
    if item.history:
        messages = [*item.messages, {"role": "assistant", "content": item.output}]
        return {"messages": messages, "task": item.task, "lang": item.lang}
    return {
        "instruction": item.instruction,
        "input": item.input,
        "output": item.output,
        "task": item.task,
        "lang": item.lang,
    }


def demonstrations(rng: Random, params: Sample, seen: set[str], held_out: list[Item]) -> list[tuple[Record, str]]:
    """Demonstrations in their final order, each with its defect or an empty string.

    A copy (duplicate, near duplicate, contradiction) always comes after its original.
    """
    spoilt = round(params.defect_rate * params.demonstrations)
    plan = [DEFECTS[at % len(DEFECTS)] for at in range(spoilt)]
    added = [defect for defect in plan if defect in (*COPIES, LEAK)]
    items = draw_new(rng, params.demonstrations - len(added), seen)
    rng.shuffle(items)
    rows = [(demonstration(item), "") for item in items]
    free = list(range(len(items)))
    leaks = cycle(rng.sample(held_out, len(held_out)))
    copies: list[tuple[int, Record, str]] = []
    for defect in plan:
        if defect == LEAK:
            copies.append((rng.randint(0, len(rows)), demonstration(next(leaks)), defect))
            continue
        tasks = ONLY_IN.get(defect, tuple(FAMILIES))
        at = rng.choice([at for at in free if items[at].task in tasks])
        free.remove(at)
        record = SPOILS[defect](rows[at][0], items[at], rng)
        if defect in COPIES:
            copies.append((rng.randint(at + 1, len(rows)), record, defect))
        else:
            rows[at] = (record, defect)
    for place, record, defect in sorted(copies, key=lambda copy: -copy[0]):
        rows.insert(place, (record, defect))
    return rows


def numbered(prefix: str, records: Iterable[Record]) -> list[Record]:
    """Records with ids in their order; an id tells nothing about its record."""
    return [{"id": f"{prefix}-{at:05d}", **record} for at, record in enumerate(records)]


def write(path: Path, records: list[Record]) -> None:
    """One JSON object a line, UTF-8, the same bytes on every machine."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def prompt_of(item: Item) -> Record:
    """The prompt of an item as messages, with its family and language."""
    return {"prompt": item.messages, "task": item.task, "lang": item.lang}


def sample(params: Sample, out: Path) -> None:
    """Write demos, comparisons, prompts, heldout and labels as JSON Lines to `out`.

    Each dataset draws from its own generator, so its records do not depend on the size of those drawn later.
    """
    out.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    streams = {name: Random(f"{name} {params.seed}") for name in ("heldout", "demos", "comparisons", "prompts")}
    held_out = draw_new(streams["heldout"], params.evaluation, seen, held_out=True)
    rows = demonstrations(streams["demos"], params, seen, held_out)
    compared = draw_new(streams["comparisons"], params.comparisons, seen)
    asked = draw_new(streams["prompts"], params.prompts, seen)
    demos = numbered("demo", [record for record, _ in rows])
    labels: list[Record] = [
        {"id": record["id"], "dataset": "demos", "defect": defect}
        for record, (_, defect) in zip(demos, rows, strict=True)
        if defect
    ]
    rankings: list[Record] = [
        {
            "prompt": item.messages,
            "responses": ranked(item, streams["comparisons"]),
            "task": item.task,
            "lang": item.lang,
        }
        for item in compared
    ]
    answers: list[Record] = [
        {"prompt": item.messages, "answer": item.output, "task": item.task, "lang": item.lang} for item in held_out
    ]
    write(out / "demos.jsonl", demos)
    write(out / "comparisons.jsonl", numbered("comparison", rankings))
    write(out / "prompts.jsonl", numbered("prompt", [prompt_of(item) for item in asked]))
    write(out / "heldout.jsonl", numbered("heldout", answers))
    write(out / "labels.jsonl", labels)


def main() -> None:
    """Write the datasets that params.yaml describes."""
    sample(load_params(PARAMS).sample, OUT)


if __name__ == "__main__":
    main()
