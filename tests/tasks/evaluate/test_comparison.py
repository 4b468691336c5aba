"""Two models on the same items."""

import itertools
import math

import numpy as np
import pytest

from tasks.contracts import EvalReport, Sample
from tasks.evaluate.comparison import Pairs, chance_of, groups, loss_interval, mismatch, pair


def samples(*right: bool, task: str = "qa", lang: str = "en", first: int = 0) -> tuple[Sample, ...]:
    return tuple(
        Sample(id=f"{task}-{lang}-{n}", task=task, lang=lang, prompt="?", answer="!", output="", correct=correct)
        for n, correct in enumerate(right, start=first)
    )


def report(*answered: Sample, digest: str = "suite", subject: str = "dpo") -> EvalReport:
    return EvalReport(
        subject=subject,
        fingerprint="0" * 64,
        model_digest="m",
        suite="heldout",
        suite_digest=digest,
        run_id="r",
        samples=answered,
    )


def test_items_lost_and_gained_are_counted_by_id_not_by_place():
    old, new = samples(True, True, False, False), samples(True, False, True, False)
    assert pair(tuple(reversed(new)), old) == Pairs(items=4, lost=1, gained=1)
    assert pair(new, old, {"qa-en-1", "qa-en-3"}) == Pairs(items=2, lost=1, gained=0)


def test_groups_are_families_by_language_and_families_of_several_languages():
    both = (*samples(True), *samples(True, lang="ko"), *samples(True, task="chat"))
    assert list(groups(both)) == ["chat/en", "qa", "qa/en", "qa/ko"]
    assert groups(both)["qa"] == {"qa-en-0", "qa-ko-0"}


def test_unlabelled_items_are_a_group_with_a_name():
    assert list(groups(samples(True, task="", lang=""))) == ["unknown/unknown"]


def test_the_interval_is_that_of_resampled_items():
    lost, gained, items, tail = 9, 4, 50, 0.025
    differences = np.array([1] * lost + [-1] * gained + [0] * (items - lost - gained))
    drawn = np.random.default_rng(7).choice(differences, size=(20_000, items)).mean(axis=1)
    low, high = loss_interval(Pairs(items, lost, gained), tail)
    assert low == pytest.approx(np.quantile(drawn, tail), abs=0.021)  # one item is 0.02
    assert high == pytest.approx(np.quantile(drawn, 1 - tail), abs=0.021)


def test_the_interval_is_the_same_each_time_and_wider_for_more_confidence():
    pairs = Pairs(50, 6, 2)
    assert loss_interval(pairs, 0.05) == loss_interval(pairs, 0.05)
    (low, high), (lower, higher) = loss_interval(pairs, 0.05), loss_interval(pairs, 0.002)
    assert lower < low < high < higher


def test_identical_results_leave_no_doubt():
    assert loss_interval(Pairs(50, 0, 0), 0.01) == (0, 0)


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (1, 0), (5, 0), (3, 3), (7, 2), (2, 7)])
def test_the_exact_chance_is_the_share_of_all_outcomes(more: int, fewer: int):
    outcomes = list(itertools.product((0, 1), repeat=more + fewer))
    assert chance_of(more, fewer) == sum(sum(o) >= more for o in outcomes) / len(outcomes)


def test_the_exact_chance_of_many_items_is_a_number():
    assert 0 < chance_of(2600, 2400) < 0.01
    assert math.isfinite(chance_of(20_000, 0))


def test_reports_on_the_same_items_match():
    assert mismatch(report(*samples(True, False)), report(*samples(False, False), subject="champion")) is None


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (report(*samples(True, False), digest="other", subject="champion"), "different sets or suites"),
        (report(subject="champion"), "champion has no samples"),
        (report(*samples(True), subject="champion"), "differ in 1 items, such as qa-en-1"),
        (report(*samples(True, False, True), subject="champion"), "differ in 1 items, such as qa-en-2"),
        (report(*samples(True, False, lang="ko"), subject="champion"), "differ in 4 items"),
        (report(*samples(True, False), *samples(True), subject="champion"), "champion answers an item twice"),
    ],
)
def test_reports_that_cannot_be_compared_say_why(other: EvalReport, why: str):
    said = mismatch(report(*samples(True, False)), other)
    assert said is not None
    assert why in said
