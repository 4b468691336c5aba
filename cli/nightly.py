"""pawl nightly: the main job."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.show import as_json, as_table
from tasks.contracts import NightReport
from tasks.errors import PawlError

DEFAULT_RECIPE = Path("recipes/assistant.yaml")


def nightly(
    recipe: Annotated[list[Path] | None, typer.Option(help="A recipe to run; may be given more than once.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make a new attempt even where nothing changed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a recipe.")] = False,
) -> int:
    """Run one night: data, training, quantization, evaluation, gate, registry."""
    from flows.failure import NightFailed
    from flows.nightly import run_night
    from flows.plan import plan

    worst = 0
    for path in recipe or [DEFAULT_RECIPE]:
        try:
            report = plan(path, force) if dry_run else run_night(path, force)
        except PawlError as error:
            if json:
                early = NightReport(recipe=str(path), status="failed", fingerprint="", steps=())
                typer.echo(as_json(error.report if isinstance(error, NightFailed) else early))
            typer.echo(str(error), err=True)
            worst = max(worst, error.exit_code)
            continue
        typer.echo(as_json(report) if json else words(report, dry_run))
        worst = max(worst, 3 if report.status == "rejected" else 0)
    return worst


def words(report: NightReport, dry_run: bool) -> str:
    """What a person wants to know at the end of a night, and what to do next."""
    if dry_run:
        return as_table(("step", "would be", "why"), [(s.name, s.status, s.reason) for s in report.steps])
    lines = [f"{report.recipe}: {report.status}"]
    if report.gates:
        mark = {True: "pass", False: "FAIL"}
        lines += ["", as_table(("gate", "", "why"), [(g.name, mark[g.passed], g.reason) for g in report.gates])]
    if report.models:
        rows = [(m.name, m.version, m.kind, ", ".join(m.aliases) or "-", m.digest[:12]) for m in report.models]
        lines += ["", as_table(("model", "version", "kind", "aliases", "digest"), rows)]
    return "\n".join([*lines, "", *where_to_look(report), "", *next_steps(report)])


def where_to_look(report: NightReport) -> list[str]:
    """Commands that open the pages; the servers are embedded, so they are started on demand."""
    from tasks.settings import settings

    env = settings()
    mlflow = (
        f".venv/bin/mlflow ui --backend-store-uri {env.mlflow_uri}   then http://127.0.0.1:5000"
        if env.embedded_mlflow
        else env.mlflow_uri
    )
    prefect = env.prefect_api_url or (
        f"PREFECT_HOME={env.work / 'prefect'} .venv/bin/prefect server start   then http://127.0.0.1:4200"
    )
    return [f"Report   {report.report or '-'}", f"MLflow   {mlflow}", f"Prefect  {prefect}"]


def next_steps(report: NightReport) -> list[str]:
    name = report.recipe
    pawl = "pawl" if shutil.which("pawl") else ".venv/bin/pawl"
    champion = any("champion" in model.aliases for model in report.models)
    if report.status == "failed":
        return [f"See how far it came:  {pawl} run show"]
    if report.status == "rejected":
        return [f"The champion stays. See why: the report above, or  {pawl} run show"]
    if champion:
        return [f"Nothing to do: this model is the champion. Ask it:  {pawl} model chat {name}@champion"]
    return [
        f"Try it      {pawl} model chat {name}@challenger",
        f'Promote it  {pawl} release promote {name} --reason "…"',
    ]
