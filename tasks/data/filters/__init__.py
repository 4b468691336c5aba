"""The filters, each a small class with a stable reason code (data/README.md lists them)."""

from collections.abc import Sequence

import polars as pl

from tasks.contracts import DatasetKind
from tasks.data.filters.base import Filter
from tasks.data.filters.duplicate import ExactDuplicate
from tasks.data.filters.echo import PromptEcho
from tasks.data.filters.language import WrongLanguage
from tasks.data.filters.leak import LeakedEval
from tasks.data.filters.structure import AllTied, EmptyOutput, EmptyPrompt, IdenticalResponses, RoleOrder
from tasks.data.filters.truncated import TruncatedOutput


def filters_for(kind: DatasetKind, languages: Sequence[str], evaluation: pl.DataFrame) -> list[Filter]:
    """What is looked for in a dataset of this kind, in the order of the report."""
    every: list[Filter] = [
        EmptyPrompt(),
        RoleOrder(),
        EmptyOutput(),
        TruncatedOutput(),
        ExactDuplicate(),
        WrongLanguage(languages),
        PromptEcho(),
        LeakedEval(evaluation),
        AllTied(),
        IdenticalResponses(),
    ]
    return [each for each in every if kind in each.kinds]
