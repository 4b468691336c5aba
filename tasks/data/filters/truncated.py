"""The answer stops before it is done."""

import polars as pl

from tasks.data.filters.base import Filter, squeezed, tail

END = r"[.!?。！？…][\"'”’)\]*_`»」』\s\p{So}]*$"  # a sentence's end, with what may close after it
CODE = r"[{}=\\;]|\w\(|```|(?m)^\s*(def|class|import|return|SELECT)\b"
EMOTICON = r"[:;=]['-]?[(\[{]"
DANGLING = (  # no sentence of six words or more ends in these
    r"(?:\S+\s+){5,}(the|an|and|or|of|but|because|which|whose|their|its|my|your|our|than|if|into|such as|"
    r"\S*(에게|에서|으로|하고|하며|면서|때문에|를|[^\s가마노]을)|그리고|하지만|그러나|또는|및|위해|위한|대한|통해|있는|하는|되는|라는)$"
)
OPEN_COMMA = r"(?:\S+\s+){5,}\S+[,、]$"
OPEN_HYPHEN = r"(?:\S+\s+){5,}\S*\w-$"
# A sentence, then three words or more that do not end one.
STOPPED_PROSE = r"^[^#\n]*(?:[a-z)]{2}[.!?]|[다요]\.) (?:\S+ ){2,}[\p{Ll}\p{Hangul}]+$"
NOT_PROSE = r"#\w|https?:|www\.|\d[.)] |[:;|]|^\s*[-*•]|@\w"
DAMAGED = r"\x{FFFD}|â€"  # signs of a wrong encoding: what ends such a text says nothing
PROSE_LENGTH = 300
ECHO_SHARE = 0.6  # an answer that is most of its prompt is an echo, which ends as the prompt does
GROUP_SIZE, GROUP_SHARE = 20, 0.9


class TruncatedOutput(Filter):
    """Something stays open, or the last sentence has no end where the record's own kind always has one.

    Without a known task there is no such kind to compare with: many a good answer (a list, a name, code) ends
    without a full stop.
    """

    reason = "truncated_output"
    kinds = ("demonstrations",)

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        answer = pl.col("response").str.strip_chars()
        last = answer.str.split("\n").list.last()
        ended = answer.str.contains(END)
        openers, closers = self.balance(answer)
        prose = last.str.contains(STOPPED_PROSE) & ~last.str.contains(NOT_PROSE)
        prose &= answer.str.len_chars() >= PROSE_LENGTH
        cases = (
            (self.fence_open(answer) & ~ended, "code block left open"),
            ((openers > closers) & ~ended, "bracket left open"),
            (self.quote_open(answer) & ~ended, "quotation left open"),
            (last.str.contains(OPEN_COMMA) | last.str.contains(OPEN_HYPHEN), "ends in the middle of a sentence"),
            (last.str.contains(DANGLING) & ~answer.str.contains(CODE), "ends in the middle of a sentence"),
            (prose, "the last sentence has no end"),
            (self.unlike_its_kind(answer, ended), "no full stop, unlike answers of its task"),
        )
        said = pl.coalesce(pl.when(found.fill_null(False)).then(pl.lit(text)) for found, text in cases)
        echo = squeezed("question").str.contains(squeezed("response"), literal=True) & (
            answer.str.len_chars() >= ECHO_SHARE * pl.col("question").str.len_chars()
        )
        damaged = answer.str.contains(DAMAGED)
        return pl.when((answer != "") & ~echo & ~damaged).then(said + pl.lit(": ") + tail("response"))

    def fence_open(self, answer: pl.Expr) -> pl.Expr:
        """An odd number of code fences, the last one with code after it."""
        return (answer.str.count_matches("```", literal=True) % 2 == 1) & ~answer.str.ends_with("```")

    def balance(self, answer: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
        """How many brackets open and close; "[0, 1)" is balanced."""
        plain = answer.str.replace_all(EMOTICON, "")
        return plain.str.count_matches(r"[(\[{]"), plain.str.count_matches(r"[)\]}]")

    def quote_open(self, answer: pl.Expr) -> pl.Expr:
        """An odd number of quotation marks, the last one before a word."""
        return (answer.str.count_matches('"', literal=True) % 2 == 1) & answer.str.contains(r'(^|[\s(])"\S[^"]*$')

    def unlike_its_kind(self, answer: pl.Expr, ended: pl.Expr) -> pl.Expr:
        """No full stop, where nine in ten answers of the same task and language have one."""
        has_text = answer != ""
        share = (ended & has_text).sum() / has_text.sum()
        group = ("task", "lang")
        usual = (share.over(group) >= GROUP_SHARE) & (has_text.sum().over(group) >= GROUP_SIZE)
        return (pl.col("task") != "") & usual & ~ended & ~answer.str.contains("```", literal=True)
