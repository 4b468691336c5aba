"""The gate: each rule passes, fails, holds at its exact limit, and never passes on what is missing."""

import math

import pytest

from tasks.contracts import EvalReport, GateResult, Sample
from tasks.evaluate.comparison import Pairs, loss_interval
from tasks.evaluate.gate import better, evidence, floor, gate, not_worse, passed, quantization_loss
from tasks.recipe import Gates

FAMILIES = ("summarize", "extract", "qa", "classify", "chat", "code_write", "code_explain", "reason")
POLICY = Gates(
    floors={"exact_match": 0.85, "family_exact_match": 0.6, "preference_accuracy": 0.85},
    quantization_loss={"nf4": 0.03, "int8": 0.01},
)
METRICS = {"preference_accuracy": 0.9}


def report(right: dict[str, int] | int, subject: str = "dpo", items: int = 50, digest: str = "suite") -> EvalReport:
    """A report on `items` items a family and language, of which the first `right` (by "task/lang") are right."""
    names = [f"{task}/{lang}" for task in FAMILIES for lang in ("en", "ko")]
    counts = dict.fromkeys(names, right) if isinstance(right, int) else right
    made = [
        Sample(
            id=f"{name}-{n}",
            task=name.split("/")[0],
            lang=name.split("/")[1],
            prompt="?",
            answer="!",
            output="!" if n < count else "",
            correct=n < count,
        )
        for name, count in counts.items()
        for n in range(items)
    ]
    return EvalReport(
        subject=subject,
        fingerprint="0" * 64,
        model_digest=subject,
        suite="heldout",
        suite_digest=digest,
        run_id="r",
        samples=tuple(made),
    )


def copies(right: int = 46) -> dict:
    return {"nf4": report(right, "nf4"), "int8": report(right, "int8")}


def failed(results: tuple[GateResult, ...]) -> list[str]:
    return [result.name for result in results if not result.passed]


def dropped(full: EvalReport, count: int) -> EvalReport:
    return full.model_copy(update={"samples": full.samples[:-count] if count else ()})


# A whole verdict


def test_a_first_candidate_above_its_floors_passes_and_the_missing_champion_is_said():
    results = gate(POLICY, report(46), copies(), None, METRICS)
    assert passed(results)
    assert [result.name for result in results] == [
        "evidence",
        "exact_match",
        "family_exact_match",
        "preference_accuracy",
        "quantization_loss/nf4",
        "quantization_loss/int8",
        "champion",
    ]
    assert "no champion" in results[-1].reason


def test_a_candidate_that_is_better_everywhere_replaces_the_champion():
    results = gate(POLICY, report(48), copies(48), report(44, "champion"), METRICS)
    assert passed(results), failed(results)
    assert sum(result.name.startswith("not_worse/") for result in results) == 24


def test_a_candidate_with_the_champion_s_own_answers_is_refused_as_a_tie():
    results = gate(POLICY, report(46), copies(), report(46, "champion"), METRICS)
    assert failed(results) == ["better"]
    assert "a tie" in next(result.reason for result in results if result.name == "better")


def test_a_poisoned_family_is_stopped_by_its_name_though_the_whole_is_better():
    strong = dict.fromkeys([f"{task}/{lang}" for task in FAMILIES for lang in ("en", "ko")], 50)
    candidate = report({**strong, "chat/en": 31, "chat/ko": 50})
    results = gate(
        POLICY,
        candidate,
        {k: report({**strong, "chat/en": 31}, k) for k in ("nf4", "int8")},
        report(44, "champion"),
        METRICS,
    )
    assert failed(results) == ["not_worse/chat/en"]


def test_a_champion_evaluated_on_another_set_compares_with_nothing():
    results = gate(POLICY, report(48), copies(48), report(40, "champion", digest="old"), METRICS)
    assert failed(results) == ["evidence", "better", "not_worse"]


def test_a_champion_that_lacks_a_sample_compares_with_nothing():
    results = gate(POLICY, report(48), copies(48), dropped(report(40, "champion"), 1), METRICS)
    assert failed(results) == ["evidence", "better", "not_worse"]


