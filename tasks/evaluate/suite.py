"""What a model is asked: the suite's files and the items, checked and identified."""

import hashlib
import json
from collections import Counter
from pathlib import Path

from tasks.contracts import Digest
from tasks.errors import EvaluationFailed

ITEMS = "test.jsonl"
FIELDS = {"id", "prompt", "answer", "task", "lang"}


def suite_digest(suite: Path, data: Path) -> Digest:
    """sha256 over what decides a score: the YAML and Python files in the folder `suite`, and the items in `data`.

    Raises:
        EvaluationFailed: there is no suite or no set of items.
    """
    code = sorted(path for path in suite.rglob("*") if path.suffix in {".yaml", ".py"})
    if not code:
        raise EvaluationFailed(f"{suite}: no evaluation suite. Restore it with  git checkout -- evals")
    files = [(path.relative_to(suite).as_posix(), path) for path in code]
    total = hashlib.sha256()
    for name, path in [*files, (ITEMS, existing(data / ITEMS))]:
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def check_items(file: Path) -> int:
    """The number of items in an evaluation set.

    Raises:
        EvaluationFailed: the file is absent or empty, a line is not an item, or an id comes twice.
    """
    ids: Counter[str] = Counter()
    with existing(file).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                ids[item_id(line, f"{file}:{number}")] += 1
    twice = [name for name, times in ids.items() if times > 1]
    if twice:
        raise EvaluationFailed(
            f"{file}: {len(twice)} ids come twice or more (first: {twice[0]}). Give each item its own."
        )
    if not ids:
        raise EvaluationFailed(f"{file}: no items; nothing can be judged on it. Add items to the evaluation dataset.")
    return ids.total()


def item_id(line: str, where: str) -> str:
    """The id of one line's item.

    Raises:
        EvaluationFailed: the line is not JSON, or a field is missing.
    """
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        raise EvaluationFailed(f"{where}: not JSON ({error}). Correct the line in the dataset's source.") from error
    missing = sorted(FIELDS - item.keys()) if isinstance(item, dict) else sorted(FIELDS)
    if missing:
        raise EvaluationFailed(
            f"{where}: no {', '.join(missing)} in the item. Correct the line in the dataset's source."
        )
    return str(item["id"])


def existing(file: Path) -> Path:
    """The file itself; EvaluationFailed when there is none."""
    if not file.is_file():
        raise EvaluationFailed(f"{file}: no such evaluation set. Run  dvc repro, or  pawl nightly, which makes it.")
    return file
