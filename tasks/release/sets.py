"""A release is a set: the adapter and its quantized models of one night move together, or not at all."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.adapters.model_names import KINDS, candidates, release
from tasks.contracts import Fingerprint, ModelKind, Record, RegisteredModel
from tasks.errors import ReleaseRefused

if TYPE_CHECKING:
    from tasks.adapters.registry import Registry, Version

SET_TAG = "pawl.set."
COMPLETE = "pawl.complete"
Release = dict[ModelKind, "Version"]


class CandidateSet(Record):
    """A night's complete set. It is the value of a tag on its adapter, written when every other version was there."""

    night: Fingerprint
    versions: dict[ModelKind, int]  # of RECIPE-candidates
    gate_run_id: str
    passed: bool
    completed: str  # ISO 8601, UTC


def set_tag(night: Fingerprint) -> str:
    """Key of that tag. An adapter that several nights share heads several sets."""
    return f"{SET_TAG}{night[:16]}"


def complete_sets(registry: "Registry", recipe: str, night: Fingerprint | None = None) -> list[CandidateSet]:
    """The complete sets of a recipe, or of one night of it, newest first."""
    heads = registry.search(candidates(recipe), f"tags.`{set_tag(night) if night else COMPLETE}` LIKE '_%'")
    stated = [value for head in heads for key, value in head.tags.items() if key.startswith(SET_TAG)]
    found = [CandidateSet.model_validate_json(value) for value in stated]
    return sorted((s for s in found if night in (None, s.night)), key=lambda s: s.completed, reverse=True)


def release_set(registry: "Registry", recipe: str, night: str, gate_run_id: str) -> Release:
    """The release versions of one set by kind; kinds that were not copied (yet) are absent."""
    same = f"tags.`pawl.set` = '{night}' AND tags.`pawl.gate_run_id` = '{gate_run_id}'"
    found = {kind: registry.search(release(recipe, kind), same) for kind in KINDS}
    return {kind: versions[0] for kind, versions in found.items() if versions}


def copy_set(registry: "Registry", recipe: str, members: CandidateSet) -> Release:
    """The set in the release models: versions with the same files and the evidence of this set, the adapter last.

    Raises:
        ReleaseRefused: a candidate version was deleted.
    """
    there = release_set(registry, recipe, members.night, members.gate_run_id)
    copies: Release = {}
    for kind in adapter_last(members.versions):
        source = registry.get(candidates(recipe), members.versions[kind])
        if source is None:
            raise ReleaseRefused(
                f"{candidates(recipe)}/{members.versions[kind]} ({kind}) was deleted, so the set of night "
                f"{members.night[:12]} is not whole. Run  pawl nightly --force  to make it again."
            )
        known = there.get(kind)
        if known is None or known.source != f"models:/{source.ref}":
            name = release(recipe, kind)
            registry.ensure(name, recipe)
            known = registry.copy(source, name, release_tags(source, members))
        copies[kind] = known
    return copies


def release_tags(source: "Version", members: CandidateSet) -> dict[str, str]:
    """A candidate's tags as its copy has them: of the sets that it belongs to, only this one."""
    own = {k: v for k, v in source.tags.items() if not k.startswith(SET_TAG) and k != COMPLETE}
    verdict = "passed" if members.passed else "rejected"
    return own | {"pawl.set": members.night, "pawl.gate_run_id": members.gate_run_id, "pawl.verdict": verdict}


def point_all(registry: "Registry", recipe: str, alias: str, versions: Mapping[ModelKind, "Version"]) -> None:
    """Move an alias on every kind; a kind that the set lacks loses it. The adapter's moves last and counts."""
    for kind in adapter_last(KINDS):
        target = versions.get(kind)
        registry.point(release(recipe, kind), alias, target.record.version if target else None)


def adapter_last(kinds: Mapping[ModelKind, object] | tuple[ModelKind, ...]) -> list[ModelKind]:
    """The order in which a set is written, so that its adapter is there only when all of it is."""
    return sorted(kinds, key=lambda kind: kind == "adapter")


def records(registry: "Registry", versions: Mapping[ModelKind, "Version"]) -> tuple[RegisteredModel, ...]:
    """The versions as they are now, aliases included, the adapter first."""
    known = [versions[kind].record for kind in KINDS if kind in versions]
    fresh = [registry.get(record.name, record.version) for record in known]
    return tuple(version.record for version in fresh if version)


def as_tag(members: CandidateSet) -> str:
    """The value of the tag."""
    return members.model_dump_json()
