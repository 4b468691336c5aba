"""A handful of records in two languages and one small adapter, trained once."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from tasks.recipe import Dpo, Lora, Sft
from tasks.train.execution import Execution
from tasks.train.sft import sft

BASE = Path(__file__).resolve().parents[3] / "data" / "base" / "tiny"
NAMES = [
    "Nora",
    "Sam",
    "Ella",
    "Tom",
    "Paul",
    "Tina",
    "Ben",
    "Lucy",
    "민수",
    "수진",
    "태호",
    "지우",
    "현우",
    "재훈",
    "미나",
    "정민",
]

SFT = Sft(
    steps=10,
    batch_size=8,
    learning_rate=5e-3,
    warmup_steps=2,
    max_tokens=128,
    checkpoint_every=4,
    lora=Lora(r=4, alpha=8, dropout=0.1),
)
DPO = Dpo(steps=6, batch_size=4, learning_rate=1e-3, max_tokens=128, checkpoint_every=3)


def ask(name: str) -> list[dict[str, str]]:
    if name.isascii():
        return [{"role": "user", "content": f"Who went to Berlin?\n\n{name} went to Berlin on Friday."}]
    return [{"role": "user", "content": f"누가 부산에 갔나요?\n\n{name} 씨는 금요일에 부산에 갔다."}]


def demonstrations() -> list[dict]:
    return [
        {
            "id": f"d{i}",
            "prompt": ask(name),
            "response": name * (1 + i % 3),
            "task": "qa",
            "lang": "en" if i < 8 else "ko",
        }
        for i, name in enumerate(NAMES)
    ]


def comparisons() -> list[dict]:
    return [
        {
            "id": f"c{i}",
            "prompt": ask(name),
            "responses": [name, NAMES[i - 1], "?", NAMES[i - 1] + "!"],
            "ranks": [1, 2, 3, 2],
            "task": "qa",
            "lang": "en" if i < 8 else "ko",
        }
        for i, name in enumerate(NAMES)
    ]


def write(folder: Path, train: Iterable[dict], valid: Iterable[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("train", train), ("valid", valid)):
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Sums over threads depend on their number; tests that compare bytes with a child process need the same."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base() -> Path:
    if not (BASE / "model.safetensors").is_file():
        pytest.skip("the tiny base is not there: run  dvc repro base")
    return BASE


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clean") / "demos", demonstrations(), demonstrations()[::4])


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clean") / "comparisons", comparisons(), comparisons()[::4])


class Trained:
    """What a run of a stage left."""

    def __init__(self, out: Path, metrics: dict[str, float], logged: list, kept: list[str]) -> None:
        self.out, self.metrics, self.logged, self.kept = out, metrics, logged, kept


@pytest.fixture(scope="session")
def trained(base: Path, demos: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One undisturbed SFT run."""
    folder = tmp_path_factory.mktemp("sft")
    logged: list[tuple[int, dict]] = []
    kept: list[str] = []
    execution = Execution(
        work=folder / "work",
        log=lambda metrics, step: logged.append((step, dict(metrics))),
        keep=lambda checkpoint: kept.append(checkpoint.name),
    )
    metrics = sft(SFT, base, demos, folder / "out", seed=1, execution=execution)
    return Trained(folder / "out", metrics, logged, kept)
