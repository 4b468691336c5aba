"""The tiny base, a suite, and a small evaluation set in both languages."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
Item = dict[str, object]
Write = Callable[[list[Item]], Path]


@pytest.fixture(scope="session")
def tiny() -> Path:
    import torch

    torch.set_num_threads(1)  # faster than two for a model of this size, much faster on a busy machine
    return REPOSITORY / "data" / "base" / "tiny"


@pytest.fixture(scope="session")
def suite() -> Path:
    return REPOSITORY / "evals"


@pytest.fixture
def items() -> list[Item]:
    """Eight conversations of very different lengths, some with a system turn and earlier turns."""
    made: list[Item] = []
    for number in range(8):
        lang = "ko" if number % 2 else "en"
        question = "사과는 무슨 색입니까? " if lang == "ko" else "What colour is the apple? "
        turns = [{"role": "user", "content": (question * (1 + number)).strip()}]
        if number % 3 == 0:
            turns = [
                {"role": "system", "content": "당신은 선장입니다. You are a captain."},
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "안녕하세요"},
                *turns,
            ]
        made.append({"id": f"h{number}", "prompt": turns, "answer": "[red]", "task": "qa", "lang": lang})
    return made


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes items where the split would, and returns the folder."""
    folder = tmp_path / "heldout"

    def to_file(items: list[Item]) -> Path:
        folder.mkdir(exist_ok=True)
        lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items]
        (folder / "test.jsonl").write_text("".join(lines), "utf-8")
        return folder

    return to_file
