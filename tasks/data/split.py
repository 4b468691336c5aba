"""The verb `split`: part what is trained on from what is held back, by prompt."""

import hashlib
import json
import re
import shutil
from pathlib import Path

from tasks.data.shapes import Fields
from tasks.data.source import find_dataset, load_policy
from tasks.data.stage import run_stage
from tasks.data.write import write_lines
from tasks.errors import DatasetRefused

Parts = dict[str, list[Fields]]
NOT_WORDS = re.compile(r"[\W_]+")


def split(records: list[Fields], validation_share: float) -> Parts:
    """`train` and `valid`, decided by a digest of each record's prompt alone.

    Equal prompts (but for case, spaces and punctuation) stay together, and a record stays where it is when others
    come or go.
    """
    parts: Parts = {"train": [], "valid": []}
    for record in records:
        parts["valid" if place(record) < validation_share else "train"].append(record)
    return parts


def place(record: Fields) -> float:
    """A number in [0, 1) made of the prompt."""
    text = "\n".join(NOT_WORDS.sub(" ", turn["content"].casefold()).strip() for turn in record["prompt"])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56


def run(name: str) -> str:
    """Split one dataset of params.yaml into the folder data/clean/NAME; an evaluation set goes whole to test.jsonl.

    Raises:
        DatasetRefused: nothing is left to train on, or to evaluate with.
    """
    dataset = find_dataset(load_policy(), name)
    with Path(f"data/clean/{name}.kept.jsonl").open(encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    parts = {"test": records} if dataset.kind == "evaluation" else split(records, dataset.validation_share)
    needed = next(iter(parts))
    if not parts[needed]:
        raise DatasetRefused(
            f'Dataset "{name}": no record is left in {needed}.jsonl, of {len(records)} that the filter kept.\n'
            f"Look at data/rejects/{name}.jsonl for the reasons; add records to {dataset.source}, "
            f"or lower  datasets.{name}.validation_share  in params.yaml."
        )
    folder = Path("data/clean") / name
    unfinished = folder.with_name(f".{name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part, rows in parts.items():
        write_lines(unfinished / f"{part}.jsonl", rows)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    return ", ".join(f"{len(rows)} {part}" for part, rows in parts.items())


if __name__ == "__main__":
    run_stage("split", run)
