"""The verb `validate`: decide whether a dataset version may come in at all, by its expectation suite."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.adapters.expectations import Expectation, Verdict, evaluate
from tasks.data.expectations import MINIMUM, suite, suite_hash, table
from tasks.data.read import ReadResult
from tasks.data.source import find_dataset, forget_old_records, load_policy, read_source, source_digest, source_record
from tasks.data.stage import run_stage
from tasks.data.write import write_json
from tasks.errors import DatasetRefused
from tasks.recipe import Dataset

DOCS = Path("data/reports/data_docs")
SHOWN = 5  # broken lines that a message names


def validate(name: str, found: ReadResult, expectations: Sequence[Expectation], docs: Path) -> list[Verdict]:
    """Hold the records against the suite and write Data Docs to `docs`.

    Raises:
        DatasetRefused: no records, or fewer expectations evaluated than the suite has or than MINIMUM. Great
            Expectations itself passes an empty table and an empty suite.
    """
    if not found.records:
        raise DatasetRefused(f'Dataset "{name}" is empty: {found.total} records in its file. Add records to it.')
    verdicts = evaluate(name, expectations, table(found), docs)
    if len(verdicts) < max(MINIMUM, len(expectations)):
        raise DatasetRefused(
            f'Dataset "{name}": {len(verdicts)} expectations evaluated of {max(MINIMUM, len(expectations))} needed. '
            "Correct its suite in tasks/data/expectations.py."
        )
    return verdicts


def refusals(name: str, dataset: Dataset, found: ReadResult, verdicts: Sequence[Verdict]) -> list[str]:
    """What speaks against this version, each with what was seen and what to do; empty when nothing does."""
    problems: list[str] = []
    share = len(found.unreadable) / found.total
    if share > dataset.max_unreadable:
        places = [f"    {place}" for place in found.unreadable[:SHOWN]]
        problems.append(
            f"  {len(found.unreadable)} of {found.total} records cannot be read "
            f"({share:.2%}; {dataset.max_unreadable:.2%} are let pass)\n"
            + "\n".join(places)
            + f"\n    Correct these lines, or raise  datasets.{name}.max_unreadable  in params.yaml."
        )
    for expectation, passed, observed in verdicts:
        if not passed:
            column = expectation.arguments.get("column", "table")
            problems.append(
                f"  {expectation.meaning}  [{column}: {expectation.type}]\n    seen: {observed}\n"
                f"    {upper_first(expectation.fix)}."
            )
    return problems


def report(name: str, dataset: Dataset, found: ReadResult, verdicts: Sequence[Verdict], passed: bool) -> dict[str, Any]:
    """The account of a validation: the same on every machine, without times or folders."""
    return {
        "dataset": name,
        "kind": dataset.kind,
        "source": Path(dataset.source).name,
        "passed": passed,
        "records": len(found.records),
        "unreadable": len(found.unreadable),
        "suite": suite_hash(dataset.kind),
        "expectations": [
            {
                "passed": verdict.passed,
                "meaning": verdict.expectation.meaning,
                "observed": verdict.observed,
                "expectation": verdict.expectation.type,
                **verdict.expectation.arguments,
            }
            for verdict in verdicts
        ],
        "unreadable_lines": [{"line": at.line, "column": at.column, "cause": at.cause} for at in found.unreadable],
    }


def upper_first(text: str) -> str:
    """A sentence's start."""
    return text[:1].upper() + text[1:]


def run(name: str) -> str:
    """Validate one dataset of params.yaml; writes data/reports/validate, data/reports/sources and Data Docs.

    Raises:
        DatasetRefused: exit code 3; the message names every expectation that failed, what was seen, and the fix.
    """
    params = load_policy()
    dataset = find_dataset(params, name)
    forget_old_records(params)
    found = read_source(name, dataset)
    docs = DOCS / name
    shutil.rmtree(docs, ignore_errors=True)
    verdicts = validate(name, found, suite(dataset), docs)
    problems = refusals(name, dataset, found, verdicts)
    write_json(Path(f"data/reports/validate/{name}.json"), report(name, dataset, found, verdicts, passed=not problems))
    if problems:
        raise DatasetRefused(
            "\n".join([f'Dataset "{name}" ({dataset.source}) is refused: {len(problems)} problem(s)', *problems])
            + f"\nSee {docs}/index.html, then run  pawl nightly  again."
        )
    noted = {"dataset": name, "sha256": source_digest(dataset), "records": found.total}
    write_json(source_record(name, dataset), noted)
    return f"{len(verdicts)} expectations hold for {len(found.records)} records"


if __name__ == "__main__":
    run_stage("validate", run)
