"""The records that steps hand to one another: frozen, versioned, plain values.

What identifies a thing is in its record; where it lies is not.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

Fingerprint = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(min_length=1)]
DatasetKind = Literal["demonstrations", "comparisons", "prompts", "evaluation"]
Stage = Literal["sft", "dpo"]
QuantizedKind = Literal["nf4", "int8"]
ModelKind = Literal["adapter", "nf4", "int8"]
StepStatus = Literal["done", "reused", "resumed", "skipped", "failed"]
NightStatus = Literal["registered", "up_to_date", "rejected", "failed", "planned"]


class Record(BaseModel):
    """Base of every record: immutable, no unknown fields, JSON both ways."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetVersion(Record):
    """One version of one dataset: the md5 of what came in and of what training reads."""

    schema_version: Literal[1] = 1
    name: str
    kind: DatasetKind
    source_md5: Digest
    md5: Digest  # DVC's md5 of the folder data/clean/NAME; ends in ".dir"


class BaseModelVersion(Record):
    """The model that adapters are trained on. `digest` is the hub's commit, or sha256 over a folder's files."""

    schema_version: Literal[1] = 1
    name: str
    digest: Digest


class Adapter(Record):
    """A trained PEFT adapter: what it is, where it came from, and the digest of its bytes."""

    schema_version: Literal[1] = 1
    kind: Literal["adapter"] = "adapter"
    recipe: str
    stage: Stage
    fingerprint: Fingerprint
    base_digest: Digest
    parent_digest: Digest | None = None  # content digest of the adapter that this one continues
    digest: Digest  # sha256 over (relative path, bytes) of its files, sorted by path
    run_id: str  # the MLflow run that made it; its files are the run's artifact folder "model"
    metrics: dict[str, float]


class QuantizedModel(Record):
    """A merged and quantized model, ready to serve by itself."""

    schema_version: Literal[1] = 1
    kind: QuantizedKind
    recipe: str
    stage: Stage  # of the adapter that was merged
    fingerprint: Fingerprint
    base_digest: Digest
    parent_digest: Digest  # content digest of the adapter that was merged
    digest: Digest
    run_id: str
    metrics: dict[str, float]  # size_mb, merge_logit_difference, reload_logit_difference, logit_difference


class Sample(Record):
    """One evaluated item: what was asked of the model, what it said, whether that was right."""

    id: str
    task: str
    lang: str
    prompt: str
    answer: str
    output: str
    correct: bool


class EvalReport(Record):
    """One model on one evaluation set. Scores are derived from the samples, never stored beside them."""

    schema_version: Literal[1] = 1
    subject: str  # base, sft, dpo, nf4, int8, champion
    fingerprint: Fingerprint
    model_digest: Digest
    suite: str
    suite_digest: Digest
    run_id: str
    samples: tuple[Sample, ...]

    def exact_match(self) -> float:
        """Share of correct samples; NaN for an empty set."""
        return mean([s.correct for s in self.samples])

    def families(self) -> dict[str, float]:
        """Exact match by "task/lang", sorted by name."""
        groups: dict[str, list[bool]] = {}
        for sample in self.samples:
            groups.setdefault(f"{sample.task or 'unknown'}/{sample.lang or 'unknown'}", []).append(sample.correct)
        return {name: mean(groups[name]) for name in sorted(groups)}


class GateResult(Record):
    """One rule applied: the number, what it was held against, and why it passed or did not."""

    name: str
    value: float | None  # None: the metric is missing or not a number
    threshold: float | None
    champion: float | None = None
    passed: bool
    reason: str


class GateVerdict(Record):
    """All rules on one candidate set, with the digest of everything that was looked at."""

    schema_version: Literal[1] = 1
    recipe: str
    fingerprint: Fingerprint
    run_id: str
    passed: bool
    gates: tuple[GateResult, ...]
    inputs: dict[str, Digest]  # e.g. {"candidate": …, "nf4": …, "champion": …, "suite": …, "dataset/demos": …}


class RegisteredModel(Record):
    """A version in MLflow's registry, as `pawl model list --json` prints it."""

    name: str
    version: int
    kind: ModelKind
    aliases: tuple[str, ...]
    digest: Digest
    tags: dict[str, str]


class StepReport(Record):
    """How one step of a night went."""

    name: str
    status: StepStatus
    seconds: float
    reason: str = ""


class NightReport(Record):
    """What `pawl nightly --json` prints."""

    recipe: str
    status: NightStatus
    fingerprint: str
    steps: tuple[StepReport, ...]
    gates: tuple[GateResult, ...] = ()
    models: tuple[RegisteredModel, ...] = ()
    report: str | None = None


class NightSummary(Record):
    """One line of `pawl run list`."""

    run_id: str
    recipe: str
    started: str  # ISO 8601, UTC
    seconds: int | None
    status: str
    fingerprint: str


class Check(Record):
    """One line of `pawl doctor`."""

    name: str
    good: bool
    detail: str
    fix: str = ""


def mean(values: list[bool] | list[float]) -> float:
    """Arithmetic mean; NaN for no values, so that nothing empty can pass a gate."""
    return sum(values) / len(values) if values else float("nan")


def canonical_json(value: object) -> str:
    """One spelling for equal values: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_digest(folder: Path) -> Digest:
    """sha256 over (relative path, file bytes) of all files under `folder`, sorted by path."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{inner}\n".encode())
    return total.hexdigest()
