import json
import shutil
from typing import TypeVar

import mlflow
import pytest

from tasks.adapters.registry import DECISION_FILE, Registry, artifact_text, champion_files, champion_of
from tasks.adapters.runs import RECORD_FILE
from tasks.contracts import content_digest
from tasks.errors import ModelMissing, NotPermitted, ReleaseRefused
from tasks.release.models import list_models, resolve
from tasks.release.promote import promote
from tasks.settings import settings

Thing = TypeVar("Thing")


def there(thing: Thing | None) -> Thing:
    assert thing is not None
    return thing


def aliases(alias: str) -> dict[str, int]:
    return {m.name: m.version for m in list_models() if alias in m.aliases}


def ledger() -> list[dict]:
    """The closed decisions, oldest first."""
    client = Registry(settings()).client
    experiment = client.get_experiment_by_name("assistant-ledger")
    if experiment is None:
        return []
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [json.loads(artifact_text(r, DECISION_FILE)) for r in runs if r.info.status == "FINISHED"]


def test_the_challenger_becomes_the_champion_on_every_kind(workshop):
    night = workshop.night("a")
    night.nominate()
    done = promote("assistant", "first")
    assert done.status == "promoted"
    assert [(m.name, m.aliases) for m in done.models] == [
        ("assistant", ("challenger", "champion")),
        ("assistant-nf4", ("challenger", "champion")),
        ("assistant-int8", ("challenger", "champion")),
    ]
    tags = resolve("assistant@champion").tags
    assert tags["pawl.promoted_reason"] == "first"
    assert tags["pawl.promoted_at"] == done.at
    assert tags["pawl.promoted_by"] == done.by
    assert [(d["reason"], d["before"], d["after"]) for d in ledger()] == [
        ("first", {}, {"adapter": 1, "nf4": 1, "int8": 1})
    ]
    assert ledger()[0]["dataset_md5"] == night.lineage["pawl.dataset_md5"]


def test_the_old_champion_becomes_previous(workshop):
    workshop.night("a").nominate()
    promote("assistant", "first")
    workshop.night("b").nominate()
    promote("assistant", "second")
    assert aliases("champion") == {"assistant": 2, "assistant-nf4": 2, "assistant-int8": 2}
    assert aliases("previous") == {"assistant": 1, "assistant-nf4": 1, "assistant-int8": 1}


def test_a_set_without_a_kind_takes_the_champion_from_it(workshop):
    workshop.night("a").nominate()
    promote("assistant", "first")
    workshop.night("b", kinds=("int8",)).nominate()
    promote("assistant", "second")
    assert aliases("champion") == {"assistant": 2, "assistant-int8": 2}
    assert aliases("previous") == {"assistant": 1, "assistant-nf4": 1, "assistant-int8": 1}


def test_promoting_the_champion_again_changes_nothing(workshop):
    workshop.night("a").nominate()
    promote("assistant", "first")
    before = list_models()
    assert promote("assistant", "again").status == "already_champion"
    assert promote("assistant", "again", version=1).status == "already_champion"
    assert list_models() == before
    assert len(ledger()) == 1


def test_a_version_may_be_named(workshop):
    workshop.night("a").nominate()
    workshop.night("b").nominate()
    assert promote("assistant", "the older one", version=1).after == {"adapter": 1, "nf4": 1, "int8": 1}


def test_a_set_that_was_not_compared_with_the_champion_is_refused(workshop):
    workshop.night("a").nominate()
    unaware = workshop.night("b")
    promote("assistant", "first")
    unaware.nominate()
    with pytest.raises(ReleaseRefused, match=r"with no champion, and now champion [0-9a-f]{12} is in service"):
        promote("assistant", "second")
    assert aliases("champion") == {"assistant": 1, "assistant-nf4": 1, "assistant-int8": 1}


def test_the_model_that_was_champion_before_may_come_back_and_no_older_one(workshop):
    for seed in "abc":
        workshop.night(seed).nominate()
        promote("assistant", seed)
    with pytest.raises(ReleaseRefused, match="compared it with no champion"):
        promote("assistant", "far back", version=1)
    assert promote("assistant", "back", version=2).status == "promoted"
    assert aliases("champion") == {"assistant": 2, "assistant-nf4": 2, "assistant-int8": 2}


def test_a_dry_run_writes_nothing(workshop):
    workshop.night("a").nominate()
    before = list_models()
    done = promote("assistant", "maybe", dry_run=True)
    assert (done.status, done.after) == ("would_promote", {"adapter": 1, "nf4": 1, "int8": 1})
    assert list_models() == before
    assert ledger() == []


@pytest.mark.parametrize("survivors", range(7))
def test_a_promotion_that_died_leaves_one_champion_and_is_completed(workshop, dies_after, survivors):
    workshop.night("a", kinds=("nf4",)).nominate()
    promote("assistant", "first")
    workshop.night("b", kinds=("nf4",)).nominate()
    with dies_after(survivors, "create_run", "log_text", "set_registered_model_alias", "set_terminated"):
        promote("assistant", "second")
    assert there(champion_of("assistant")).tags["pawl.promoted_reason"] == ("second" if survivors == 6 else "first")
    promote("assistant", "second")
    assert aliases("champion") == {"assistant": 2, "assistant-nf4": 2}
    assert aliases("previous") == {"assistant": 1, "assistant-nf4": 1}
    assert [d["reason"] for d in ledger()] == ["first", "second"]


