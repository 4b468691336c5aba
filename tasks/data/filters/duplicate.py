"""The same record again."""

import polars as pl

from tasks.data.filters.base import Filter

CONTENT = ("prompt", "response", "responses", "ranks")


class ExactDuplicate(Filter):
    """Prompt and answers equal an earlier record's, byte for byte; the first one stays."""

    reason = "exact_duplicate"
    kinds = ("demonstrations", "comparisons", "prompts", "evaluation")

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        groups = batch.group_by(CONTENT).agg(
            pl.col("row").min().alias("first"), pl.col("row"), pl.col("id").sort_by("row").first(), pl.col("line").min()
        )
        copies = groups.explode("row").filter(pl.col("row") != pl.col("first")).sort("row")
        said = copies.select(pl.format("same as {} in line {}", "id", "line")).to_series()
        return pl.col("row").replace_strict(copies["row"], said, default=None, return_dtype=pl.String)
