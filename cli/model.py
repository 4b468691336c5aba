"""pawl model: what is registered."""

import sys
from typing import Annotated

import typer

from cli.show import as_json, as_table

app = typer.Typer(no_args_is_help=True, help="Registered adapters and quantized models.")
Reference = Annotated[str, typer.Argument(help="NAME@ALIAS or NAME/VERSION, such as assistant@champion.")]


@app.command("list")
def list_all(
    recipe: Annotated[str | None, typer.Option(help="Only this recipe's models.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many of each registered model.")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Every registered version, releases first."""
    from tasks.release.models import list_models

    models = list_models(recipe, limit)
    if json:
        typer.echo(as_json(models))
        return
    rows = [(m.name, m.version, m.kind, ", ".join(m.aliases) or "-", m.digest[:12]) for m in models]
    typer.echo(as_table(("model", "version", "kind", "aliases", "digest"), rows))
    typer.echo(
        "Run  pawl model show NAME/VERSION  for one of them." if models else "None yet. Run  pawl nightly .", err=True
    )


@app.command("show")
def show_one(model: Reference, json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """One version with its lineage: run, data, commit, verdict."""
    from tasks.release.models import show

    details = show(model)
    if json:
        typer.echo(as_json(details))
        return
    found = details.model
    verdict = details.verdict
    rows = [
        ("version", f"{found.name}/{found.version} ({found.kind})"),
        ("aliases", ", ".join(found.aliases) or "-"),
        ("digest", found.digest),
        ("run", f"{details.run_id} {details.run_name or '(gone)'}"),
        ("git commit", details.git_commit or "-"),
        *((f"dataset {name}", md5) for name, md5 in details.dataset_md5.items()),
        (
            "verdict",
            "none" if verdict is None else f"{'passed' if verdict.passed else 'rejected'}, run {verdict.run_id}",
        ),
    ]
    typer.echo(as_table(("", ""), rows).lstrip("\n"))
    typer.echo(f"\n{details.description}")


@app.command("chat")
def chat_with(
    model: Reference,
    prompt: Annotated[str | None, typer.Option(help="Ask this and end; without it, talk line by line.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1)] = 256,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Ask a registered model, loaded as MLflow serves it."""
    from tasks.release.models import chat

    if prompt is not None:
        answer = chat(model, prompt, max_tokens=max_tokens)
        typer.echo(as_json({"model": model, "prompt": prompt, "answer": answer}) if json else answer)
        return
    said: list[dict[str, str]] = []
    typer.echo("An empty line ends the conversation.", err=True)
    while line := next_line():
        answer = chat(model, line, said, max_tokens)
        typer.echo(answer)
        said += [{"role": "user", "content": line}, {"role": "assistant", "content": answer}]


def next_line() -> str:
    """What the person says next; nothing at the end of the input."""
    try:
        sys.stderr.write("> ")
        sys.stderr.flush()
        return input()
    except EOFError:
        return ""