def test_an_empty_candidate_passes_nothing():
    empty = dropped(report(46), 0)
    results = gate(POLICY, empty, copies(), report(40, "champion"), METRICS)
    assert {"evidence", "exact_match", "family_exact_match", "better", "not_worse"} <= set(failed(results))
    assert not passed(gate(Gates(), empty, {}, None, {}))


def test_without_a_champion_a_policy_without_floors_passes_nothing():
    results = gate(Gates(), report(46), {}, None, METRICS)
    assert failed(results) == ["champion"]


def test_a_quantized_copy_that_no_limit_is_set_for_passes_nothing():
    results = gate(Gates(floors={"exact_match": 0.5}), report(46), {"nf4": report(0, "nf4")}, None, METRICS)
    assert failed(results) == ["quantization_loss/nf4"]


def test_no_rules_pass_nothing():
    assert not passed(())


def test_one_failed_rule_fails_all():
    good = gate(POLICY, report(46), copies(), None, METRICS)
    assert not passed((*good, good[0].model_copy(update={"passed": False})))


def test_a_verdict_is_the_same_each_time():
    arguments = (POLICY, report(46), copies(), report(44, "champion"), METRICS)
    assert gate(*arguments) == gate(*arguments)


def test_every_result_is_plain_json_and_says_why():
    results = gate(POLICY, dropped(report(46), 0), {}, report(44, "champion"), {"preference_accuracy": math.nan})
    for result in results:
        assert result.reason
        assert GateResult.model_validate_json(result.model_dump_json()) == result


# evidence


def test_evidence_passes_for_reports_on_one_set():
    result = evidence(report(46), [report(45, "nf4"), report(44, "champion")])
    assert (result.passed, result.value) == (True, 800)


def test_evidence_fails_for_a_report_on_another_set():
    result = evidence(report(46), [report(46, "nf4", digest="other")])
    assert not result.passed
    assert "different sets" in result.reason


def test_evidence_of_a_single_item_is_enough_to_be_evidence():
    assert evidence(report({"qa/en": 1}, items=1), []).passed


def test_evidence_fails_without_samples():
    assert not evidence(dropped(report(46), 0), []).passed
    assert not evidence(report(46), [dropped(report(46, "int8"), 0)]).passed


# floor


def test_floor_passes_above_it():
    assert floor("exact_match", 0.9, 0.85).passed


def test_floor_fails_below_it():
    result = floor("exact_match", 0.8499, 0.85)
    assert not result.passed
    assert "below 0.85" in result.reason


@pytest.mark.parametrize(("right", "items", "least"), [(680, 800, 0.85), (7, 10, 0.7), (3, 10, 0.3), (23, 25, 0.92)])
def test_floor_passes_exactly_at_it(right: int, items: int, least: float):
    assert floor("exact_match", right / items, least).passed
    assert floor("exact_match", sum([least] * 10) / 10, least).passed  # summed in binary it is not the same number


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_floor_fails_for_what_is_missing_or_no_number(value: float | None):
    result = floor("preference_accuracy", value, 0.85)
    assert not result.passed
    assert result.value is None


def test_floor_that_is_no_number_itself_lets_nothing_through():
    assert not floor("exact_match", 1.0, math.nan).passed


def test_the_weakest_family_is_held_against_its_own_floor():
    weak = {f"{task}/{lang}": 50 for task in FAMILIES for lang in ("en", "ko")} | {"extract/ko": 29}
    results = gate(Gates(floors={"exact_match": 0.85, "family_exact_match": 0.6}), report(weak), {}, None, {})
    assert failed(results) == ["family_exact_match"]


def test_a_floor_for_a_figure_that_nobody_measured_fails():
    assert failed(gate(Gates(floors={"rouge": 0.1}), report(46), {}, None, METRICS)) == ["rouge"]


def test_a_training_metric_cannot_stand_in_for_exact_match():
    results = gate(Gates(floors={"exact_match": 0.85}), report(10), {}, None, {"exact_match": 1.0})
    assert failed(results) == ["exact_match"]


# quantization_loss


def test_quantization_loss_passes_below_its_limit():
    result = quantization_loss("nf4", report(46), report(45, "nf4"), 0.03)
    assert (result.passed, result.value) == (True, 0.02)


