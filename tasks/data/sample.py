"""The verb `sample`: write the sample datasets, with planted defects and their hidden labels."""

import json
from collections.abc import Iterable
from pathlib import Path
from random import Random

import yaml
from pydantic import BaseModel, ConfigDict, Field

from tasks.data.world.answers import ranked
from tasks.data.world.defects import COPIES, DEFECTS, LEAK, ONLY_IN, SPOILS, Record
from tasks.data.world.families import FAMILIES, draw_new
from tasks.data.world.item import Item

OUT = Path("data/raw/sample")
PARAMS = Path("params.yaml")


class SampleParams(BaseModel):
    """The `sample:` section of params.yaml: how many records of each dataset, and the share of spoilt ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    demonstrations: int = Field(6000, ge=0)
    comparisons: int = Field(1500, ge=0)
    prompts: int = Field(1000, ge=0)
    evaluation: int = Field(800, ge=0)
    defect_rate: float = Field(0.08, ge=0, lt=0.5)


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


def demonstrations(rng: Random, params: SampleParams, seen: set[str], held_out: list[Item]) -> list[tuple[Record, str]]:
    """Demonstrations in their final order, each with its defect or an empty string.

    A copy (duplicate, near duplicate, contradiction) always comes after its original.
    """
    spoilt = round(params.defect_rate * params.demonstrations)
    plan = [DEFECTS[at % len(DEFECTS)] for at in range(spoilt)]
    if not held_out:
        plan = [defect for defect in plan if defect != LEAK]
    added = [defect for defect in plan if defect in (*COPIES, LEAK)]
    items = draw_new(rng, params.demonstrations - len(added), seen)
    rng.shuffle(items)
    rows = [(demonstration(item), "") for item in items]
    free = list(range(len(items)))
    copies: list[tuple[int, Record, str]] = []
    for defect in plan:
        if defect == LEAK:
            copies.append((rng.randint(0, len(rows)), demonstration(rng.choice(held_out)), defect))
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


def sample(params: SampleParams, out: Path) -> None:
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
    params = SampleParams.model_validate((yaml.safe_load(PARAMS.read_text(encoding="utf-8")) or {}).get("sample") or {})
    sample(params, OUT)


if __name__ == "__main__":
    main()
