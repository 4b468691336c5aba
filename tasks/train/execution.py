"""Where and how a training step runs: scratch folder, device, where metrics and checkpoints go. Never identity."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


def drop_metrics(metrics: Mapping[str, float], step: int) -> None:
    """The default log: a notebook needs none."""


def drop_checkpoint(checkpoint: Path) -> None:
    """The default keeper: checkpoints stay in the scratch folder only."""


@dataclass(frozen=True)
class Execution:
    """How a training step runs.

    `work` is a scratch folder: a complete `checkpoint-N` in it is resumed from. `log` receives metrics with the
    optimizer step; `keep` receives each finished checkpoint folder.
    """

    work: Path
    device: str = "cpu"  # "cpu" or "cuda"
    log: Callable[[Mapping[str, float], int], None] = drop_metrics
    keep: Callable[[Path], None] = drop_checkpoint
