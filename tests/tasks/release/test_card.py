from tasks.contracts import GateResult
from tasks.release.card import card


def test_the_card_says_what_was_judged_and_shows_a_missing_number_as_missing(workshop):
    night = workshop.night("a")
    missing = GateResult(name="preference_accuracy", value=None, threshold=0.85, passed=False, reason="missing")
    verdict = night.verdict.model_copy(update={"passed": False, "gates": (*night.verdict.gates, missing)})
    text = card(night.models[1].record, verdict, night.lineage)
    assert "Gate: **rejected**" in text
    assert "| exact_match | 0.9 | 0.85 | - | pass |" in text
    assert "| preference_accuracy | - | 0.85 | - | FAIL |" in text
    assert night.lineage["pawl.dataset_md5"] in text
    assert night.models[1].record.run_id in text


def test_a_stage_that_the_gate_did_not_judge_shows_no_verdict(workshop):
    night = workshop.night("a")
    assert "Gate:" not in card(night.models[0].record, night.verdict, night.lineage)
