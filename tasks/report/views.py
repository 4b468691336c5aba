"""What the page shows of a night's records: which answers, which table rows, which words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.contracts import EvalReport, GateResult, NightReport, Sample

MORE_DISAGREEMENTS = 4


@dataclass(frozen=True)
class Headline:
    """The verdict in words: what happened, why, what to do next."""

    tone: str  # good, bad or calm
    title: str
    why: str
    next_step: str


@dataclass(frozen=True)
class Said:
    """One answer and all the models that gave it."""

    models: tuple[str, ...]
    output: str
    correct: bool


@dataclass(frozen=True)
class Comparison:
    """One held-out prompt with what every model answered, equal answers together."""

    id: str
    family: str
    prompt: str
    answer: str
    said: tuple[Said, ...]
    differs: bool


@dataclass(frozen=True)
class Expected:
    """One expectation of a dataset's suite and what was seen."""

    meaning: str
    passed: bool
    observed: str
    rule: str


@dataclass(frozen=True)
class Validation:
    """What validation found in one dataset version, from data/reports/validate/NAME.json."""

    passed: bool
    about: str
    expected: tuple[Expected, ...]  # those that do not hold first
    unreadable: tuple[str, ...]


def validation(found: Mapping[str, Any]) -> Validation:
    """Read validation's account of one dataset."""
    about = f"{found['records']:,} {found['kind']} from {found['source']}, {found['unreadable']:,} unreadable records"
    expected = [
        Expected(each["meaning"], each["passed"], each["observed"], rule(each)) for each in found["expectations"]
    ]
    lines = [f"line {each['line']}, column {each['column']}: {each['cause']}" for each in found["unreadable_lines"]]
    return Validation(found["passed"], about, tuple(sorted(expected, key=lambda e: e.passed)), tuple(lines))


def rule(expectation: Mapping[str, Any]) -> str:
    """An expectation in Great Expectations' words with its arguments."""
    words = ("passed", "meaning", "observed", "expectation")
    arguments = [f"{name}={value}" for name, value in expectation.items() if name not in words]
    return f"{expectation['expectation']}({', '.join(arguments)})"


@dataclass(frozen=True)
class Funnel:
    """What the filter did to one dataset, from data/reports/filter/NAME.json."""

    read: int
    kept: int
    rejected: int
    unreadable: int
    reasons: tuple[tuple[str, int], ...]  # most frequent first

    def share(self, part: str) -> float:
        """Share of `kept`, `rejected` or `unreadable` in all records; 0 for an empty dataset."""
        total = self.kept + self.rejected + self.unreadable
        return int(getattr(self, part)) / total if total else 0.0


