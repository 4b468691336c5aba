"""What heldout.yaml cannot say: where items come from, how a conversation becomes a prompt, when an answer is right."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from lm_eval.api.task import ConfigurableTask

FIELDS = ("id", "prompt", "answer", "task", "lang")


def load(file: str, **_: Any) -> DatasetDict:
    """The items of a JSON Lines file, read into memory: no cache that could be older than the file.

    `file` arrives in the task's metadata, together with keys that this suite has no use for.
    """
    lines = Path(file).read_text("utf-8").splitlines()
    items = [json.loads(line) for line in lines if line.strip()]
    return DatasetDict({"test": Dataset.from_list([{name: item[name] for name in FIELDS} for item in items])})


class Conversations(ConfigurableTask):
    """Items whose prompt is a list of messages; the chat template gets all of them, system and earlier turns too."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def fewshot_context(
        self,
        doc: dict[str, Any],
        num_fewshot: int,
        *,
        apply_chat_template: bool = False,
        chat_template: Callable[..., str] | None = None,
        **_: Any,
    ) -> str:
        """The rendered prompt of one item.

        Raises:
            ValueError: no chat template is applied, or examples are asked for, which this suite does not have.
        """
        if not apply_chat_template or chat_template is None:
            raise ValueError("heldout asks conversations: run it with the chat template (--apply_chat_template)")
        if num_fewshot:
            raise ValueError("heldout is zero-shot; leave num_fewshot at 0")
        return chat_template(doc["prompt"])


def transcript(doc: dict[str, Any]) -> str:
    """The conversation as a person reads it: a single question by itself, otherwise a line `role: content` a turn."""
    turns = doc["prompt"]
    return turns[0]["content"] if len(turns) == 1 else "\n".join(f"{t['role']}: {t['content']}" for t in turns)


def answer(doc: dict[str, Any]) -> str:
    """The right answer. A function, because the harness evaluates templates that look like Python lists."""
    return doc["answer"]


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """1 when output and answer are the same text after Unicode NFC and without the space around them."""
    return {"exact_match": float(normal(results[0]) == normal(doc["answer"]))}


def normal(text: str) -> str:
    """The text in composed Unicode, without the space around it."""
    return unicodedata.normalize("NFC", text).strip()
