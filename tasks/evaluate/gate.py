"""Hold a candidate against its floors, its quantized copies and the champion. The part that must never be wrong."""

import math
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contracts import EvalReport, GateResult, QuantizedKind, Sample
from tasks.evaluate.comparison import Pairs, chance_of, groups, loss_interval, mismatch, pair
from tasks.recipe import Gates

SLACK = 1e-9  # what binary fractions of decimal limits may be off by: 0.90 - 0.87 is 0.03 and a little


def gate(
    policy: Gates,
    candidate: EvalReport,
    quantized: Mapping[QuantizedKind, EvalReport],
    champion: EvalReport | None,
    metrics: Mapping[str, float],
) -> tuple[GateResult, ...]:
    """Apply every rule of a policy; the reasons are in docs/explanation/gates.md.

    Args:
        quantized: reports on the quantized copies of the candidate.
        champion: the report on the model in service, None while there is none.
        metrics: figures from training that `policy.floors` may name, such as preference_accuracy.

    Returns:
        One result a rule, in the order that a person reads them.
    """
    scores = {**metrics, **exact_matches(candidate)}
    before = exact_matches(champion) if champion else {}
    return (
        evidence(candidate, [*quantized.values(), *([champion] if champion else [])]),
        *(floor(name, scores.get(name), least, before.get(name)) for name, least in sorted(policy.floors.items())),
        *(quantization_loss(k, candidate, quantized.get(k), most) for k, most in policy.quantization_loss.items()),
        *(no_limit(kind) for kind in quantized if kind not in policy.quantization_loss),
        *(against(policy, candidate, champion) if champion else [no_champion(policy)]),
    )


def passed(results: tuple[GateResult, ...]) -> bool:
    """Whether all rules hold; no rules hold nothing."""
    return bool(results) and all(result.passed for result in results)


def exact_matches(report: EvalReport) -> dict[str, float]:
    """Exact match over all items, and in the weakest family and language; NaN for an empty report."""
    return {
        "exact_match": report.exact_match(),
        "family_exact_match": min(report.families().values(), default=math.nan),
    }


def evidence(candidate: EvalReport, others: list[EvalReport]) -> GateResult:
    """Every report is on the same, non-empty set of items."""
    count = float(len(candidate.samples))
    reasons = [why for other in (others or [candidate]) if (why := mismatch(candidate, other))]
    said = "; ".join(reasons) or f"{len(others) + 1} reports on the same {count:.0f} items"
    return GateResult(name="evidence", value=count, threshold=1, passed=not reasons and count >= 1, reason=said)


def floor(name: str, value: float | None, least: float, champion: float | None = None) -> GateResult:
    """A figure is at least `least`."""
    if value is None or not math.isfinite(value):
        reason = "no such figure was measured" if value is None else f"measured as {value}, which is not a number"
        return GateResult(
            name=name, value=None, threshold=least, champion=number(champion), passed=False, reason=reason
        )
    fine = value >= least - SLACK
    reason = f"{value:.3f} is {'at least' if fine else 'below'} {least:g}"
    return GateResult(name=name, value=value, threshold=least, champion=number(champion), passed=fine, reason=reason)


def quantization_loss(kind: QuantizedKind, candidate: EvalReport, report: EvalReport | None, most: float) -> GateResult:
    """A quantized copy answers at most `most` less of the items rightly than the model that it was made of."""
    name = f"quantization_loss/{kind}"
    why = f"no report on {kind}" if report is None else mismatch(candidate, report)
    if report is None or why:
        return GateResult(name=name, value=None, threshold=most, passed=False, reason=f"cannot be told: {why}")
    whole, copy = candidate.exact_match(), report.exact_match()
    loss = pair(report.samples, candidate.samples).loss()
    fine = loss <= most + SLACK
    reason = f"{whole:.3f} to {copy:.3f}: a loss of {loss:.3f} is {'within' if fine else 'above'} {most:g}"
    return GateResult(name=name, value=loss, threshold=most, passed=fine, reason=reason)


def no_limit(kind: QuantizedKind) -> GateResult:
    """A quantized copy that nothing was asked of does not pass."""
    reason = f"no limit is set: add gates.quantization_loss.{kind} to the recipe"
    return GateResult(name=f"quantization_loss/{kind}", value=None, threshold=None, passed=False, reason=reason)


def no_champion(policy: Gates) -> GateResult:
    """Said in so many words, so that nobody takes the missing comparison for a passed one; without a floor it fails."""
    if policy.floors:
        reason = "no champion yet: floors and quantization limits decide alone"
    else:
        reason = "no champion yet and no floor: add one to gates.floors of the recipe"
    return GateResult(name="champion", value=None, threshold=None, passed=bool(policy.floors), reason=reason)


def against(policy: Gates, candidate: EvalReport, champion: EvalReport) -> list[GateResult]:
    """The rules that need a champion: better on the whole, and worse in no family."""
    why = mismatch(candidate, champion)
    if why:
        names = ("better", "not_worse")
        told = f"cannot be told: {why}"
        return [GateResult(name=name, value=None, threshold=None, passed=False, reason=told) for name in names]
    new, old = candidate.samples, champion.samples
    families = groups(new)
    tail = (1 - policy.confidence) / len(families)  # shared, so that all families together keep the confidence
    return [
        better(pair(new, old), champion.exact_match(), policy.confidence),
        *(
            not_worse(name, pair(new, old, ids), scored(old, ids), policy.family_margin, tail)
            for name, ids in families.items()
        ),
    ]


def better(pairs: Pairs, champion: float, confidence: float) -> GateResult:
    """The candidate has more items right than the champion, beyond what chance gives equal models. A tie fails."""
    chance = chance_of(pairs.gained, pairs.lost)
    fine = pairs.gained > pairs.lost and chance < 1 - confidence
    said = "a tie" if pairs.gained == pairs.lost else f"equal models differ so much in {chance:.2g} of cases"
    reason = f"{pairs.gained} gained, {pairs.lost} lost of {pairs.items}: {said}; below {1 - confidence:.2g} is asked"
    return GateResult(name="better", value=pairs.gain(), threshold=0, champion=champion, passed=fine, reason=reason)


def not_worse(family: str, pairs: Pairs, champion: float, margin: float, tail: float) -> GateResult:
    """Fails when the candidate is worse beyond noise: the loss is surely above 0 and not surely within `margin`."""
    low, high = loss_interval(pairs, tail)
    worse = low > 0 and high > margin + SLACK
    interval = f"[{0 - high:+.3f}, {0 - low:+.3f}] at {1 - 2 * tail:.1%}"
    certain = "worse beyond noise" if worse else "a sure loss, but within the margin"
    said = certain if low > 0 else "no worse beyond noise"
    reason = f"{pairs.gained} gained, {pairs.lost} lost of {pairs.items}, {interval}: {said}"
    name = f"not_worse/{family}"
    return GateResult(
        name=name, value=pairs.gain(), threshold=-margin, champion=champion, passed=not worse, reason=reason
    )


def scored(samples: tuple[Sample, ...], ids: set[str]) -> float:
    """Exact match on some of the items."""
    return sum(sample.correct for sample in samples if sample.id in ids) / len(ids)


def number(value: float | None) -> float | None:
    """The value when it is one; None for what JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None


gate_task = task(gate, name="gate", cache_policy=NO_CACHE)