def funnel(found: Mapping[str, Any]) -> Funnel:
    """Read the filter's account of one dataset."""
    reasons = sorted(found["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    counts = {name: int(found[name]) for name in ("read", "kept", "rejected", "unreadable")}
    return Funnel(**counts, reasons=tuple(reasons))


def headline(night: NightReport) -> Headline:
    """Say the outcome of a night so that it can be acted on without reading further."""
    broken = [gate for gate in night.gates if not gate.passed]
    failed = next((step for step in night.steps if step.status == "failed"), None)
    if night.status == "failed" and failed:
        why = f"{(failed.reason or 'No reason was recorded').rstrip('.')}. {untouched(night)}"
        return Headline("bad", f"Failed at {failed.name}", why, "pawl nightly")
    if night.status == "failed":
        return Headline("bad", "Failed before the first step", untouched(night), "pawl doctor")
    if night.status == "up_to_date":
        return Headline("calm", "Up to date", "Nothing changed since the last finished night.", "pawl nightly --force")
    if night.status == "planned":
        return Headline("calm", "Planned", "Nothing has run yet.", "pawl nightly")
    if night.status == "registered":
        return Headline(
            "good", "Registered", registered_words(night), f'pawl release promote {night.recipe} --reason "…"'
        )
    if broken:
        names = ", ".join(gate.name for gate in broken)
        why = f"{len(broken)} of {counted(len(night.gates), 'rule')} did not hold: {names}. {untouched(night)}"
    else:
        said = (failed.reason if failed else "") or "The candidate was refused"
        why = f"{said.rstrip('.')}. {untouched(night)}"
    return Headline("bad", "Rejected", why, "pawl run show")


def untouched(night: NightReport) -> str:
    """What a night without a new challenger leaves in service."""
    return f"The champion of {night.recipe} is as it was."


def registered_words(night: NightReport) -> str:
    """How many rules held, and which versions came of it."""
    versions = ", ".join(f"{model.name} v{model.version} ({model.kind})" for model in night.models)
    rules = f"All {counted(len(night.gates), 'rule')} held." if night.gates else ""
    return f"{rules} New in the registry: {versions or 'nothing'}. It serves only after it is promoted.".strip()


def counted(number: int, noun: str) -> str:
    """`1 rule`, `3 rules`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def comparisons(evaluations: Sequence[EvalReport]) -> list[Comparison]:
    """The same prompts answered by every model: one of each family and language, disagreements first.

    Only items that every model was asked. Disagreement means that one trained model is right where another is wrong.
    The choice depends on the records alone, so two pages of one night show the same prompts.
    """
    if not evaluations:
        return []
    by_model = {report.subject: {sample.id: sample for sample in report.samples} for report in evaluations}
    shared = set.intersection(*(set(samples) for samples in by_model.values()))
    families: dict[str, list[Comparison]] = {}
    for comparison in sorted((compare(item, by_model) for item in shared), key=worth_seeing):
        families.setdefault(comparison.family, []).append(comparison)
    firsts = [group[0] for group in families.values()]
    more = [group[1] for group in families.values() if len(group) > 1 and group[1].differs]
    return sorted([*firsts, *more[:MORE_DISAGREEMENTS]], key=worth_seeing)


def worth_seeing(comparison: Comparison) -> tuple[bool, bool, str]:
    """Sort key: disagreements first, then what somebody got wrong, then by name."""
    all_right = all(said.correct for said in comparison.said)
    return not comparison.differs, all_right, comparison.family + comparison.id


def compare(item: str, by_model: Mapping[str, Mapping[str, Sample]]) -> Comparison:
    """One item with equal answers put together, in the order of the models."""
    answers: dict[tuple[str, bool], list[str]] = {}
    for model, samples in by_model.items():
        answers.setdefault((samples[item].output, samples[item].correct), []).append(model)
    said = tuple(Said(tuple(models), output, correct) for (output, correct), models in answers.items())
    trained = {samples[item].correct for model, samples in by_model.items() if model != "base"}
    sample = next(iter(by_model.values()))[item]
    return Comparison(item, family(sample.task, sample.lang), sample.prompt, sample.answer, said, len(trained) > 1)


def family(task: str, lang: str) -> str:
    """`qa/ko`; items without a task or language say so."""
    return f"{task or 'no task'}/{lang or 'no language'}"


def score_rows(evaluations: Sequence[EvalReport]) -> list[tuple[str, list[float | None]]]:
    """Exact match: first over all, then by family and language; None where a model has no such items."""
    families = [report.families() for report in evaluations]
    names = sorted({name for scores in families for name in scores})
    overall: list[float | None] = [finite(report.exact_match()) for report in evaluations]
    return [("all", overall), *((name, [finite(scores.get(name)) for scores in families]) for name in names)]


def finite(value: float | None) -> float | None:
    """The value, or None where there is none to show."""
    return value if value is not None and math.isfinite(value) else None


def sorted_gates(gates: Sequence[GateResult]) -> list[GateResult]:
    """Rules that did not hold first, otherwise as they were applied."""
    return sorted(gates, key=lambda gate: gate.passed)
