"""The page of one night: complete, escaped, self-contained, and honest about what is missing."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tasks.contracts import NightReport, Sample, StepReport
from tasks.report.report import NightEvidence, number, report, report_task, seconds, short

VOID = {"meta", "br", "line", "polyline", "polygon"}
SECTIONS = (
    "gate", "evaluate", "quantize", "samples", "sft", "dpo", "validate", "filter", "steps", "register", "lineage",
)  # fmt: skip


class Page(HTMLParser):
    """Reads a page: its tags, attributes, section ids and text; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: dict[str, str] = {}
        self.open: list[str] = []
        self.section = "head"
        self.feed(html)
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs)["id"]
            self.ids.append(self.section)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words[self.section] = self.words.get(self.section, "") + data


def failed_early() -> NightReport:
    step = StepReport(name="validate", status="failed", seconds=3.0, reason="demos has 40 rows without an answer.")
    return NightReport(recipe="assistant", status="failed", fingerprint="", steps=(step,))


def with_output(evidence: NightEvidence, output: str) -> NightEvidence:
    """The evidence with every answer of one model replaced."""
    first, *others = evidence.evaluations
    samples = tuple(s.model_copy(update={"output": output}) for s in first.samples)
    return replace(evidence, evaluations=[first.model_copy(update={"samples": samples}), *others])


def test_every_section_is_there_and_the_html_is_well_formed(night, evidence):
    assert Page(report(night, evidence)).ids == list(SECTIONS)


def test_equal_records_give_an_equal_page(night, evidence):
    assert report(night, evidence) == report(night, evidence)


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(night, evidence):
    page = Page(report(night, evidence))
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset"}]
    assert "url(" not in report(night, evidence)
    assert "@import" not in report(night, evidence)


def test_the_verdict_is_in_words_with_the_next_command(night, evidence):
    head = Page(report(night, evidence)).words["head"]
    assert "Registered" in head
    assert "All 5 rules held" in head
    assert 'pawl release promote assistant --reason "…"' in head


def test_a_rejection_names_the_rules_that_did_not_hold(night, evidence):
    gates = tuple(g.model_copy(update={"passed": g.name != "quantization_loss/nf4"}) for g in night.gates)
    verdict = evidence.verdict.model_copy(update={"gates": gates, "passed": False})
    rejected = night.model_copy(update={"status": "rejected", "gates": gates, "models": ()})
    page = Page(report(rejected, replace(evidence, verdict=verdict)))
    assert "1 of 5 rules did not hold: quantization_loss/nf4" in page.words["head"]
    assert "The champion of assistant is as it was" in page.words["head"]
    assert page.words["gate"].index("quantization_loss/nf4") < page.words["gate"].index("preference_accuracy")


@pytest.mark.parametrize(
    ("status", "words"),
    [("up_to_date", "Nothing changed"), ("rejected", "was refused"), ("failed", "Failed before the first step")],
)
def test_a_night_without_any_evidence_says_so_in_every_section(status, words):
    page = Page(report(NightReport(recipe="assistant", status=status, fingerprint="", steps=()), NightEvidence()))
    assert words in page.words["head"]
    assert page.ids == list(SECTIONS)
    for section in ("gate", "evaluate", "quantize", "samples", "validate", "filter", "register"):
        assert "This night did not come to it" in page.words[section], section
    assert "No curves were recorded" in page.words["sft"]
    assert "No step was started" in page.words["steps"]


def test_a_night_that_failed_early_shows_the_cause_once_on_top_and_in_its_section():
    page = Page(report(failed_early(), NightEvidence()))
    assert "Failed at validate" in page.words["head"]
    assert "demos has 40 rows without an answer. The champion of assistant is as it was." in page.words["head"]
    assert "This night: failed, demos has 40 rows without an answer." in page.words["validate"]
    assert "This night did not come to it" in page.words["sft"]


def test_a_refused_dataset_is_a_rejection_that_says_why():
    night = failed_early().model_copy(update={"status": "rejected"})
    head = Page(report(night, NightEvidence())).words["head"]
    assert "Rejected" in head
    assert "demos has 40 rows without an answer. The champion of assistant is as it was." in head


@pytest.mark.parametrize(
    "part", ["curves", "funnels", "validations", "evaluations", "quantized", "verdict", "lineage", "links"]
)
def test_any_single_part_may_be_missing(night, evidence, part):
    page = Page(report(night, replace(evidence, **{part: getattr(NightEvidence(), part)})))
    assert page.ids == list(SECTIONS)


def test_what_a_model_says_is_text_and_never_markup(night, evidence):
    evil = '<script>alert("1")</script><img src=x onerror=alert(1)>{{ 7 * 7 }}'
    html = report(night, with_output(evidence, evil))
    page = Page(html)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert evil in page.words["samples"]
    assert "&lt;script&gt;" in html