def test_quantization_loss_passes_for_a_gain():
    assert quantization_loss("int8", report(45), report(46, "int8"), 0.0).passed


def test_quantization_loss_fails_above_its_limit():
    result = quantization_loss("nf4", report(46), report(44, "nf4"), 0.03)
    assert not result.passed
    assert "0.920 to 0.880" in result.reason


def test_quantization_loss_passes_exactly_at_its_limit():
    whole, copy = report({"qa/en": 90}, items=100), report({"qa/en": 87}, "nf4", items=100)
    assert 0.90 - 0.87 > 0.03  # in binary
    assert quantization_loss("nf4", whole, copy, 0.03).passed
    assert quantization_loss("nf4", whole, whole, 0.0).passed


@pytest.mark.parametrize(
    "copy", [None, dropped(report(46, "nf4"), 0), dropped(report(46, "nf4"), 1), report(46, "nf4", digest="other")]
)
def test_quantization_loss_fails_without_a_report_on_the_same_items(copy: EvalReport | None):
    result = quantization_loss("nf4", report(46), copy, 1.0)
    assert not result.passed
    assert result.value is None


# better


def test_better_passes_for_a_gain_beyond_chance():
    assert better(Pairs(items=800, lost=10, gained=50), 0.9, 0.95).passed


def test_better_fails_for_a_gain_that_equal_models_often_have():
    assert not better(Pairs(items=800, lost=20, gained=26), 0.9, 0.95).passed
    assert not better(Pairs(items=800, lost=50, gained=10), 0.9, 0.95).passed


def test_better_fails_exactly_at_its_chance():
    four, five = Pairs(items=800, lost=0, gained=4), Pairs(items=800, lost=0, gained=5)
    assert not better(four, 0.9, 1 - 2**-4).passed  # 4 of 4: a chance of exactly 1/16
    assert better(five, 0.9, 1 - 2**-4).passed


@pytest.mark.parametrize("count", [0, 1, 30])
def test_better_fails_for_a_tie(count: int):
    result = better(Pairs(items=800, lost=count, gained=count), 0.9, 0.51)
    assert not result.passed
    assert "a tie" in result.reason


# not_worse


def test_not_worse_passes_for_a_gain_and_for_identical_answers():
    assert not_worse("qa/en", Pairs(items=50, lost=0, gained=9), 0.8, 0.05, 0.002).passed
    assert not_worse("qa/en", Pairs(items=50, lost=0, gained=0), 0.8, 0.05, 0.002).passed


def test_not_worse_passes_within_noise():
    result = not_worse("qa/en", Pairs(items=50, lost=6, gained=2), 0.8, 0.05, 0.002)
    assert result.passed
    assert "no worse beyond noise" in result.reason


def test_not_worse_fails_beyond_noise():
    result = not_worse("qa/en", Pairs(items=50, lost=14, gained=1), 0.8, 0.05, 0.002)
    assert not result.passed
    assert "worse beyond noise" in result.reason


def test_not_worse_at_its_exact_limits():
    touching = Pairs(items=50, lost=5, gained=0)  # the lower bound is 0 itself
    assert loss_interval(touching, 0.002)[0] == 0
    assert not_worse("qa/en", touching, 0.8, 0.0, 0.002).passed
    beyond = Pairs(items=50, lost=9, gained=0)
    low, high = loss_interval(beyond, 0.002)
    assert low > 0
    assert not_worse("qa/en", beyond, 0.8, high, 0.002).passed  # the upper bound is the margin itself
    assert not not_worse("qa/en", beyond, 0.8, high - 0.02, 0.002).passed


def test_a_certain_loss_within_the_margin_is_the_recipe_s_to_allow():
    small = Pairs(items=20_000, lost=400, gained=0)
    assert not_worse("qa/en", small, 0.9, 0.05, 0.002).passed
    assert not not_worse("qa/en", small, 0.9, 0.01, 0.002).passed


def test_not_worse_fails_for_every_family_when_the_samples_do_not_match():
    results = gate(POLICY, report(48), copies(48), dropped(report(40, "champion"), 0), METRICS)
    assert {"not_worse", "better", "evidence"} <= set(failed(results))
