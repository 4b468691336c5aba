"""What a night would do, from what is known now; writes nothing."""

from pathlib import Path

from flows.night import DATA_STEPS, Night, prepare
from flows.once import identify
from flows.record import earlier
from flows.steps import stage_identity
from tasks.adapters.dvc import dataset_version, stale_stages
from tasks.adapters.registry import champion_of
from tasks.contracts import Adapter, NightReport, StepReport

WOULD_RUN = "would run"


def plan(path: Path, force: bool = False) -> NightReport:
    """One line a step: `reused` where its result is known already, `skipped` with the reason where it would run."""
    night = prepare(path, force)
    stages = {verb: night.stages(verb) for verb in DATA_STEPS}
    stale = {s: why for s, why in stale_stages(night.env.root).items() if any(s in names for names in stages.values())}
    for verb, names in stages.items():
        waiting = [f"{stage} ({stale[stage]})" for stage in names if stage in stale]
        note(night, verb, f"{WOULD_RUN}: {', '.join(waiting)}" if waiting else "")
    if stale or (night.env.embedded_mlflow and not (night.env.root / "mlruns" / "mlflow.db").exists()):
        return finish(night, "would run: nothing is known of it yet")
    for name in night.dataset_names():
        night.data[name] = dataset_version(night.env.root, name, night.params)
    if force:
        return finish(night, "would run: --force makes a new attempt")
    known = earlier(night, champion_of(night.recipe.name))
    if known:
        return known
    parent: Adapter | None = None
    for entry in night.recipe.stages:
        found = night.runs.finished(identify(*stage_identity(night, entry.config, parent)), Adapter)
        note(night, entry.name, "" if found else f"{WOULD_RUN}: no finished run with this fingerprint")
        if found is None:
            break
        parent = found
    return finish(night, "would run, except what a finished run with the same fingerprint holds")


def note(night: Night, name: str, would: str) -> None:
    night.progress.reports.append(
        StepReport(name=name, status="skipped" if would else "reused", seconds=0.0, reason=would)
    )


def finish(night: Night, would: str) -> NightReport:
    """Say the same of every step that nothing is known about yet."""
    seen = {report.name for report in night.progress.reports}
    for name in night.progress.names:
        if name not in seen:
            note(night, name, would)
    identity = night.fingerprint if night.data else ""
    return NightReport(
        recipe=night.recipe.name, status="planned", fingerprint=identity, steps=tuple(night.progress.reports)
    )
