from typing import TypeVar

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from tasks.adapters.registry import Registry
from tasks.errors import ReleaseRefused
from tasks.release.models import list_models, list_releases, resolve
from tasks.release.nominate import nominate
from tasks.settings import settings

Thing = TypeVar("Thing")


def there(thing: Thing | None) -> Thing:
    assert thing is not None
    return thing


def challengers() -> dict[str, int]:
    return {m.name: m.version for m in list_models() if "challenger" in m.aliases}


def test_a_passing_set_becomes_the_challenger_on_every_kind(workshop):
    night = workshop.night("a")
    done = night.nominate()
    assert done.status == "nominated"
    assert [(m.name, m.version, m.aliases) for m in done.models] == [
        ("assistant", 1, ("challenger",)),
        ("assistant-nf4", 1, ("challenger",)),
        ("assistant-int8", 1, ("challenger",)),
    ]
    assert [m.digest for m in done.models] == [m.record.digest for m in night.models[1:]]
    assert {m.tags["pawl.set"] for m in done.models} == {night.fingerprint}


def test_a_release_points_at_the_candidate_its_run_and_the_same_files(workshop):
    night = workshop.night("a")
    night.nominate()
    registry = Registry(settings())
    copy, source = there(registry.get("assistant", 1)), there(registry.get("assistant-candidates", 2))
    assert copy.source == "models:/assistant-candidates/2"
    assert copy.run_id == source.run_id == night.models[1].record.run_id
    assert registry.location(copy) == registry.location(source)
    assert copy.description == source.description
    registry.client.delete_model_version("assistant-candidates", "2")
    assert there(registry.digests(copy))[0] == copy.digest


def test_nominating_again_changes_nothing(workshop):
    night = workshop.night("a")
    first = night.nominate()
    assert night.nominate() == first
    assert len(list_releases("assistant")) == 3


@pytest.mark.parametrize("survivors", [0, 1, 2, 3])
def test_a_nomination_that_died_leaves_no_half_challenger_and_is_completed(workshop, dies_after, survivors):
    """The adapter's challenger appears last, when the rest of its set stands."""
    night = workshop.night("a", kinds=("nf4",))
    night.register()
    with dies_after(survivors, "create_model_version", "set_registered_model_alias"):
        nominate("assistant", night.fingerprint)
    assert "assistant" not in challengers()
    assert nominate("assistant", night.fingerprint).status == "nominated"
    assert challengers() == {"assistant": 1, "assistant-nf4": 1}


def test_a_rejected_set_is_not_nominated(workshop):
    night = workshop.night("a", passed=False)
    with pytest.raises(ReleaseRefused, match="is a rejection") as refusal:
        night.nominate()
    assert refusal.value.exit_code == 3
    assert challengers() == {}


def test_a_tag_that_says_passed_does_not_outweigh_the_verdict(workshop):
    night = workshop.night("a", passed=False)
    night.register()
    registry = Registry(settings())
    head = there(registry.get("assistant-candidates", 2))
    forged = {k: v.replace('"passed":false', '"passed":true') for k, v in head.tags.items()}
    registry.tag(head, {**forged, "pawl.verdict": "passed"})
    with pytest.raises(ReleaseRefused, match="is a rejection"):
        nominate("assistant", night.fingerprint)


def test_an_older_set_that_shares_its_adapter_is_nominated_as_it_was(workshop):
    first, second = workshop.night("a"), workshop.night("b", sft_seed="a")
    first.register()
    second.register()
    done = nominate("assistant", first.fingerprint)
    assert [m.digest for m in done.models] == [m.record.digest for m in first.models[1:]]
    assert done.models[0].tags["pawl.gate_run_id"] == first.verdict.run_id


def test_a_set_without_a_kind_takes_the_challenger_from_it(workshop):
    workshop.night("a").nominate()
    workshop.night("b", kinds=("nf4",)).nominate()
    assert challengers() == {"assistant": 2, "assistant-nf4": 2}


def test_an_account_that_may_not_write_releases_ends_with_a_note(workshop, monkeypatch):
    night = workshop.night("a")
    night.register()

    def denied(*_, **__):
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(mlflow.MlflowClient, "create_registered_model", denied)
    done = nominate("assistant", night.fingerprint)
    assert (done.status, done.models) == ("refused", ())
    assert "pawl release promote assistant" in done.note


def test_a_deleted_candidate_makes_the_set_unfit(workshop):
    night = workshop.night("a")
    night.register()
    Registry(settings()).client.delete_model_version("assistant-candidates", "3")
    with pytest.raises(ReleaseRefused, match="was deleted"):
        nominate("assistant", night.fingerprint)
    assert challengers() == {}


def test_the_challenger_is_found_by_its_alias(workshop):
    night = workshop.night("a")
    night.nominate()
    assert resolve("assistant@challenger").digest == night.models[1].record.digest
    assert resolve("models:/assistant-nf4@challenger").digest == night.models[2].record.digest
