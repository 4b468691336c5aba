"""Two models on the same items: what was lost, what was gained, and how much of that may be chance."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tasks.contracts import EvalReport, Sample

RESAMPLES = 20_000
SEED = 0


class Pairs(NamedTuple):
    """Items that both models answered: `lost` only the old one had right, `gained` only the new one."""

    items: int
    lost: int
    gained: int

    def loss(self) -> float:
        """Old score less new score; negative for a gain."""
        return (self.lost - self.gained) / self.items

    def gain(self) -> float:
        """New score less old score."""
        return (self.gained - self.lost) / self.items


def mismatch(one: EvalReport, other: EvalReport) -> str | None:
    """Why two reports cannot be compared item by item, or None when they can."""
    if one.suite_digest != other.suite_digest:
        return f"{one.subject} and {other.subject} were evaluated on different sets or suites"
    if not one.samples or not other.samples:
        return f"{one.subject if not one.samples else other.subject} has no samples"
    for report in (one, other):
        if len({sample.id for sample in report.samples}) < len(report.samples):
            return f"{report.subject} answers an item twice"
    missing = {question(s) for s in one.samples} ^ {question(s) for s in other.samples}
    return (
        f"{one.subject} and {other.subject} differ in {len(missing)} items, such as {min(missing)[0]}"
        if missing
        else None
    )


def question(sample: Sample) -> tuple[str, ...]:
    """What makes two samples answers to the same question."""
    return sample.id, sample.task, sample.lang, sample.prompt, sample.answer


def groups(samples: Iterable[Sample]) -> dict[str, set[str]]:
    """Item ids by "task/lang", and by "task" where a task has several languages; sorted by name."""
    found: dict[str, set[str]] = {}
    languages: dict[str, set[str]] = {}
    for sample in samples:
        task, lang = sample.task or "unknown", sample.lang or "unknown"
        languages.setdefault(task, set()).add(lang)
        for name in (task, f"{task}/{lang}"):
            found.setdefault(name, set()).add(sample.id)
    return {name: found[name] for name in sorted(found) if len(languages.get(name, "12")) > 1}


def pair(new: Sequence[Sample], old: Sequence[Sample], ids: set[str] | None = None) -> Pairs:
    """Both models' results on the same items, or on those of them in `ids`."""
    before = {sample.id: sample.correct for sample in old}
    both = [(before[sample.id], sample.correct) for sample in new if ids is None or sample.id in ids]
    return Pairs(len(both), both.count((True, False)), both.count((False, True)))


def loss_interval(pairs: Pairs, tail: float) -> tuple[float, float]:
    """Lower and upper confidence bound of the loss, each missed with a chance of about `tail`.

    The paired percentile bootstrap. Drawing items with replacement is drawing how many of them are lost, gained and
    the same from a multinomial distribution, so no item need be touched. The same pairs give the same bounds.
    Source: Efron & Tibshirani 1993, ch. 13.
    """
    import numpy as np

    items, lost, gained = pairs
    shares = [lost / items, gained / items, (items - lost - gained) / items]
    draws = np.random.default_rng(SEED).multinomial(items, shares, size=RESAMPLES)
    losses = np.sort(draws[:, 0] - draws[:, 1])
    cut = math.floor(tail * RESAMPLES)
    return float(losses[cut]) / items, float(losses[-1 - cut]) / items


def chance_of(more: int, fewer: int) -> float:
    """The chance that equal models differ this much or more in this direction: exact one-sided McNemar test.

    Source: McNemar 1947; the exact form is the sign test on the items where the two differ.
    """
    differ = more + fewer
    return sum(math.comb(differ, k) for k in range(more, differ + 1)) / 2**differ
