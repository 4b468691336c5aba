import json
from dataclasses import replace
from typing import TypeVar

import mlflow
import pytest

from tasks.adapters.chat_artifact import fetched
from tasks.adapters.registry import Registry
from tasks.contracts import content_digest
from tasks.errors import ConfigError, RegistryUnreachable, ReleaseRefused
from tasks.release.models import list_models
from tasks.release.nominate import nominate
from tasks.settings import settings

Thing = TypeVar("Thing")


def there(thing: Thing | None) -> Thing:
    assert thing is not None
    return thing


def test_every_artifact_of_a_night_is_a_candidate_with_its_lineage(workshop):
    night = workshop.night("a")
    made = night.register()
    assert [(m.name, m.version, m.kind) for m in made] == [
        ("assistant-candidates", 1, "adapter"),
        ("assistant-candidates", 2, "adapter"),
        ("assistant-candidates", 3, "nf4"),
        ("assistant-candidates", 4, "int8"),
    ]
    dpo = made[1]
    assert dpo.digest == night.models[1].record.digest
    assert dpo.tags["pawl.stage"] == "dpo"
    assert dpo.tags["pawl.set"] == night.fingerprint
    assert dpo.tags["pawl.fingerprint"] == night.models[1].record.fingerprint
    assert dpo.tags["pawl.parent_digest"] == night.models[0].record.digest
    assert dpo.tags["pawl.dataset_md5.demos"] == night.lineage["pawl.dataset_md5.demos"]
    assert dpo.tags["pawl.git_commit"] == "c" * 40
    assert dpo.tags["pawl.verdict"] == "passed"
    assert dpo.tags["pawl.gate_run_id"] == night.verdict.run_id
    assert dpo.tags["pawl.gate.exact_match"] == "0.9"
    assert "pawl.gate.exact_match" not in made[0].tags
    assert made[3].tags["pawl.metric.size_mb"] == "1.5"


def test_a_number_that_is_none_becomes_no_tag(workshop):
    assert "pawl.metric.broken" not in workshop.night("a").register()[0].tags


def test_a_version_leads_to_the_run_that_made_it_and_the_run_to_its_model(workshop):
    night = workshop.night("a")
    night.register()
    client = mlflow.MlflowClient()
    for number, model in enumerate(night.models, 1):
        version = client.get_model_version("assistant-candidates", str(number))
        assert version.run_id == model.record.run_id
        run = client.get_run(str(version.run_id))
        assert run.info.status == "FINISHED"
        assert [f"models:/{out.model_id}" for out in there(run.outputs).model_outputs] == [version.source]


def test_registering_again_makes_nothing_new(workshop):
    night = workshop.night("a")
    assert night.register() == night.register()
    assert len(list_models()) == 4


@pytest.mark.parametrize("survivors", [0, 2])
def test_a_registration_that_died_is_completed_with_one_version_each(workshop, dies_after, survivors):
    night = workshop.night("a", kinds=("nf4",))
    with dies_after(survivors, "create_model_version"):
        night.register()
    with pytest.raises(ReleaseRefused, match="no complete set"):
        nominate("assistant", night.fingerprint)
    assert len(night.register()) == 3
    assert [m.version for m in list_models()] == [3, 2, 1]


@pytest.mark.parametrize(
    "step", ["log_model_artifacts", "log_outputs", "finalize_logged_model", "create_model_version"]
)
def test_an_artifact_whose_registration_died_is_there_once(workshop, dies_after, step):
    """Half written it is thrown away and written again; finished it is used."""
    night = workshop.night("a", kinds=("nf4",))
    with dies_after(1, step):
        night.register()
    night.register()
    client = mlflow.MlflowClient()
    experiment = there(client.get_experiment_by_name("assistant")).experiment_id
    assert [m.status for m in client.search_logged_models([experiment])] == ["READY"] * 3


def test_an_adapter_that_two_nights_share_is_one_version_in_two_sets(workshop):
    first, second = workshop.night("a"), workshop.night("b", sft_seed="a")
    first.register()
    made = second.register()
    assert [m.version for m in made] == [1, 5, 6, 7]
    assert made[0].tags["pawl.set"] == second.fingerprint
    heads = [m for m in list_models("assistant") if "pawl.complete" in m.tags]
    stated = [json.loads(v)["versions"] for m in heads for k, v in m.tags.items() if k.startswith("pawl.set.")]
    assert stated == [{"adapter": 5, "nf4": 6, "int8": 7}, {"adapter": 2, "nf4": 3, "int8": 4}]


def test_a_rejected_night_is_registered_as_rejected(workshop):
    made = workshop.night("a", passed=False).register()
    assert {m.tags["pawl.verdict"] for m in made} == {"rejected"}
    assert all(not m.aliases for m in made)


def test_files_that_changed_since_they_were_judged_are_refused(workshop):
    night = workshop.night("a")
    (night.models[2].files / "adapter_model.safetensors").write_text("other")
    with pytest.raises(ReleaseRefused, match="nf4 dpo"):
        night.register()
    assert list_models() == []


def test_a_registered_model_of_another_team_is_left_alone(workshop):
    Registry(settings()).client.create_registered_model("assistant-candidates", {"pawl.recipe": "other"})
    with pytest.raises(ConfigError, match="belongs to other"):
        workshop.night("a").register()


def test_the_artifact_holds_no_pickle_and_carries_the_base_of_an_adapter_only(workshop):
    night = workshop.night("a")
    night.register()
    registry = Registry(settings())
    for version in registry.search("assistant-candidates"):
        with fetched(registry.location(version), workshop.env.work) as files:
            folder = files.model.parent.parent
            names = {p.name for p in folder.rglob("*")}
            assert content_digest(files.model) == version.digest
            assert (files.base is not None) == (version.record.kind == "adapter")
            assert not [n for n in names if n.endswith((".pkl", ".pickle", ".bin", ".pt"))]
            assert {"MLmodel", "chat_model.py", "requirements.txt", "input_example.json"} <= names


def test_a_base_from_the_hub_is_named_not_carried(workshop):
    night = workshop.night("a")
    models = [replace(m, base=None, base_name="org/base", base_revision="f" * 40) for m in night.models]
    replace(night, models=models).register()
    registry = Registry(settings())
    version = there(registry.get("assistant-candidates", 2))
    with fetched(registry.location(version), workshop.env.work) as files:
        assert files.base is None
        assert (files.base_name, files.base_revision) == ("org/base", "f" * 40)


def test_a_registry_that_does_not_answer_is_one_clear_line(workshop, monkeypatch):
    night = workshop.night("a")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(RegistryUnreachable, match=r"http://127.0.0.1:9 .*pawl doctor"):
        night.register()
