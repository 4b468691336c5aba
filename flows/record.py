"""What stays of a night: its MLflow run with the report, the verdict and how every step went."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.failure import NightFailed, explain
from flows.night import Night
from flows.progress import summary
from tasks.adapters.runs import Details, best_effort
from tasks.contracts import GateVerdict, NightReport, NightStatus, RegisteredModel, StepReport
from tasks.release.models import current
from tasks.report.report import NightEvidence, report_task

NIGHT_FILE = "night.json"
REPORT_FILE = "report.html"

log = logging.getLogger("pawl.progress")


def start(night: Night) -> None:
    """Open the night's run; runs of nights that died without a word are marked as killed first."""
    for run in night.runs.nights(["RUNNING"]):
        night.runs.client.set_terminated(run.info.run_id, "KILLED")
    details = Details(f"nightly {night.recipe.name}", night.recipe.model_dump(mode="json"), night.lineage())
    night.run_id = night.runs.create("nightly", night.fingerprint if night.data else "", details)


def earlier(night: Night, champion: RegisteredModel | None) -> NightReport | None:
    """What an earlier night of the same fingerprint came to, if that still answers the question.

    It does as long as the champion that it was compared with is still in place, or its own model is the champion.
    """
    run = night.runs.find(night.fingerprint, ["FINISHED"])
    before = night.runs.read(run, NightReport, NIGHT_FILE) if run else None
    if run is None or before is None:
        return None
    opponent = champion.digest if champion else "none"
    models = current(before.models)
    if len(models) < len(before.models):
        return None  # versions were deleted since; the night registers them again
    if run.data.tags.get("pawl.champion") != opponent and not any("champion" in model.aliases for model in models):
        return None
    seen = {step.name for step in night.progress.reports}
    reused = tuple(
        StepReport(name=name, status="reused", seconds=0.0) for name in night.progress.names if name not in seen
    )
    status: NightStatus = "rejected" if before.status == "rejected" else "up_to_date"
    return before.model_copy(update={"status": status, "models": models, "steps": (*night.progress.reports, *reused)})


def close(
    night: Night, verdict: GateVerdict, models: Sequence[RegisteredModel], evidence: NightEvidence
) -> NightReport:
    """Write the report page and the night's record, then mark the night as finished."""
    status: NightStatus = "registered" if verdict.passed else "rejected"
    result = summarise(night, status, verdict, models)
    page = write_page(night, result, evidence)
    result = result.model_copy(update={"report": str(page)})
    client = night.runs.client
    client.set_tag(night.run_id, "pawl.status", status)
    client.set_tag(night.run_id, "pawl.champion", verdict.inputs["champion"])
    client.log_artifact(night.run_id, str(page))
    client.log_text(night.run_id, verdict.model_dump_json(indent=1), "verdict.json")
    client.log_text(night.run_id, result.model_dump_json(indent=1), NIGHT_FILE)
    client.set_terminated(night.run_id, "FINISHED")
    log.info(summary(result.steps, rejected=not verdict.passed))
    return result


@contextmanager
def failed(night: Night) -> Iterator[None]:
    """A night that ends early leaves a record where it can, and raises one error that says what to do.

    Raises:
        NightFailed: with the report so far and the exit code of the cause.
    """
    try:
        yield
    except KeyboardInterrupt:
        if night.run_id:
            night.runs.end(night.run_id, "KILLED")
        raise
    except Exception as error:
        cause = explain(error)
        result = summarise(night, "rejected" if cause.exit_code == 3 else "failed", None, ())
        log.info(summary(result.steps, rejected=cause.exit_code == 3))
        with best_effort("the record of a failed night"):
            if not night.run_id:
                start(night)
            night.runs.client.set_tag(night.run_id, "pawl.status", result.status)
            night.runs.client.log_text(night.run_id, result.model_dump_json(indent=1), NIGHT_FILE)
            night.runs.end(night.run_id, "FAILED")
        raise NightFailed(result, cause) from error


def summarise(
    night: Night, status: NightStatus, verdict: GateVerdict | None, models: Sequence[RegisteredModel]
) -> NightReport:
    """The night as one object."""
    return NightReport(
        recipe=night.recipe.name,
        status=status,
        fingerprint=night.fingerprint if night.data else "",
        steps=tuple(night.progress.reports),
        gates=verdict.gates if verdict else (),
        models=tuple(models),
    )


def write_page(night: Night, result: NightReport, evidence: NightEvidence) -> Path:
    """Render the report beside the scratch work, complete or not at all."""
    page = night.env.work / "reports" / f"{night.recipe.name}-{night.fingerprint[:12]}" / REPORT_FILE
    page.parent.mkdir(parents=True, exist_ok=True)
    fresh = page.with_suffix(".new")
    fresh.write_text(report_task(result, evidence), encoding="utf-8")
    fresh.replace(page)
    return page
