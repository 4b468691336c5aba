"""The verb `sft`: supervised fine-tuning of a LoRA adapter on demonstrations, with the loss on the answer only."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.recipe import Lora, Sft
from tasks.train.examples import batches, draw, encode, read_records, thinned, token_counts, usable
from tasks.train.execution import Execution
from tasks.train.model import load_base, load_tokenizer, save_adapter

if TYPE_CHECKING:
    from peft import LoraConfig


def sft(config: Sft, base: Path, data: Path, out: Path, *, seed: int, execution: Execution) -> dict[str, float]:
    """Train a LoRA on every linear layer of `base` on the demonstrations in `data`, and write it to `out`.

    One step is one update over `batch_size` examples; every example is seen once before any is seen again. The same
    seed on the same machine gives the same bytes, also after a kill and a resume.

    Returns:
        train_loss, first_loss, valid_loss (nats an answer token; no valid_loss without validation records); steps;
        examples, examples_truncated, examples_dropped, tokens_truncated (of distinct examples); tokens_seen,
        tokens_trained (over all steps).

    Raises:
        TrainingFailed: no example is left, no chat template, a loss that is not a number.
        BaseModelMissing: `base` holds no model.
    Source: Ouyang et al. 2022, section 3.5; Hu et al. 2021 (LoRA).
    """
    from transformers import set_seed
    from trl import SFTConfig

    from tasks.train.trainers import (
        Supervised,
        answer_log_probs,
        arguments,
        micro_batch,
        score_answers_only,
        table,
        train,
    )

    began = time.monotonic()
    set_seed(seed)
    score_answers_only()
    tokenizer = load_tokenizer(base)
    records = read_records(data / "train.jsonl")
    picked = draw(len(records), min(len(records), config.steps * config.batch_size), seed)
    chosen = [(records[i]["prompt"], [records[i]["response"]]) for i in picked]
    kept, counts = usable(encode(tokenizer, chosen, config.max_tokens), config.max_tokens, "demonstrations")
    order = batches(kept, config.steps, config.batch_size, seed)
    micro = micro_batch(config, sequences_each=1)
    trainer = Supervised(
        model=load_base(base, execution.device, micro, config.max_tokens),
        args=SFTConfig(
            **arguments(config, micro, seed, execution),
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=table([row for e in order for row in e.rows()]),
        processing_class=tokenizer,
        peft_config=lora_config(config.lora),
    )
    losses = train(trainer, "sft", order, execution)
    metrics = {**losses, **counts, **token_counts(order)}
    held = thinned(read_records(data / "valid.jsonl"))
    valid = [
        e for e in encode(tokenizer, [(r["prompt"], [r["response"]]) for r in held], config.max_tokens) if e.usable
    ]
    if valid:
        scores = answer_log_probs(trainer.model, [row for e in valid for row in e.rows()], tokenizer.pad_token_id)
        metrics["valid_loss"] = -scores.sum().item() / sum(e.learned for e in valid)
    save_adapter(trainer.model, tokenizer, base, out)
    execution.log({**metrics, "seconds": time.monotonic() - began}, config.steps)
    return metrics


def lora_config(lora: Lora) -> "LoraConfig":
    """PEFT's settings for low-rank adapters on every linear layer but the output head."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


sft_task = task(sft, name="sft", cache_policy=NO_CACHE)
