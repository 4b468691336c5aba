"""pawl release: the one door to `champion`."""

from typing import Annotated

import typer

from cli.show import as_json, as_table

app = typer.Typer(no_args_is_help=True, help="Releases: what is in service, and what may follow it.")
Name = Annotated[str, typer.Argument(help="The recipe's name, such as assistant.")]


@app.command("list")
def list_all(name: Name, json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Every set that passed the gate, newest first."""
    from tasks.release.models import list_releases

    models = list_releases(name)
    if json:
        typer.echo(as_json(models))
        return
    rows = [
        (
            m.name,
            m.version,
            m.kind,
            ", ".join(m.aliases) or "-",
            m.tags.get("pawl.promoted_at", "-"),
            m.tags.get("pawl.promoted_by", "-"),
            m.tags.get("pawl.promoted_reason", "-"),
        )
        for m in models
    ]
    typer.echo(as_table(("model", "version", "kind", "aliases", "promoted", "by", "reason"), rows))
    typer.echo(f'Run  pawl release promote {name} --reason "…"  to make the challenger the champion.', err=True)


@app.command("promote")
def promote_one(
    name: Name,
    reason: Annotated[str, typer.Option(help="Kept with the decision.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A version of the release model; default: challenger.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the evidence; move nothing.")] = False,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Make a registered challenger the champion, if its evidence is whole."""
    from tasks.release.promote import promote

    decision = promote(name, reason, version, dry_run)
    if json:
        typer.echo(as_json(decision))
        return
    after = ", ".join(f"{kind} version {number}" for kind, number in decision.after.items())
    typer.echo(f"{name}: {decision.status.replace('_', ' ')}: {after}")
    typer.echo(f"Ask it:  pawl model chat {name}@champion", err=True)