def test_no_reason_no_promotion(workshop):
    workshop.night("a").nominate()
    with pytest.raises(ReleaseRefused, match="needs a reason"):
        promote("assistant", "  ")


def test_without_a_challenger_there_is_nothing_to_promote(workshop):
    workshop.night("a", passed=False).register()
    with pytest.raises(ModelMissing, match="no alias challenger"):
        promote("assistant", "first")
    workshop.night("b").nominate()
    with pytest.raises(ModelMissing, match=r"no version 7 \(versions: 1\)"):
        promote("assistant", "first", version=7)


def refusal(**kwargs) -> str:
    with pytest.raises(ReleaseRefused) as refused:
        promote("assistant", "first", **kwargs)
    assert refused.value.exit_code == 3
    assert aliases("champion") == {}
    assert ledger() == []
    return str(refused.value)


def test_a_byte_that_changed_in_the_artifact_store_is_found(workshop):
    workshop.night("a").nominate()
    registry = Registry(settings())
    version = registry.get("assistant-nf4", 1)
    weights = next(iter(files_of(registry, version).glob("*.safetensors")))
    weights.write_text("tampered")
    assert "assistant-nf4/1 (nf4): its files have digest" in refusal()


def test_a_changed_base_inside_an_adapter_is_found(workshop):
    workshop.night("a").nominate()
    registry = Registry(settings())
    (files_of(registry, there(registry.get("assistant", 1))).parent / "base" / "config.json").write_text("{ }")
    assert "the base inside it was changed" in refusal()


def test_artifacts_that_are_gone_are_found(workshop):
    workshop.night("a").nominate()
    registry = Registry(settings())
    shutil.rmtree(files_of(registry, there(registry.get("assistant-int8", 1))).parent.parent)
    assert "assistant-int8/1 (int8): its files are gone or damaged" in refusal()


def files_of(registry, version):
    from tasks.adapters.chat_artifact import kept

    return kept(registry.location(version), registry.env.work).model


def test_a_version_that_was_registered_by_hand_has_no_evidence(workshop):
    workshop.night("a").nominate()
    registry = Registry(settings())
    made = registry.client.create_model_version("assistant", registry.location(there(registry.get("assistant", 1))))
    text = refusal(version=int(made.version))
    assert "no verdict of the gate" in text
    assert "has no run" in text


def test_a_verdict_about_other_bytes_is_no_evidence(workshop):
    night = workshop.night("a")
    night.nominate()
    registry = Registry(settings())
    other = night.verdict.model_copy(update={"inputs": {**night.verdict.inputs, "nf4": "f" * 64}})
    registry.client.log_text(night.verdict.run_id, other.model_dump_json(), RECORD_FILE)
    assert "assistant-nf4/1: the gate judged digest ffffffffffff" in refusal()


def test_a_verdict_that_was_made_a_rejection_is_no_evidence(workshop):
    night = workshop.night("a")
    night.nominate()
    rejection = night.verdict.model_copy(update={"passed": False})
    Registry(settings()).client.log_text(night.verdict.run_id, rejection.model_dump_json(), RECORD_FILE)
    assert "the gate rejected it" in refusal()


def test_a_deleted_gate_run_and_a_deleted_training_run_are_found(workshop):
    night = workshop.night("a")
    night.nominate()
    client = Registry(settings()).client
    client.delete_run(night.verdict.run_id)
    client.delete_run(night.models[1].record.run_id)
    text = refusal()
    assert "no verdict of the gate" in text
    assert f"its run {night.models[1].record.run_id} is gone" in text


def test_a_set_that_lacks_a_judged_kind_is_refused(workshop):
    workshop.night("a").nominate()
    Registry(settings()).client.delete_model_version("assistant-int8", "1")
    assert "the int8 that the gate judged" in refusal()


def test_a_set_that_the_night_was_not_allowed_to_nominate_is_nominated_by_the_release_account(workshop, monkeypatch):
    night = workshop.night("a")
    night.register()
    assert promote("assistant", "first").status == "promoted"
    assert aliases("challenger") == aliases("champion") == {"assistant": 1, "assistant-nf4": 1, "assistant-int8": 1}


def test_an_account_that_may_not_release_is_told_so(workshop, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    workshop.night("a").nominate()

    def denied(*_, **__):
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    monkeypatch.setattr(mlflow.MlflowClient, "set_model_version_tag", denied)
    with pytest.raises(NotPermitted, match=r'write the registered model "assistant'):
        promote("assistant", "first")
    assert aliases("champion") == {}


def test_the_champion_is_known_by_name_and_its_files_are_at_hand(workshop):
    assert champion_of("assistant") is None
    night = workshop.night("a")
    night.nominate()
    promote("assistant", "first")
    champion = there(champion_of("assistant"))
    assert champion.digest == night.models[1].record.digest
    base, adapter = champion_files(champion, workshop.base)
    assert content_digest(adapter) == champion.digest
    assert content_digest(base) == champion.tags["pawl.base_digest"]
