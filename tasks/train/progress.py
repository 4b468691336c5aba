"""What a training run tells while it runs: metrics, a line with the time left, finished checkpoints."""

import logging
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tasks.train.checkpoints import finish_checkpoint
from tasks.train.execution import Execution

LOG = logging.getLogger("pawl.train")
EVERY = 10.0  # seconds between two lines
LIVE = {"loss": "loss", "learning_rate": "learning_rate", "grad_norm": "grad_norm", "rewards/margins": "reward_margin"}


class Progress(TrainerCallback):
    """Sends metrics and checkpoints to the execution, and a line now and then to the log."""

    def __init__(self, stage: str, tokens_a_step: Sequence[int], execution: Execution) -> None:
        self.stage, self.execution = stage, execution
        self.tokens = [0, *accumulate(tokens_a_step)]
        self.first = self.last = 0  # optimizer steps at the start and at the last log
        self.began = self.logged = self.said = time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.first = self.last = state.global_step
        self.began = self.logged = self.said = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        now, step = time.monotonic(), state.global_step
        speed = (self.tokens[step] - self.tokens[self.last]) / max(now - self.logged, 1e-9)
        metrics = {ours: logs[theirs] for theirs, ours in LIVE.items() if theirs in logs}
        self.execution.log({**metrics, "tokens_per_second": speed}, step)
        self.last, self.logged = step, now
        if now - self.said >= EVERY or step == state.max_steps:
            left = (now - self.began) / (step - self.first) * (state.max_steps - step)
            line = "%s %d/%d  loss %.3f  %s tokens/s  %.0f s left"
            LOG.info(line, self.stage, step, state.max_steps, logs["loss"], f"{speed:,.0f}", left)
            self.said = now

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.execution.keep(finish_checkpoint(self.execution.work, state.global_step))
        self.logged = max(self.logged, time.monotonic())
