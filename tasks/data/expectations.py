"""The expectation suites: what a dataset version must look like before the filter sees it.

They stop what no filter can mend, broken structure and gross shifts, and leave single bad records to the filter; that
is what `mostly` is for. The tables they speak of are made by `table`, one row a record.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.adapters.expectations import Expectation
from tasks.contracts import DatasetKind, Digest, canonical_json
from tasks.data.read import ReadResult
from tasks.data.shapes import Fields
from tasks.recipe import Dataset

if TYPE_CHECKING:
    import pandas as pd

MINIMUM = 6  # expectations that must have been evaluated; an empty suite passes in Great Expectations
LONGEST = 200_000  # characters of one text; what is longer is a file, not an answer


def suite(dataset: Dataset) -> list[Expectation]:
    """The suite of a dataset's kind."""
    return [*every_kind(dataset), *OWN[dataset.kind]()]


def suite_hash(kind: DatasetKind) -> Digest:
    """sha256 over the suites' code and the kind, for fingerprints."""
    return hashlib.sha256(Path(__file__).read_bytes() + kind.encode()).hexdigest()


def every_kind(dataset: Dataset) -> list[Expectation]:
    """What holds for all kinds."""
    return [
        Expectation(
            "expect_table_row_count_to_be_between", {"min_value": 1}, "there are records", "add records to the file"
        ),
        Expectation(
            "expect_column_values_to_not_be_null",
            {"column": "id"},
            "every record has an id",
            "give each record an id, or none",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "records_of_id", "min_value": 1, "max_value": 1},
            "no two different records share an id",
            "make ids unique, or leave them out and Pawl makes them from the content",
        ),
        Expectation(
            "expect_column_values_to_match_regex",
            {"column": "roles", "regex": "^s?u(?:au)*$", "mostly": 0.95},
            "prompts go system?, user, assistant, user … and end with a question",
            "correct the order of the turns",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "question_length", "min_value": 1, "max_value": LONGEST, "mostly": 0.95},
            "questions have text, in characters",
            "fill or remove records without a question",
        ),
        Expectation(
            "expect_column_values_to_be_in_set",
            {"column": "lang", "value_set": ["", *dataset.languages], "mostly": 0.9},
            "the records' lang is one that params.yaml allows, or not given",
            "correct lang, or add the language to `languages` of the dataset in params.yaml",
        ),
        Expectation(
            "expect_column_proportion_of_unique_values_to_be_between",
            {"column": "content", "min_value": 0.5},
            "at least half of the records are different ones",
            "find out why the file repeats itself",
        ),
    ]


def demonstrations() -> list[Expectation]:
    """A prompt and the response to learn."""
    return [
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "answer_length", "min_value": 1, "max_value": LONGEST, "mostly": 0.8},
            "responses have text, in characters",
            "find out why so many responses are empty or endless",
        )
    ]


def comparisons() -> list[Expectation]:
    """A prompt and 2 to 9 ranked responses (InstructGPT: K = 4 to 9; pairs: K = 2)."""
    return [
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "responses", "min_value": 2, "max_value": 9},
            "2 to 9 responses to a prompt",
            "split longer rankings, remove prompts with one response",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "best_rank", "min_value": 1, "max_value": 1},
            "ranks start at 1, the best",
            "rank from 1, where 1 is the best",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "excess_rank", "max_value": 0},
            "no rank is above the number of responses",
            "rank from 1 to the number of responses; ties share a rank",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "distinct_ranks", "min_value": 2, "mostly": 0.5},
            "responses differ in rank",
            "find out why so many prompts have all responses tied",
        ),
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "answer_length", "min_value": 1, "max_value": LONGEST, "mostly": 0.8},
            "the best responses have text, in characters",
            "find out why so many best responses are empty or endless",
        ),
    ]


def evaluation() -> list[Expectation]:
    """A prompt and its right answer. Cleaner than the rest: what is wrong here is wrong in every verdict."""
    return [
        Expectation(
            "expect_column_values_to_be_between",
            {"column": "answer_length", "min_value": 1, "max_value": LONGEST, "mostly": 0.98},
            "answers have text, in characters",
            "fill in the missing answers",
        ),
        Expectation(
            "expect_column_proportion_of_unique_values_to_be_between",
            {"column": "content", "min_value": 0.9},
            "at least nine in ten items are different ones",
            "remove repeated items",
        ),
    ]


OWN = {
    "demonstrations": demonstrations,
    "comparisons": comparisons,
    "prompts": list,
    "evaluation": evaluation,
}


def table(found: ReadResult) -> "pd.DataFrame":
    """One row a record: id, content (digest), records_of_id, roles, question_length, answer_length, lang, and for
    comparisons responses, best_rank, excess_rank, distinct_ranks. Lengths are in characters without space around.
    """
    import pandas as pd

    rows = [row(record) for record in found.records]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    frame["records_of_id"] = frame.groupby("id")["content"].transform("nunique")
    return frame


COLUMNS = [
    "id",
    "content",
    "roles",
    "question_length",
    "answer_length",
    "lang",
    "responses",
    "best_rank",
    "excess_rank",
    "distinct_ranks",
]


def row(record: Fields) -> tuple[object, ...]:
    """The facts of one record, in the order of COLUMNS."""
    texts, ranks = record.get("responses", []), record.get("ranks", [])
    answer = texts[ranks.index(min(ranks))] if ranks else record.get("response", record.get("answer", ""))
    content = {key: value for key, value in record.items() if key not in ("id", "task", "lang")}
    return (
        record["id"],
        hashlib.sha256(canonical_json(content).encode()).hexdigest(),
        "".join(turn["role"][0] for turn in record["prompt"]),
        len(record["prompt"][-1]["content"].strip()),
        len(answer.strip()),
        record["lang"],
        len(texts),
        min(ranks, default=0),
        max(ranks, default=0) - len(ranks),
        len(set(ranks)),
    )
