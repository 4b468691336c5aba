"""TRL's trainers as Pawl runs them: resumable, quiet, stopped by the first loss that is not a number."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import trl.trainer.utils
from datasets import Dataset
from transformers import PrinterCallback, Trainer
from trl import DPOTrainer, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from tasks.errors import DiskFull, TrainingFailed
from tasks.recipe import Training
from tasks.train.checkpoints import UNFINISHED, newest_checkpoint, step_of
from tasks.train.examples import Encoded
from tasks.train.execution import Execution
from tasks.train.progress import Progress

if TYPE_CHECKING:
    from peft import PeftModel

LOG = logging.getLogger("pawl.train")
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
MICRO_SEQUENCES = 16  # at once, where the recipe does not say: fits a processor's cache and most GPUs
NO_SPACE = 2**20  # bytes free, at most, on a disk that could not take a checkpoint
LOGS = 60  # points of a loss curve


class Plain(Trainer):
    """What both trainers share: no telemetry, no model card, slim checkpoints, and a stop at the first NaN."""

    def _send_telemetry(self) -> None:
        """Nothing leaves this machine."""

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Registration describes the model."""

    def floating_point_ops(self, inputs: Any) -> int:
        """Not shown anywhere, and counted over all parameters at every step."""
        return 0

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """The adapter in training only: no pickled arguments, no tokenizer, no copy of the frozen reference."""
        self.model.save_pretrained(output_dir, selected_adapters=["default"], save_embedding_layers=False)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._save_checkpoint(*args, **kwargs)
        except RuntimeError as error:  # all that torch.save says of a full disk is "unexpected pos"
            if shutil.disk_usage(self.args.output_dir).free > NO_SPACE:
                raise
            raise DiskFull(
                f"No space is left under {self.args.output_dir} for the checkpoint of step {self.state.global_step}. "
                "Free some, then run  pawl nightly  again: it carries on from the checkpoint before."
            ) from error

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        if not torch.isfinite(loss):
            raise TrainingFailed(
                f"The loss at step {self.state.global_step + 1} is {loss.item()}: training has diverged and was "
                "stopped. Lower learning_rate or raise warmup_steps in the recipe, then run  pawl nightly  again."
            )
        return loss


class Supervised(Plain, SFTTrainer):
    """Supervised fine-tuning on tokenized rows."""


class Preference(Plain, DPOTrainer):
    """Direct preference optimization on tokenized pairs."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset


def micro_batch(config: Training, sequences_each: int) -> int:
    """Examples that go through the model at once, each of `sequences_each` sequences."""
    most = max(1, MICRO_SEQUENCES // sequences_each)
    return config.micro_batch_size or next(n for n in range(most, 0, -1) if config.batch_size % n == 0)


def arguments(config: Training, micro: int, seed: int, execution: Execution) -> dict[str, Any]:
    """The keyword arguments that SFTConfig and DPOConfig share."""
    gpu = execution.device == "cuda"
    return {
        "output_dir": str(execution.work / UNFINISHED),
        "max_steps": config.steps,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": config.batch_size // micro,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": SCHEDULES[config.schedule],
        "warmup_steps": config.warmup_steps,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "max_length": None,  # rows are cut already, and counted
        "train_sampling_strategy": "sequential",  # rows are in training order already
        "seed": seed,
        "use_cpu": not gpu,
        "bf16": gpu,
        "activation_checkpointing": False,
        "dataloader_pin_memory": gpu,
        "logging_steps": max(1, config.steps // LOGS),
        "logging_first_step": True,
        "save_steps": config.checkpoint_every,
        "report_to": [],
        "disable_tqdm": True,
    }


def score_answers_only() -> None:
    """Let TRL's LM head skip the positions without a label on a CPU too, as it does where it has Triton.

    Exact, since these positions do not enter the loss, and a quarter of a step's time on a small model. The name that
    is replaced decides nothing else: the kernels ask a name of their own.
    """
    trl.trainer.utils._use_triton = lambda device: True


@contextmanager
def fast_products(wanted: bool) -> Iterator[None]:
    """Let oneDNN compute float32 matrix products: twice as fast as MKL on processors that MKL does not know.

    Where a processor has AMX, oneDNN rounds the factors to bfloat16 and sums in float32. Nothing else is rounded.
    """
    if wanted:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        if wanted:
            torch.set_float32_matmul_precision("highest")


def train(
    trainer: Supervised | Preference, stage: str, order: Sequence[Encoded], execution: Execution
) -> dict[str, float]:
    """Train to the last step, from the newest complete checkpoint if there is one.

    Returns:
        `train_loss` (mean since the last point of the curve), `first_loss` (of step 1 alone) and `steps`.

    Raises:
        TrainingFailed: a loss is NaN or infinite.
    """
    size = len(order) // trainer.args.max_steps
    tokens = [sum(e.tokens for e in order[i : i + size]) for i in range(0, len(order), size)]
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Progress(stage, tokens, execution))
    checkpoint = newest_checkpoint(execution.work)
    if checkpoint:
        LOG.info("%s resumes at step %d of %d", stage, step_of(checkpoint), trainer.args.max_steps)
    with fast_products(trainer.model.config._attn_implementation == "eager"):  # the fused kernel would be slowed down
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"train_loss": losses[-1], "first_loss": losses[0], "steps": float(trainer.state.global_step)}


def answer_log_probs(model: "PeftModel", rows: Sequence[dict[str, list[int]]], pad: int) -> torch.Tensor:
    """log p(answer | prompt) of each row, summed over the answer's tokens. Shape: (rows,), float32, on the CPU."""
    collate = DataCollatorForLanguageModeling(pad_token_id=pad)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]["input_ids"]))
    total = torch.zeros(len(rows))
    model.eval()
    for start in range(0, len(order), MICRO_SEQUENCES):
        picked = order[start : start + MICRO_SEQUENCES]
        batch = {name: tensor.to(model.device) for name, tensor in collate([rows[i] for i in picked]).items()}
        with torch.no_grad():
            output = model(**batch, use_cache=False, fused_lm_head=True)
        total[picked] = output.log_probs.sum(dim=1).float().cpu()
    return total


def table(rows: Sequence[dict[str, list[int]]]) -> Dataset:
    """Rows as a dataset in memory; no file, no cache."""
    return Dataset.from_list(list(rows))
