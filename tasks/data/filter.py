"""The verb `filter`: keep what may be trained on; every rejected record keeps all its reasons, with the evidence."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import DatasetKind
from tasks.data.read import ReadResult
from tasks.data.shapes import Fields
from tasks.data.source import evaluation_sets, find_dataset, load_policy, read_source, source_digest, source_record
from tasks.data.stage import run_stage
from tasks.data.write import write_json, write_lines
from tasks.errors import StageFailed
from tasks.recipe import Params

UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Filtered:
    """Canonical records that stay, rejected ones with their reasons, and the counts of both."""

    kept: list[Fields]
    rejected: list[dict[str, Any]]  # {"id", "line", "reasons": [{"reason", "evidence"}], "record"}, by line
    funnel: dict[str, Any]  # {"read", "unreadable", "kept", "rejected", "reasons": {code: count}}


def filter(  # noqa: A001
    found: ReadResult, kind: DatasetKind, languages: Sequence[str], evaluation: Sequence[Fields], file: str
) -> Filtered:
    """Judge every record by every filter of its kind, in one pass.

    Args:
        evaluation: evaluation records that must not be among them.
        file: how the source is called in the evidence of unreadable lines.
    """
    from tasks.data.filters import filters_for
    from tasks.data.filters.base import frame

    batch = frame(found.records, found.lines)
    filters = filters_for(kind, languages, frame(evaluation, [0] * len(evaluation)))
    judged = batch.select(each.judge(batch).alias(each.reason) for each in filters)
    reasons = [each.reason for each in filters]
    kept: list[Fields] = []
    rejected: list[dict[str, Any]] = []
    for record, line, verdicts in zip(found.records, found.lines, judged.iter_rows(), strict=True):
        against = [{"reason": r, "evidence": v} for r, v in zip(reasons, verdicts, strict=True) if v is not None]
        if against:
            rejected.append({"id": record["id"], "line": line, "reasons": against, "record": record})
        else:
            kept.append(record)
    counts = Counter(each["reason"] for row in rejected for each in row["reasons"])
    if found.unreadable:
        counts[UNREADABLE] = len(found.unreadable)
    for place in found.unreadable:
        why = [{"reason": UNREADABLE, "evidence": f"{file}, {place}"}]
        rejected.append({"id": "", "line": place.line, "reasons": why, "record": place.text})
    rejected.sort(key=lambda row: row["line"])
    funnel = {
        "read": found.total,
        "unreadable": len(found.unreadable),
        "kept": len(kept),
        "rejected": len(found.records) - len(kept),
        "reasons": {code: counts[code] for code in [UNREADABLE, *reasons] if counts[code]},
    }
    return Filtered(kept, rejected, funnel)


def evaluation_records(params: Params) -> list[Fields]:
    """The records of every evaluation set of params.yaml.

    Raises:
        StageFailed: a set is not the one that was validated, so that DVC would record a wrong dependency.
    """
    records: list[Fields] = []
    for name, dataset in evaluation_sets(params).items():
        found = read_source(name, dataset)
        known = source_record(name, dataset)
        if known.is_file() and source_digest(dataset) not in known.read_text("utf-8"):
            raise StageFailed(f'Evaluation set "{name}" changed after it was validated. Run  pawl nightly  again.')
        records.extend(found.records)
    return records


def run(name: str) -> str:
    """Filter one dataset of params.yaml; writes data/clean/NAME.kept.jsonl, data/rejects and data/reports/filter."""
    params = load_policy()
    dataset = find_dataset(params, name)
    found = read_source(name, dataset)
    against = [] if dataset.kind == "evaluation" else evaluation_records(params)
    result = filter(found, dataset.kind, dataset.languages, against, Path(dataset.source).name)
    write_lines(Path(f"data/clean/{name}.kept.jsonl"), result.kept)
    write_lines(Path(f"data/rejects/{name}.jsonl"), result.rejected)
    write_json(Path(f"data/reports/filter/{name}.json"), result.funnel)
    return f"{result.funnel['kept']} of {result.funnel['read']} records kept"


if __name__ == "__main__":
    run_stage("filter", run)
