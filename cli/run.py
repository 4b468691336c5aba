"""pawl run: what the nights did."""

from typing import Annotated

import typer

from cli.show import as_json, as_table

app = typer.Typer(no_args_is_help=True, help="Past and running nights.")


@app.command("list")
def list_runs(
    recipe: Annotated[str | None, typer.Option(help="Only this recipe's nights.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 20,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Nights, newest first."""
    from flows.history import nights

    found = nights(recipe, limit)
    if json:
        typer.echo(as_json(found))
        return
    rows = [(n.run_id[:8], n.recipe, n.started, n.status, n.seconds, n.fingerprint[:12]) for n in found]
    typer.echo(as_table(("run", "recipe", "started", "status", "seconds", "fingerprint"), rows))
    typer.echo("Run  pawl run show RUN  for one of them." if found else "No nights yet. Run  pawl nightly .", err=True)


@app.command("show")
def show_run(
    run: Annotated[
        str | None, typer.Argument(help="Id of a night's run or its beginning; default: the newest.")
    ] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """One night: its steps, gates and models."""
    from cli.nightly import words
    from flows.history import night_report

    report = night_report(run)
    if json:
        typer.echo(as_json(report))
        return
    typer.echo(
        as_table(("step", "status", "seconds", ""), [(s.name, s.status, s.seconds, s.reason) for s in report.steps])
    )
    typer.echo("")
    typer.echo(words(report, dry_run=False))
