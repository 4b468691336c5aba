import pytest

from tasks.adapters.registry import Registry
from tasks.errors import ModelMissing, RegistryUnreachable
from tasks.release.models import chat, current, list_models, list_releases, resolve, show
from tasks.release.promote import promote
from tasks.settings import settings


def test_an_empty_registry_lists_nothing(workshop):
    assert list_models() == []
    with pytest.raises(ModelMissing, match=r"there are none.*pawl model list"):
        resolve("assistant@champion")
    with pytest.raises(ModelMissing, match="pawl nightly"):
        list_releases("assistant")


def test_releases_come_first_then_candidates_newest_first_with_their_aliases(workshop):
    workshop.night("a", kinds=("nf4",)).nominate()
    workshop.night("b", kinds=("nf4",)).nominate()
    promote("assistant", "first", version=1)
    listed = [(m.name, m.version, m.kind, m.aliases) for m in list_models()]
    assert listed[:4] == [
        ("assistant", 2, "adapter", ("challenger",)),
        ("assistant", 1, "adapter", ("champion",)),
        ("assistant-nf4", 2, "nf4", ("challenger",)),
        ("assistant-nf4", 1, "nf4", ("champion",)),
    ]
    assert [name for name, *_ in listed[4:]] == ["assistant-candidates"] * 6
    assert [m.name for m in list_models("assistant", limit=1)] == ["assistant", "assistant-nf4", "assistant-candidates"]
    assert list_models("other") == []
    assert {m.name for m in list_releases("assistant")} == {"assistant", "assistant-nf4"}


def test_versions_of_an_earlier_night_are_shown_as_they_are_now(workshop):
    before = workshop.night("a", kinds=("nf4",)).nominate().models
    promote("assistant", "first")
    Registry(settings()).client.delete_model_version("assistant-nf4", "1")
    assert [(m.name, m.aliases) for m in current(before)] == [("assistant", ("challenger", "champion"))]


def test_show_leads_from_a_release_to_its_run_data_commit_and_verdict(workshop):
    night = workshop.night("a")
    night.nominate()
    details = show("assistant@challenger")
    assert details.run_id == night.models[1].record.run_id
    assert details.run_name == "dpo"
    assert details.git_commit == "c" * 40
    assert details.dataset_md5 == {"demos": night.lineage["pawl.dataset_md5.demos"]}
    assert details.verdict == night.verdict
    assert "exact_match" in details.description


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("assistant@Challenger", r"no alias Challenger \(aliases: challenger \(version 1\); versions: 1 to 1\)"),
        ("assistant@champion", r"no alias champion .* pawl release promote assistant"),
        ("assistant/7", r"no version 7 .* versions: 1 to 1"),
        ("asistant@champion", r"No registered model asistant \(there are: assistant, assistant-nf4, assistant-cand"),
        ("assistant", "write NAME@ALIAS or NAME/VERSION"),
        ("assistant-candidates@champion", "Candidates have no aliases"),
    ],
)
def test_a_reference_that_means_nothing_is_answered_with_what_there_is(workshop, reference, says):
    workshop.night("a", kinds=("nf4",)).nominate()
    with pytest.raises(ModelMissing, match=says):
        resolve(reference)


@pytest.mark.parametrize("call", [list_models, lambda: resolve("a@b"), lambda: show("a/1"), lambda: chat("a@b", "Hi")])
def test_a_registry_that_does_not_answer_is_said_in_one_line(env, monkeypatch, call):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(RegistryUnreachable) as error:
        call()
    assert "http://127.0.0.1:9" in str(error.value)
    assert "pawl doctor" in str(error.value)
    assert "\n" not in str(error.value)
