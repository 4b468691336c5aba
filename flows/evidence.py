"""What the report page shows of a night, collected from where the steps left it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.night import Night
from tasks.contracts import Adapter, EvalReport, GateVerdict, QuantizedModel
from tasks.report.report import NightEvidence


def gather(
    night: Night,
    verdict: GateVerdict | None,
    adapters: Sequence[Adapter],
    quantized: Sequence[QuantizedModel],
    reports: Sequence[EvalReport],
) -> NightEvidence:
    """Curves from MLflow, funnels and validations from data/reports, the rest from the records."""
    return NightEvidence(
        curves={adapter.stage: night.runs.curves(adapter.run_id) for adapter in adapters},
        funnels=data_reports(night, "filter"),
        validations=data_reports(night, "validate"),
        evaluations=reports,
        quantized=quantized,
        verdict=verdict,
        lineage=lineage(night),
        links=links(night),
    )


def data_reports(night: Night, verb: str) -> dict[str, Mapping[str, Any]]:
    """The JSON report of a data step for every dataset that has one."""
    folder = night.env.root / "data" / "reports" / verb
    files = {name: folder / f"{name}.json" for name in night.dataset_names()}
    return {name: json.loads(path.read_text("utf-8")) for name, path in files.items() if path.is_file()}


def lineage(night: Night) -> dict[str, str]:
    """What the night was made of, by name."""
    return {
        "recipe": str(night.path),
        "git commit": night.commit,
        "base model": f"{night.base.name} {night.base.digest}",
        "evaluation suite": night.suite_digest,
        "fingerprint": night.fingerprint,
        **{f"dataset {name}": version.md5 for name, version in night.data.items()},
    }


def links(night: Night) -> dict[str, str]:
    """Pages beside this one."""
    docs = night.env.root / "data" / "reports" / "data_docs"
    found: dict[str, str] = {}
    index = next(iter(sorted(docs.rglob("index.html"))), None) if docs.is_dir() else None
    if index is not None:
        found["Great Expectations Data Docs"] = Path(index).as_uri()
    if not night.env.embedded_mlflow:
        found["MLflow"] = night.env.mlflow_uri
    return found
