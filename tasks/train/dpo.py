"""The verb `dpo`: direct preference optimization, which continues the SFT adapter on ranked responses."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.errors import TrainingFailed
from tasks.recipe import Dpo
from tasks.train.examples import Encoded, Message, batches, draw, encode, read_records, thinned, token_counts, usable
from tasks.train.execution import Execution
from tasks.train.model import load_base, load_tokenizer, save_adapter

if TYPE_CHECKING:
    from peft import PeftModel

MOST_PAIRS = 4  # of one prompt: nine ranked responses would give up to 36, all alike
Pair = tuple[list[Message], tuple[str, str]]  # prompt, (chosen, rejected)


def dpo(
    config: Dpo, base: Path, parent: Path, data: Path, out: Path, *, seed: int, execution: Execution
) -> dict[str, float]:
    """Continue the adapter in `parent` on the comparisons in `data`, and write it to `out` as one plain adapter.

    The policy is `base` with the adapter, trainable; the reference is `base` with the same adapter, frozen (a copy
    that TRL keeps under the name "ref"). Dropout is off, so the first loss is ln 2. One step is one update over
    `batch_size` pairs.

    Returns:
        as `sft`, with pairs as examples, valid_loss the DPO loss, and preference_accuracy: the share of validation
        pairs whose implicit reward (log p - log p of the reference) is higher for the chosen response. Both of these
        are absent where no validation pair is.

    Raises:
        TrainingFailed: no pair is left, no chat template, a loss that is not a number, a first loss that is not ln 2.
        BaseModelMissing: `base` holds no model.
    Source: Rafailov et al. 2023, equations 5 and 7.
    """
    from peft import PeftModel
    from transformers import set_seed
    from trl import DPOConfig

    from tasks.train.trainers import Preference, arguments, micro_batch, score_answers_only, table, train

    began = time.monotonic()
    set_seed(seed)
    score_answers_only()
    tokenizer = load_tokenizer(base)
    pairs = pairs_of(read_records(data / "train.jsonl"), seed)
    picked = [pairs[i] for i in draw(len(pairs), min(len(pairs), config.steps * config.batch_size), seed)]
    kept, counts = usable(encode(tokenizer, picked, config.max_tokens), config.max_tokens, "pairs")
    order = batches(kept, config.steps, config.batch_size, seed)
    micro = micro_batch(config, sequences_each=2)
    trainer = Preference(
        model=PeftModel.from_pretrained(
            load_base(base, execution.device, 2 * micro, config.max_tokens), parent, is_trainable=True
        ),
        args=DPOConfig(**arguments(config, micro, seed, execution), beta=config.beta),
        train_dataset=table(
            [{"prompt_ids": e.prompt, "chosen_ids": e.answers[0], "rejected_ids": e.answers[1]} for e in order]
        ),
        processing_class=tokenizer,
    )
    losses = train(trainer, "dpo", order, execution)
    if abs(losses["first_loss"] - math.log(2)) > 1e-3:
        raise TrainingFailed(
            f"The first DPO loss is {losses['first_loss']:.4f} and not ln 2 = 0.6931: policy and reference did not "
            "start from the same adapter. Run  pawl nightly --force  to train both stages again."
        )
    metrics = {**losses, **counts, **token_counts(order)}
    held = thinned(pairs_of(read_records(data / "valid.jsonl"), seed))
    valid = [e for e in encode(tokenizer, held, config.max_tokens) if e.usable]
    if valid:
        metrics |= preferences(trainer.model, valid, tokenizer.pad_token_id, config.beta)
    save_adapter(trainer.model, tokenizer, base, out)
    execution.log({**metrics, "seconds": time.monotonic() - began}, config.steps)
    return metrics


def preferences(model: "PeftModel", valid: Sequence[Encoded], pad: int, beta: float) -> dict[str, float]:
    """The DPO loss on pairs and the share of them that the policy prefers as people did, by implicit reward."""
    from torch.nn.functional import logsigmoid
    from trl.trainer.utils import use_adapter

    from tasks.train.trainers import answer_log_probs

    rows = [row for e in valid for row in e.rows()]
    policy = answer_log_probs(model, rows, pad)
    with use_adapter(model, "ref"):
        reference = answer_log_probs(model, rows, pad)
    chosen, rejected = (policy - reference).view(-1, 2).unbind(dim=1)  # implicit rewards, but for the factor beta
    return {
        "valid_loss": -logsigmoid(beta * (chosen - rejected)).mean().item(),
        "preference_accuracy": (chosen > rejected).float().mean().item(),
    }


def pairs_of(records: Sequence[dict[str, Any]], seed: int) -> list[Pair]:
    """A best response against one of a lower rank, at most `MOST_PAIRS` a prompt; ties and equal texts give none.

    Two responses below the best give no pair: to prefer a wrong answer to a worse one makes the wrong one likelier.
    """
    pairs: list[Pair] = []
    for record in records:
        best = min(record["ranks"])
        ranked = list(zip(record["ranks"], record["responses"], strict=True))
        unequal = [(a, b) for rank, a in ranked if rank == best for other, b in ranked if other > best and a != b]
        few = Random(f"{seed}/{record['id']}").sample(unequal, min(MOST_PAIRS, len(unequal)))
        pairs += [(record["prompt"], pair) for pair in few]
    return pairs


dpo_task = task(dpo, name="dpo", cache_policy=NO_CACHE)
