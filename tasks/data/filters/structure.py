"""Records that no training step can use: nothing asked, nothing answered, turns out of order, nothing to prefer."""

import polars as pl

from tasks.data.filters.base import Filter, evidence

TURNS = r"^s?u(au)*$"  # system first if at all, then user and assistant in turn, a question last


class EmptyPrompt(Filter):
    """The last message asks nothing."""

    reason = "empty_prompt"
    kinds = ("demonstrations", "comparisons", "prompts", "evaluation")

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        return evidence(pl.col("question").str.strip_chars() == "", "the question has no text")


class RoleOrder(Filter):
    """The prompt's turns do not alternate, or do not end with a question. Chat templates refuse such records."""

    reason = "role_order"
    kinds = ("demonstrations", "comparisons", "prompts", "evaluation")

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        return evidence(~pl.col("roles").str.contains(TURNS), pl.lit("turns are ") + pl.col("roles"))


class EmptyOutput(Filter):
    """Nothing was answered; in a comparison: not one response, or not the best, has text."""

    reason = "empty_output"
    kinds = ("demonstrations", "comparisons", "evaluation")

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        blank = pl.col("response").str.strip_chars() == ""
        best = pl.col("responses").list.get(pl.col("ranks").list.arg_min(), null_on_oob=True)
        return (
            pl.when(blank.fill_null(False))
            .then(pl.lit("the answer has no text"))
            .when((best.str.strip_chars() == "").fill_null(False))
            .then(pl.lit("the best response has no text"))
        )


class AllTied(Filter):
    """All responses share one rank: there is nothing to prefer."""

    reason = "all_tied"
    kinds = ("comparisons",)

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        ranks = pl.col("ranks").list
        return evidence(ranks.n_unique() < 2, ranks.len().cast(pl.String) + pl.lit(" responses of one rank"))


class IdenticalResponses(Filter):
    """All responses are the same text, whatever their ranks say."""

    reason = "identical_responses"
    kinds = ("comparisons",)

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        texts = pl.col("responses").list
        return evidence(texts.n_unique() < 2, texts.len().cast(pl.String) + pl.lit(" responses of one text"))
