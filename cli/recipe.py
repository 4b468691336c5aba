"""pawl recipe: check what is about to run."""

from pathlib import Path
from typing import Annotated

import typer

from cli.show import as_json

app = typer.Typer(no_args_is_help=True, help="Recipes: what a model line is made of.")


@app.callback()
def recipes() -> None:
    """Recipes: what a model line is made of."""


@app.command("check")
def check(path: Path, json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Report every problem of a recipe and of params.yaml, with the fix."""
    from flows.night import check as check_recipe

    recipe, _ = check_recipe(path)
    stages = " → ".join(entry.name for entry in recipe.stages)
    typer.echo(as_json(recipe) if json else f"{path}: good. {recipe.name}: {recipe.base_model}, {stages}")
