"""What a promotion must be able to show, looked at now: the runs, the verdict's artifact, the bytes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.adapters.model_names import KINDS, PREVIOUS, release
from tasks.contracts import GateVerdict, ModelKind
from tasks.release.sets import Release

if TYPE_CHECKING:
    from tasks.adapters.registry import Registry, Version


def problems(registry: "Registry", recipe: str, target: Release, champion: Release) -> list[str]:
    """Everything that stands in the way, in words; empty when the evidence is whole."""
    run_id = target["adapter"].tags.get("pawl.gate_run_id", "")
    verdict = registry.verdict(run_id) if run_id else None
    found = list(verdict_problems(verdict, run_id, recipe, target))
    if verdict and registry.aliases(release(recipe, "adapter")).get(PREVIOUS) != target["adapter"].record.version:
        found += comparison_problems(verdict, champion)
    for kind, member in target.items():
        found += run_problems(registry, kind, member)
        found += file_problems(registry, kind, member)
    return found


def verdict_problems(verdict: GateVerdict | None, run_id: str, recipe: str, target: Release) -> Iterator[str]:
    """The verdict is there, is about this recipe and exactly these digests, and is a pass."""
    if verdict is None:
        yield f"no verdict of the gate: run {run_id or '(none is named)'} has none that can be read"
        return
    if verdict.run_id != run_id:
        yield f"the verdict in run {run_id} says that run {verdict.run_id} made it"
    if verdict.recipe != recipe:
        yield f"the verdict is about recipe {verdict.recipe}"
    if not verdict.passed or not verdict.gates or not all(gate.passed for gate in verdict.gates):
        refused = ", ".join(gate.name for gate in verdict.gates if not gate.passed) or "no rule was applied"
        yield f"the gate rejected it ({refused})"
    judged = {kind: verdict.inputs.get(subject_of(kind)) for kind in KINDS}
    for kind, digest in judged.items():
        version = target.get(kind)
        if digest is None and version is not None:
            yield f"{version.ref}: the gate did not judge any {kind}"
        elif digest is not None and version is None:
            yield f"the {kind} that the gate judged ({digest[:12]}) is not in the set"
        elif version is not None and digest is not None and version.digest != digest:
            yield f"{version.ref}: the gate judged digest {digest[:12]}, this is {version.digest[:12]}"


def comparison_problems(verdict: GateVerdict, champion: Release) -> Iterator[str]:
    """The gate held it against the champion that it is to replace; the model that was champion before needs no more."""
    judged = verdict.inputs.get("champion", "none")
    serving = champion["adapter"].digest if champion else "none"
    if judged != serving:
        yield (
            f"the gate compared it with {short(judged)}, and now {short(serving)} is in service; "
            "run  pawl nightly  to have it compared"
        )


def short(digest: str) -> str:
    """A digest as people read it, or that there is none."""
    return "no champion" if digest == "none" else f"champion {digest[:12]}"


def subject_of(kind: ModelKind) -> str:
    """The name under which a verdict's inputs hold a kind's digest."""
    return "candidate" if kind == "adapter" else kind


def run_problems(registry: "Registry", kind: ModelKind, member: "Version") -> Iterator[str]:
    """The version was made by a run that is still there."""
    if member.run_id is None:
        yield f"{member.ref} ({kind}) has no run, so nothing tells where it came from"
    elif registry.run(member.run_id) is None:
        yield f"{member.ref} ({kind}): its run {member.run_id} is gone"


def file_problems(registry: "Registry", kind: ModelKind, member: "Version") -> Iterator[str]:
    """The bytes in the artifact store are those that were judged; a base that travels along is checked as well."""
    if "pawl.digest" not in member.tags:
        yield f"{member.ref} ({kind}) was not registered by a night"
        return
    digests = registry.digests(member)
    if digests is None:
        yield f"{member.ref} ({kind}): its files are gone or damaged"
        return
    found, base = digests
    if found != member.digest:
        yield f"{member.ref} ({kind}): its files have digest {found[:12]}, registered was {member.digest[:12]}"
    if base is not None and base != member.tags.get("pawl.base_digest"):
        yield f"{member.ref} ({kind}): the base inside it was changed since it was registered"
