"""Which answers the page shows, and what it makes of funnels and validations."""

from tasks.report.views import Funnel, comparisons, funnel, score_rows, sorted_gates, validation


def test_disagreements_between_trained_models_come_first(evidence):
    shown = comparisons(evidence.evaluations)
    assert [c.differs for c in shown] == sorted((c.differs for c in shown), reverse=True)
    assert any(c.differs for c in shown)


def test_the_base_being_wrong_is_no_disagreement(evidence):
    base = evidence.evaluations[0]
    right = base.model_copy(
        update={"subject": "sft", "samples": tuple(s.model_copy(update={"correct": True}) for s in base.samples)}
    )
    wrong = base.model_copy(update={"samples": tuple(s.model_copy(update={"correct": False}) for s in base.samples)})
    assert not any(c.differs for c in comparisons([wrong, right]))


def test_equal_answers_stand_together_and_name_every_model(evidence):
    for comparison in comparisons(evidence.evaluations):
        assert [m for said in comparison.said for m in said.models].__len__() == len(evidence.evaluations)
        assert len({(said.output, said.correct) for said in comparison.said}) == len(comparison.said)


def test_only_items_that_every_model_was_asked_are_compared(evidence):
    first, second, *_ = evidence.evaluations
    part = second.model_copy(update={"samples": second.samples[:1]})
    assert [c.id for c in comparisons([first, part])] == [second.samples[0].id]
    assert comparisons([first, second.model_copy(update={"samples": ()})]) == []


def test_the_choice_does_not_depend_on_the_order_of_samples(evidence):
    turned = [e.model_copy(update={"samples": tuple(reversed(e.samples))}) for e in evidence.evaluations]
    assert comparisons(turned) == comparisons(evidence.evaluations)


def test_a_family_that_a_model_lacks_has_no_score_rather_than_zero(evidence):
    first, second, *_ = evidence.evaluations
    part = second.model_copy(update={"samples": tuple(s for s in second.samples if s.task != "qa")})
    rows = dict(score_rows([first, part]))
    assert rows["qa/ko"] == [first.families()["qa/ko"], None]
    empty = dict(score_rows([second.model_copy(update={"samples": ()})]))
    assert empty == {"all": [None]}


def test_a_funnel_is_sorted_by_frequency_and_an_empty_one_has_no_shares():
    found = funnel({"read": 10, "unreadable": 1, "kept": 4, "rejected": 5, "reasons": {"a": 2, "b": 4, "c": 2}})
    assert found.reasons == (("b", 4), ("a", 2), ("c", 2))
    assert found.share("kept") == 0.4
    assert Funnel(0, 0, 0, 0, ()).share("kept") == 0.0


def test_what_validate_writes_is_what_the_page_reads():
    from tasks.adapters.expectations import Expectation, Verdict
    from tasks.data.read import ReadResult, Unreadable
    from tasks.data.validate import report
    from tasks.recipe import Dataset

    first = Expectation("expect_a", {"column": "id", "mostly": 0.9}, "ids are there", "add ids")
    second = Expectation("expect_b", {}, "there are records", "add records")
    read = ReadResult(records=[{"id": "1"}], lines=[1], unreadable=[Unreadable(2, 5, "not JSON", "{")])
    verdicts = [Verdict(first, True, "all"), Verdict(second, False, "none")]
    written = report("demos", Dataset(kind="demonstrations", source="some/demos.jsonl"), read, verdicts, passed=False)
    found = validation(written)
    assert found.passed is False
    assert [e.meaning for e in found.expected] == ["there are records", "ids are there"]
    assert found.expected[1].rule == "expect_a(column=id, mostly=0.9)"
    assert found.unreadable == ("line 2, column 5: not JSON",)
    assert found.about == "1 demonstrations from demos.jsonl, 1 unreadable records"


def test_what_filter_writes_is_what_the_page_reads():
    from tasks.data.filter import filter as judge
    from tasks.data.read import ReadResult

    prompt = [{"role": "user", "content": "How many days has a week?"}]
    good = {"id": "1", "prompt": prompt, "response": "A week has seven days.", "task": "", "lang": "en"}
    records = [good, {**good, "id": "2", "response": ""}]
    found = funnel(judge(ReadResult(records=records, lines=[1, 2]), "demonstrations", ["en"], [], "demos.jsonl").funnel)
    assert (found.read, found.kept, found.rejected) == (2, 1, 1)
    assert found.reasons[0] == ("empty_output", 1)


def test_rules_that_did_not_hold_come_first_and_keep_their_order(night):
    gates = [g.model_copy(update={"passed": i not in (1, 3)}) for i, g in enumerate(night.gates)]
    assert [g.name for g in sorted_gates(gates)][:2] == [gates[1].name, gates[3].name]
