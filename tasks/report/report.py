"""Report: one self-contained HTML page that shows what a night did and why it ended as it did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contracts import EvalReport, GateVerdict, NightReport, QuantizedModel
from tasks.report.charts import Curve, charts, figures
from tasks.report.views import comparisons, finite, funnel, headline, score_rows, sorted_gates, validation

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent
LINK_SCHEMES = {"", "http", "https", "file"}


@dataclass(frozen=True)
class NightEvidence:
    """What a night left behind for the page, beside its report. Every part may be missing; the page then says so."""

    curves: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)  # step -> metric -> (step, value) points
    funnels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # dataset -> data/reports/filter/NAME.json
    validations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # data/reports/validate/NAME.json
    evaluations: Sequence[EvalReport] = ()  # base first, then in the order of the columns to show
    quantized: Sequence[QuantizedModel] = ()
    verdict: GateVerdict | None = None
    lineage: Mapping[str, str] = field(default_factory=dict)  # what -> commit, md5, digest or fingerprint
    links: Mapping[str, str] = field(default_factory=dict)  # words -> address


def report(night: NightReport, evidence: NightEvidence) -> str:
    """The page of one night, as UTF-8 HTML without any outside resource.

    Everything that a model, a dataset or an error said is escaped. Equal records give an equal page.
    """
    steps = ["sft", "dpo", *(name for name in evidence.curves if name not in ("sft", "dpo"))]
    curves = {
        name: {metric: list(points) for metric, points in evidence.curves.get(name, {}).items()} for name in steps
    }
    return template().render(
        night=night,
        evidence=evidence,
        headline=headline(night),
        training={name: (charts(metrics), figures(metrics)) for name, metrics in curves.items()},
        funnels={name: funnel(found) for name, found in evidence.funnels.items()},
        validations={name: validation(found) for name, found in evidence.validations.items()},
        subjects=[evaluation.subject for evaluation in evidence.evaluations],
        scores=score_rows(evidence.evaluations),
        gates=sorted_gates(evidence.verdict.gates if evidence.verdict else night.gates),
        comparisons=comparisons(evidence.evaluations),
        total_seconds=sum(step.seconds for step in night.steps),
    )


@cache
def template() -> "Template":
    """The page's template, with autoescape on and unknown names refused."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(href=href, number=number, seconds=seconds, short=short, words=words)
    return environment.get_template("report.html.j2")


def href(address: str) -> str:
    """The address if following it opens a page; nothing if it would run code."""
    return address if urlsplit(address).scheme in LINK_SCHEMES else ""


def number(value: float | None, digits: int = 3) -> str:
    """`0.934`; a count without digits; words where there is no number."""
    if value is None or finite(float(value)) is None:
        return "missing" if value is None else "not a number"
    if isinstance(value, int) or (abs(value) >= 10 and value.is_integer()):
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) >= 10**-digits or value == 0 else f"{value:.1e}"


def words(name: str) -> str:
    """A metric's name as a heading: `size_mb` is `size MB`."""
    return name.replace("_mb", " MB").replace("_", " ")


def seconds(value: float) -> str:
    """`0.4 s`, `98 s`, `6 min 10 s`."""
    if value < 10:
        return f"{value:.1f} s"
    return f"{value:.0f} s" if value < 120 else f"{int(value) // 60} min {int(value) % 60} s"


def short(digest: str) -> str:
    """A digest's first twelve characters; a folder's md5 keeps its ending."""
    return digest if len(digest) <= 20 else digest[:12] + "…" + (".dir" if digest.endswith(".dir") else "")


report_task = task(report, name="report", cache_policy=NO_CACHE)
