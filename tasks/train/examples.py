"""Records to token ids: the answer's tokens are learned, the prompt's are not; what `max_tokens` cuts is counted."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tasks.errors import TrainingFailed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOG = logging.getLogger("pawl.train")
IGNORED = -100  # the label of a token that does not enter the loss
MAX_VALID = 1000  # validation looks at no more items than this

Message = dict[str, str]
Ids = list[int]


@dataclass(frozen=True)
class Encoded:
    """A prompt's and its answers' token ids, cut to `max_tokens` for each prompt + answer."""

    prompt: Ids
    answers: tuple[Ids, ...]
    cut: int  # tokens of the answers and prompt that did not fit

    @property
    def usable(self) -> bool:
        """Every answer has a token left to learn."""
        return all(self.answers)

    @property
    def tokens(self) -> int:
        """Tokens that the model reads: the prompt once an answer."""
        return len(self.prompt) * len(self.answers) + self.learned

    @property
    def learned(self) -> int:
        """Tokens that enter the loss."""
        return sum(map(len, self.answers))

    def rows(self) -> list[dict[str, Ids]]:
        """`input_ids` and `labels` of prompt + answer, one row an answer."""
        return [
            {"input_ids": self.prompt + answer, "labels": [IGNORED] * len(self.prompt) + answer}
            for answer in self.answers
        ]


def read_records(path: Path) -> list[dict[str, Any]]:
    """The canonical records of a JSON Lines file.

    Raises:
        TrainingFailed: there is no such file.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except FileNotFoundError:
        raise TrainingFailed(f"{path} is absent; the stage `split` makes it. Run  pawl nightly  again.") from None


def encode(
    tokenizer: "PreTrainedTokenizerBase", items: Sequence[tuple[list[Message], Sequence[str]]], max_tokens: int
) -> list[Encoded]:
    """Render each (prompt, answers) through the chat template and split prompt from answer where their ids part.

    Raises:
        TrainingFailed: the tokenizer has no chat template, or the template refuses a conversation.
    """
    from jinja2 import TemplateError
    from trl.data_utils import common_prefix_length

    if not tokenizer.chat_template:
        raise TrainingFailed(
            f"The tokenizer of {Path(tokenizer.name_or_path).name} has no chat template, so it is unknown how a "
            "conversation is written. Put a chat_template.jinja beside the base model's tokenizer.json, or name a base "
            "model that has one (often called -instruct or -chat)."
        )
    if not items:
        return []
    texts: list[str] = []
    for prompt, answers in items:
        try:
            texts.append(str(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)))
            for answer in answers:
                turn = {"role": "assistant", "content": answer}
                texts.append(str(tokenizer.apply_chat_template([*prompt, turn], tokenize=False)))
        except TemplateError as error:
            roles = ", ".join(m["role"] for m in prompt)
            raise TrainingFailed(
                f"The base model's chat template refuses a conversation with the roles {roles}: {error}. "
                "Correct the template or take such conversations out of the dataset."
            ) from error
    ids: Iterator[Ids] = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    encoded = []
    for _, answers in items:
        prompt_ids, wholes = next(ids), list(islice(ids, len(answers)))
        start = min((common_prefix_length(prompt_ids, whole) for whole in wholes), default=0)
        cut = sum(max(0, len(whole) - max_tokens) for whole in wholes)
        encoded.append(Encoded(prompt_ids[:start], tuple(whole[start:max_tokens] for whole in wholes), cut))
    return encoded


def usable(encoded: list[Encoded], max_tokens: int, what: str) -> tuple[list[Encoded], dict[str, float]]:
    """Those that have something to learn, and what was cut and dropped, which is also logged.

    Raises:
        TrainingFailed: nothing is left.
    """
    if not encoded:
        raise TrainingFailed(
            f"There are no {what} to learn from. See why the filter kept none in data/rejects/, then correct the "
            "dataset or params.yaml."
        )
    kept = [e for e in encoded if e.usable]
    truncated = [e for e in encoded if e.cut]
    counts = {
        "examples": float(len(kept)),
        "examples_truncated": float(len(truncated)),
        "examples_dropped": float(len(encoded) - len(kept)),
        "tokens_truncated": float(sum(e.cut for e in truncated)),
    }
    if not kept:
        raise TrainingFailed(
            f"None of {len(encoded):,} {what} has an answer token within max_tokens: {max_tokens}. "
            "Raise max_tokens in the recipe, or shorten the prompts."
        )
    if truncated:
        LOG.warning(
            "%s of %s %s are longer than max_tokens %s: %s tokens cut off, %s dropped with no answer left; "
            "raise max_tokens in the recipe to keep them whole",
            *(f"{len(truncated):,}", f"{len(encoded):,}", what, max_tokens),
            *(f"{int(counts['tokens_truncated']):,}", f"{int(counts['examples_dropped']):,}"),
        )
    return kept, counts


def draw(count: int, wanted: int, seed: int) -> list[int]:
    """`wanted` of the indices 0..count-1 in random order, every index once before any comes again."""
    rng = Random(seed)
    epochs = (rng.sample(range(count), count) for _ in range(-(-wanted // max(1, count))))
    return list(chain.from_iterable(epochs))[:wanted]


def batches(kept: Sequence[Encoded], steps: int, batch_size: int, seed: int) -> list[Encoded]:
    """All examples of all steps in training order; inside a batch by length, so that micro-batches pad little."""
    order = [kept[i] for i in draw(len(kept), steps * batch_size, seed)]
    return [
        e for i in range(0, len(order), batch_size) for e in sorted(order[i : i + batch_size], key=lambda e: e.tokens)
    ]


def token_counts(order: Sequence[Encoded]) -> dict[str, float]:
    """Tokens that the model reads and learns over all steps."""
    return {"tokens_seen": float(sum(e.tokens for e in order)), "tokens_trained": float(sum(e.learned for e in order))}


def thinned(items: Sequence[Any], most: int = MAX_VALID) -> list[Any]:
    """At most `most` of the items, evenly spaced."""
    return list(items[:: max(1, -(-len(items) // most))])
