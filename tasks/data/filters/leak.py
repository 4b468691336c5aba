"""Evaluation items in what is trained on. Source of n-gram overlap as evidence: Brown et al. 2020, appendix C."""

import polars as pl

from tasks.data.filters.base import Filter, normalized

GRAM = 8  # words
LONG = 13  # words; a shorter item is also a part of other good questions, so only the whole of it counts
CONTAINED = 0.8  # share of an item's n-grams that a record must hold, the first and the last among them


class LeakedEval(Filter):
    """A whole evaluation prompt, word for word, or (from 13 words on) most of its n-grams from first to last.

    Args:
        items: the evaluation records, as `frame` makes them.
    """

    reason = "leaked_eval"
    kinds = ("demonstrations", "comparisons", "prompts")

    def __init__(self, items: pl.DataFrame) -> None:
        self.items = items

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        if self.items.is_empty():
            return pl.lit(None, dtype=pl.String)
        items = self.items.select("id", "roles", normalized(pl.col("asked")).alias("key"))
        items = items.filter(pl.col("key") != "").unique("key", keep="first", maintain_order=True)
        alone = items.filter(pl.col("roles") == "u")
        whole = pl.coalesce(
            normalized(pl.col(column)).replace_strict(known["key"], known["id"], default=None, return_dtype=pl.String)
            for column, known in (("asked", items), ("question", alone))
        )
        found = self.overlapping(batch, items.filter(pl.col("key").str.count_matches(" ", literal=True) + 1 >= LONG))
        most = pl.col("row").replace_strict(found["row"], found["id"], default=None, return_dtype=pl.String)
        return pl.coalesce(pl.lit("is evaluation item ") + whole, pl.lit("holds most of evaluation item ") + most)

    def overlapping(self, batch: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
        """Rows of `batch` with the evaluation item that each holds most of: row, id."""
        theirs = grams(items.with_row_index("item").select("item", "key"), "item").with_columns(
            (pl.col("place") == pl.col("place").min().over("item")).alias("is_first"),
            (pl.col("place") == pl.col("place").max().over("item")).alias("is_last"),
        )
        sizes = theirs.group_by("item").agg(pl.col("gram").n_unique().alias("size"))
        words = pl.concat_str("asked", "response", pl.col("responses").list.join(" "), separator=" ", ignore_nulls=True)
        ours = grams(batch.select("row", normalized(words).alias("key")), "row").select("row", "gram").unique()
        held = (
            ours.join(theirs, on="gram")
            .group_by("row", "item")
            .agg(pl.col("gram").n_unique().alias("held"), pl.col("is_first").any(), pl.col("is_last").any())
        )
        enough = (pl.col("held") >= CONTAINED * pl.col("size")) & pl.col("is_first") & pl.col("is_last")
        found = held.join(sizes, on="item").filter(enough).sort("row", "item")
        found = found.unique("row", keep="first", maintain_order=True)
        return found.join(items.with_row_index("item"), on="item").sort("row").select("row", "id")


def grams(texts: pl.DataFrame, owner: str) -> pl.DataFrame:
    """All runs of eight words of each text in column "key": owner, place, gram (the words themselves)."""
    words = texts.select(owner, pl.col("key").str.split(" ").alias("word")).explode("word")
    words = words.with_columns(pl.int_range(pl.len()).over(owner).alias("place"))
    run = pl.concat_str([pl.col("word").shift(-at).over(owner) for at in range(GRAM)], separator=" ")
    return words.select(owner, "place", run.alias("gram")).drop_nulls()
