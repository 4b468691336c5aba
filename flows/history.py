"""The nights that MLflow remembers."""

from datetime import UTC, datetime

from flows.record import NIGHT_FILE
from tasks.adapters.runs import Runs, connect, night_runs
from tasks.contracts import NightReport, NightSummary
from tasks.errors import RunMissing
from tasks.settings import settings

ENDINGS = {"RUNNING": "running", "KILLED": "interrupted", "FAILED": "failed"}


def nights(recipe: str | None, limit: int) -> list[NightSummary]:
    """Newest first."""
    client = connect(settings())
    experiments = [e for e in client.search_experiments() if recipe in (None, e.name)]
    found = night_runs(client, [e.experiment_id for e in experiments], limit) if experiments else []
    return [
        NightSummary(
            run_id=run.info.run_id,
            recipe=run.data.tags.get("pawl.recipe", ""),
            started=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
            seconds=round((run.info.end_time - run.info.start_time) / 1000) if run.info.end_time else None,
            status=run.data.tags.get("pawl.status") or ENDINGS.get(run.info.status, run.info.status.lower()),
            fingerprint=run.data.tags.get("pawl.fingerprint", ""),
        )
        for run in found
    ]


def night_report(run: str | None) -> NightReport:
    """The record of one night, by its run id or the beginning of it; the newest without one.

    Raises:
        RunMissing: no such night, or it ended before it could write a record.
    """
    found = [night for night in nights(None, 1000) if run is None or night.run_id.startswith(run)]
    if not found:
        raise RunMissing(f"No night {run or ''}. See  pawl run list ." if run else "No nights yet. Run  pawl nightly .")
    night = found[0]
    runs = Runs(settings(), night.recipe)
    if not runs.has(night.run_id, NIGHT_FILE):
        raise RunMissing(f"Night {night.run_id} is {night.status} and wrote no record. Run  pawl nightly  to carry on.")
    return runs.record(night.run_id, NightReport, NIGHT_FILE)
