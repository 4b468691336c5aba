"""The challenger becomes the champion, if its evidence holds now."""

import getpass
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tasks.adapters.model_names import CHALLENGER, CHAMPION, KINDS, PREVIOUS, release
from tasks.contracts import Digest, Fingerprint, ModelKind, Record, RegisteredModel
from tasks.errors import ModelMissing, NotPermitted, ReleaseRefused
from tasks.release.evidence import problems
from tasks.release.nominate import nominate
from tasks.release.sets import Release, complete_sets, point_all, records, release_set
from tasks.settings import settings

if TYPE_CHECKING:
    from tasks.adapters.registry import Registry

log = logging.getLogger("pawl.release")


class Promotion(Record):
    """One decision, as the ledger keeps it and `pawl release promote --json` prints it."""

    schema_version: Literal[1] = 1
    recipe: str
    status: Literal["promoted", "already_champion", "would_promote"]
    night: Fingerprint
    gate_run_id: str
    reason: str
    by: str
    at: str  # ISO 8601, UTC
    before: dict[ModelKind, int]  # versions of the release models that were champion; empty the first time
    after: dict[ModelKind, int]
    digests: dict[ModelKind, Digest]
    dataset_md5: str
    git_commit: str
    models: tuple[RegisteredModel, ...] = ()


def promote(recipe: str, reason: str, version: int | None = None, dry_run: bool = False) -> Promotion:
    """Make the challenger's set, or the set of a version of the release model `RECIPE`, the champion on every kind.

    The old champion becomes `previous`. The decision is in the ledger and on the versions before any alias moves,
    and the adapter's alias moves last; the same call again completes what an interrupted one began.

    Raises:
        ReleaseRefused: exit code 3, with everything that is missing or wrong in the evidence.
        ModelMissing: no challenger, or no such version.
        NotPermitted: this account may not write the release models.
        RegistryUnreachable: MLflow does not answer.
    """
    from tasks.adapters.registry import Registry

    if not reason.strip():
        raise ReleaseRefused('A promotion needs a reason, which is kept for good: --reason "…".')
    registry = Registry(settings())
    if version is None and not dry_run:
        nominate_waiting(registry, recipe)
    target = target_set(registry, recipe, version)
    before = champion_set(registry, recipe)
    decision = decide(recipe, reason.strip(), before, target)
    if stands(registry, recipe, target):
        for entry in [] if dry_run else registry.unfinished_decisions(recipe, "promote", decision.night):
            registry.close_decision(entry.info.run_id)
        return decision.model_copy(update={"status": "already_champion", "models": records(registry, target)})
    wrong = problems(registry, recipe, target, before)
    if wrong:
        lines = "\n".join(f"  {line}" for line in wrong)
        name = f"{recipe} version {target['adapter'].record.version}"
        raise ReleaseRefused(f"{name} is not promoted, the champion stays:\n{lines}\nSee  pawl model show {recipe} .")
    if dry_run:
        return decision.model_copy(update={"status": "would_promote", "models": records(registry, target)})
    entry = registry.open_decision(recipe, "promote", decision.night, decision)
    for member in target.values():
        registry.tag(member, decision_tags(decision))
    if before and before["adapter"].ref != target["adapter"].ref:
        point_all(registry, recipe, PREVIOUS, before)
    point_all(registry, recipe, CHAMPION, target)
    registry.close_decision(entry)
    return decision.model_copy(update={"models": records(registry, target)})


def nominate_waiting(registry: "Registry", recipe: str) -> None:
    """Nominate the newest set that passed, if the account that made it was not allowed to."""
    sets = [s for s in complete_sets(registry, recipe) if s.passed]
    if sets and "adapter" not in release_set(registry, recipe, sets[0].night, sets[0].gate_run_id):
        nomination = nominate(recipe, sets[0].night)
        if nomination.status == "refused":
            raise NotPermitted(nomination.note)
        log.info("nominated the set of night %s", sets[0].night[:12])


def target_set(registry: "Registry", recipe: str, version: int | None) -> Release:
    """The set that is to be promoted.

    Raises:
        ModelMissing: naming what there is.
    """
    name = release(recipe, "adapter")
    head = registry.aliased(name, CHALLENGER) if version is None else registry.get(name, version)
    if head is None:
        there = ", ".join(str(v.record.version) for v in registry.search(name)) or "none"
        wanted = "alias challenger" if version is None else f"version {version}"
        raise ModelMissing(
            f"{name} has no {wanted} (versions: {there}). A night that passes its gate makes one:  pawl nightly"
        )
    found = release_set(registry, recipe, head.tags.get("pawl.set", ""), head.tags.get("pawl.gate_run_id", ""))
    return found | {"adapter": head}


def champion_set(registry: "Registry", recipe: str) -> Release:
    """The set in service, told by the adapter's alias; empty before the first promotion."""
    head = registry.aliased(release(recipe, "adapter"), CHAMPION)
    if head is None:
        return {}
    found = release_set(registry, recipe, head.tags.get("pawl.set", ""), head.tags.get("pawl.gate_run_id", ""))
    return found | {"adapter": head}


def stands(registry: "Registry", recipe: str, target: Release) -> bool:
    """Every kind's champion is the target's, and no kind beside has one."""
    now = {kind: registry.aliases(release(recipe, kind)).get(CHAMPION) for kind in KINDS}
    return now == {kind: target[kind].record.version if kind in target else None for kind in KINDS}


def decide(recipe: str, reason: str, before: Release, target: Release) -> Promotion:
    """The decision in words and numbers; nothing is written."""
    tags: Mapping[str, str] = target["adapter"].tags
    return Promotion(
        recipe=recipe,
        status="promoted",
        night=tags.get("pawl.set", "0" * 64),
        gate_run_id=tags.get("pawl.gate_run_id", ""),
        reason=reason,
        by=os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        before={kind: member.record.version for kind, member in before.items()},
        after={kind: member.record.version for kind, member in target.items()},
        digests={kind: member.digest for kind, member in target.items()},
        dataset_md5=tags.get("pawl.dataset_md5", ""),
        git_commit=tags.get("pawl.git_commit", ""),
    )


def decision_tags(decision: Promotion) -> dict[str, str]:
    """Who promoted, when and why, as MLflow's page of the version shows it."""
    return {
        "pawl.promoted_at": decision.at,
        "pawl.promoted_by": decision.by,
        "pawl.promoted_reason": decision.reason,
    }
