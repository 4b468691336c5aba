"""How a recipe's registered models and aliases are called in MLflow (docs/decisions/0006-registered-models.md)."""

from typing import get_args

from tasks.contracts import ModelKind

KINDS: tuple[ModelKind, ...] = get_args(ModelKind)
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
CANDIDATES = "-candidates"


def candidates(recipe: str) -> str:
    """The registered model that holds every artifact of every night."""
    return f"{recipe}{CANDIDATES}"


def release(recipe: str, kind: ModelKind) -> str:
    """The registered model that holds the released models of one kind; aliases live on these only."""
    return recipe if kind == "adapter" else f"{recipe}-{kind}"


def ledger(recipe: str) -> str:
    """The experiment that holds one run for each decision on the recipe's releases."""
    return f"{recipe}-ledger"
