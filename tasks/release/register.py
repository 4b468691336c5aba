"""Every artifact of a night becomes a candidate version in MLflow's registry, whatever the verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.model_names import candidates
from tasks.contracts import Adapter, Fingerprint, GateVerdict, QuantizedModel, RegisteredModel, content_digest
from tasks.errors import ReleaseRefused
from tasks.release.card import card
from tasks.release.sets import COMPLETE, CandidateSet, as_tag, set_tag
from tasks.settings import settings

if TYPE_CHECKING:
    from tasks.adapters.registry import Registry, Version

CODE = Path(__file__).with_name("chat_model.py")


@dataclass(frozen=True)
class ModelToRegister:
    """A model of the night and where its files lie.

    `base` is the base model's folder if the recipe names a folder: an adapter's artifact then carries it. A hub model
    is looked up by `base_name` and `base_revision` when the artifact is loaded, so `base` is None. Quantized models
    need neither.
    """

    record: Adapter | QuantizedModel
    files: Path
    base: Path | None
    base_name: str
    base_revision: str | None


def register(
    recipe: str,
    models: Sequence[ModelToRegister],
    verdict: GateVerdict,
    night: Fingerprint,
    lineage: Mapping[str, str],
) -> tuple[RegisteredModel, ...]:
    """Make each model a version of `RECIPE-candidates`, once; a call that was interrupted is completed by the next.

    Args:
        models: the adapters in the order they were trained, the candidate last of them, then its quantized models.
        night: the night's fingerprint; its models are a set, and only a complete set can be nominated.
        lineage: tags for every version: pawl.recipe, pawl.git_commit, pawl.dataset_md5, pawl.dataset_md5.NAME.

    Returns:
        The versions, in the order of `models`.

    Raises:
        ReleaseRefused: a model's files are not what its record says.
        ConfigError: the registered model belongs to another recipe.
        RegistryUnreachable: MLflow does not answer.
    """
    from tasks.adapters.registry import Registry

    check_files(models)
    registry = Registry(settings())
    registry.ensure(candidates(recipe), recipe)
    tags = {**lineage, **evidence(verdict, night)}
    versions = [version_of(registry, recipe, model, verdict, tags) for model in models]
    close_set(registry, models, versions, verdict, night)
    done = [registry.get(version.record.name, version.record.version) for version in versions]
    return tuple(version.record for version in done if version)


def check_files(models: Sequence[ModelToRegister]) -> None:
    """Every model's bytes are those that were trained, evaluated and judged.

    Raises:
        ReleaseRefused: naming the first that is not.
    """
    for model in models:
        found = content_digest(model.files)
        if found != model.record.digest:
            raise ReleaseRefused(
                f"{model.record.kind} {model.record.stage}: the files of run {model.record.run_id} have digest "
                f"{found[:12]}, its record says {model.record.digest[:12]}. They were changed after they were made. "
                "Run  pawl nightly --force  to make them again."
            )


def version_of(
    registry: "Registry", recipe: str, model: ModelToRegister, verdict: GateVerdict, tags: Mapping[str, str]
) -> "Version":
    """The candidate version of a model: found by fingerprint and digest, else made. Its tags name the latest night."""
    from tasks.adapters.chat_artifact import ChatArtifact

    record = model.record
    wanted = {**tags, **identity(record), **metrics(record, verdict)}
    same = f"tags.`pawl.fingerprint` = '{record.fingerprint}' AND tags.`pawl.digest` = '{record.digest}'"
    found = registry.search(candidates(recipe), same)
    if found:
        registry.tag(found[-1], wanted)
        return found[-1]
    artifact = ChatArtifact(
        name=recipe,
        kind=record.kind,
        digest=record.digest,
        code=CODE,
        model=model.files,
        base=model.base if record.kind == "adapter" else None,
        base_name=model.base_name,
        base_revision=model.base_revision,
    )
    return registry.add_candidate(recipe, record.run_id, artifact, wanted, card(record, verdict, wanted))


def close_set(
    registry: "Registry",
    models: Sequence[ModelToRegister],
    versions: Sequence["Version"],
    verdict: GateVerdict,
    night: Fingerprint,
) -> None:
    """State on the candidate adapter which versions are the night's set: the last thing written, and only once."""
    head = max(i for i, model in enumerate(models) if model.record.kind == "adapter")
    members = CandidateSet(
        night=night,
        versions={m.record.kind: v.record.version for m, v in zip(models, versions, strict=True)},  # the last adapter
        gate_run_id=verdict.run_id,
        passed=verdict.passed,
        completed=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    before = versions[head].tags.get(set_tag(night))
    if before is None or differs(CandidateSet.model_validate_json(before), members):
        registry.tag(versions[head], {COMPLETE: night, set_tag(night): as_tag(members)})


def differs(before: CandidateSet, now: CandidateSet) -> bool:
    """Whether anything but the time is new."""
    return before.model_copy(update={"completed": now.completed}) != now


def identity(record: Adapter | QuantizedModel) -> dict[str, str]:
    """What the model is and what it was made from."""
    return {
        "pawl.kind": record.kind,
        "pawl.stage": record.stage,
        "pawl.fingerprint": record.fingerprint,
        "pawl.digest": record.digest,
        "pawl.base_digest": record.base_digest,
        **({"pawl.parent_digest": record.parent_digest} if record.parent_digest else {}),
    }


def evidence(verdict: GateVerdict, night: Fingerprint) -> dict[str, str]:
    """Which night the model was judged in, where the verdict lies, and what it was."""
    return {
        "pawl.set": night,
        "pawl.gate_run_id": verdict.run_id,
        "pawl.verdict": "passed" if verdict.passed else "rejected",
    }


def metrics(record: Adapter | QuantizedModel, verdict: GateVerdict) -> dict[str, str]:
    """Numbers to search by: the step's own, and on the candidate what the gate looked at."""
    values = {f"pawl.metric.{name}": value for name, value in record.metrics.items()}
    if record.digest == verdict.inputs.get("candidate"):
        values |= {f"pawl.gate.{gate.name}": gate.value for gate in verdict.gates if gate.value is not None}
    return {name: f"{value:.6g}" for name, value in values.items() if math.isfinite(value)}


register_task = task(register, name="register", cache_policy=NO_CACHE)