def test_names_and_reasons_from_data_are_escaped_too(night, evidence):
    evil = "</style></td><script>x</script>"
    funnel = {"read": 1, "unreadable": 0, "kept": 0, "rejected": 1, "reasons": {evil: 1}}
    steps = (StepReport(name="sft", status="failed", seconds=1, reason=evil), *night.steps[:2])
    html = report(
        night.model_copy(update={"recipe": evil, "steps": steps}),
        replace(
            evidence, funnels={evil: funnel}, validations={"demos": {**evidence.validations["demos"], "source": evil}},
            curves={evil: {evil: [(1, 1.0), (2, 2.0)]}}, lineage={evil: evil}, links={evil: evil},
        ),
    )  # fmt: skip
    assert "script" not in Page(html).tags


def test_a_link_that_would_run_code_is_shown_as_text(night, evidence):
    page = Page(
        report(night, replace(evidence, links={"here": "javascript:alert(1)", "docs": "https://example.org/a"}))
    )
    targets = [value for name, value in page.attributes if name == "href" and not value.startswith("#")]
    assert targets == ["https://example.org/a"]
    assert "javascript:alert(1)" in page.words["lineage"]


def test_korean_is_kept_as_it_is(night, evidence):
    html = report(night, with_output(evidence, "미나의 사과는 모두 12개이다."))
    assert "미나의 사과는 모두 12개이다." in html
    assert '<meta charset="utf-8">' in html


def test_every_family_and_both_languages_are_among_the_sample_answers(night, evidence):
    words = Page(report(night, evidence)).words["samples"]
    for sample in evidence.evaluations[0].samples:
        assert f"{sample.task}/{sample.lang}" in words


def test_the_score_table_has_every_model_and_family(night, evidence):
    words = Page(report(night, evidence)).words["evaluate"]
    for subject in ("base", "sft", "dpo", "nf4", "int8", "champion", "all", "code_explain/ko"):
        assert subject in words
    assert f"{evidence.evaluations[1].exact_match():.2f}" in words


def test_losses_are_drawn_and_single_figures_are_written(night, evidence):
    page = Page(report(night, evidence))
    assert page.tags.count("polyline") == 5
    assert "train loss" in page.words["sft"]
    assert "5,310" in page.words["sft"]
    assert "0.934" in page.words["dpo"]


def test_a_step_that_is_not_known_yet_still_gets_its_curves(night, evidence):
    curves = {**evidence.curves, "reward": {"loss": [(1, 0.7), (2, 0.5)]}}
    assert "reward" in Page(report(night, replace(evidence, curves=curves))).ids


def test_light_dark_and_narrow_are_all_styled(night, evidence):
    html = report(night, evidence)
    assert "prefers-color-scheme: dark" in html
    assert "max-width: 640px" in html
    assert 'name="viewport"' in html


def test_colours_of_the_dark_page_are_all_given():
    from tasks.report.report import FOLDER

    css = (FOLDER / "report.css").read_text("utf-8")
    light, dark = css.split("prefers-color-scheme: dark")[:2]
    names = set(re.findall(r"(--[\w-]+):", light))
    assert names <= set(re.findall(r"(--[\w-]+):", dark.split("* {")[0]))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "missing"), (float("nan"), "not a number"), (float("inf"), "not a number"), (0.9214, "0.921"),
     (6000, "6,000"), (5310.0, "5,310"), (3.1e-6, "3.1e-06"), (0.0, "0.000"), (-0.02, "-0.020")],
)  # fmt: skip
def test_a_number_is_written_so_that_it_cannot_be_misread(value, shown):
    assert number(value) == shown


def test_a_missing_gate_value_is_shown_as_missing(night, evidence):
    gates = (night.gates[0].model_copy(update={"value": None, "passed": False, "reason": "no value"}),)
    page = Page(
        report(night.model_copy(update={"gates": gates, "status": "rejected"}), replace(evidence, verdict=None))
    )
    assert "missing" in page.words["gate"]


def test_a_rule_that_needs_no_value_is_not_called_missing(night, evidence):
    gates = (night.gates[0].model_copy(update={"value": None, "threshold": None, "reason": "no champion yet"}),)
    page = Page(report(night.model_copy(update={"gates": gates}), replace(evidence, verdict=None)))
    assert "no champion yet" in page.words["gate"]
    assert " missing" not in page.words["gate"].replace("A missing number", "")


def test_times_and_digests_are_short():
    assert [seconds(0.42), seconds(64.2), seconds(370)] == ["0.4 s", "64 s", "6 min 10 s"]
    assert short("a" * 64) == "a" * 12 + "…"
    assert short("b" * 32 + ".dir") == "b" * 12 + "….dir"
    assert short("none") == "none"


def test_an_item_without_family_says_so(night, evidence):
    sample = Sample(id="1", task="", lang="", prompt="p", answer="a", output="b", correct=False)
    reports = [e.model_copy(update={"samples": (sample,)}) for e in evidence.evaluations]
    assert "no task/no language" in Page(report(night, replace(evidence, evaluations=reports))).words["samples"]


def test_the_prefect_task_is_the_same_function():
    assert report_task.fn is report
    assert report_task.name == "report"
