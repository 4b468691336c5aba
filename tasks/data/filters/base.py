"""What a filter is, and the frame of records that it judges."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from tasks.contracts import DatasetKind
from tasks.data.shapes import Fields

BLANKS = r"\s+"
SCHEMA = {
    "row": pl.UInt32,
    "id": pl.String,
    "line": pl.UInt32,
    "task": pl.String,
    "lang": pl.String,
    "roles": pl.String,  # one letter a message: s, u, a
    "prompt": pl.String,  # "role: content" of every message, the identity of a prompt
    "asked": pl.String,  # the contents of all messages of the prompt
    "question": pl.String,  # the content of the last message of the prompt
    "response": pl.String,  # the response or the answer; null where the kind has none
    "responses": pl.List(pl.String),  # what is compared; null in other kinds
    "ranks": pl.List(pl.Int64),
}


class Filter(ABC):
    """One defect: a stable code, the kinds of dataset it concerns, and how it is seen."""

    reason: ClassVar[str]
    kinds: ClassVar[tuple[DatasetKind, ...]]

    @abstractmethod
    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        """An expression over `batch` (SCHEMA): the evidence as a short text, null for a record without the defect."""


def frame(records: Sequence[Fields], lines: Sequence[int]) -> pl.DataFrame:
    """Canonical records of any kind as one frame, a row each, in order."""
    rows = [
        (
            at,
            record["id"],
            line,
            record["task"],
            record["lang"],
            "".join(turn["role"][0] for turn in record["prompt"]),
            "\n".join(f"{turn['role']}: {turn['content']}" for turn in record["prompt"]),
            "\n\n".join(turn["content"] for turn in record["prompt"]),
            record["prompt"][-1]["content"],
            record.get("response", record.get("answer")),
            record.get("responses"),
            record.get("ranks"),
        )
        for at, (record, line) in enumerate(zip(records, lines, strict=True))
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def evidence(condition: pl.Expr, text: pl.Expr | str) -> pl.Expr:
    """`text` where `condition` holds, else null."""
    said = pl.lit(text) if isinstance(text, str) else text
    return pl.when(condition.fill_null(False)).then(said)


def squeezed(column: str) -> pl.Expr:
    """A text with its white space reduced to single spaces and none around."""
    return pl.col(column).str.replace_all(BLANKS, " ").str.strip_chars()


def normalized(text: pl.Expr) -> pl.Expr:
    """A text reduced to its letters and digits in lower case, words parted by one space."""
    return text.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", " ").str.strip_chars()


def tail(column: str, length: int = 40) -> pl.Expr:
    """The end of a text on one line, as evidence."""
    return pl.lit("“…") + squeezed(column).str.tail(length) + pl.lit("”")


def head(column: str, length: int = 40) -> pl.Expr:
    """The start of a text on one line, as evidence."""
    return pl.lit("“") + squeezed(column).str.head(length) + pl.lit("…”")
