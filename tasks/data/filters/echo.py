"""The prompt said again."""

import polars as pl

from tasks.data.filters.base import Filter, evidence, head, squeezed

REPEATING = r"(?i)\b(repeat|copy|echo|say after|recite|verbatim|word for word)\b|따라|그대로|반복|복사|옮겨 ?적"
MAY_STAY = (  # requests whose right answer may be the given text unchanged
    r"(?i)\b(order|sort|arrange|rank|organi[sz]e|select|choose|pick|match|identify|find|extract|list|correct|edit|fix|"
    r"proofread|grammar|spell|punctuat|check|format|classify|categori[sz]e|construct|validate|if necessary|if needed)|"
    r"정렬|순서|고르|골라|선택|찾|추출|뽑|고치|교정|맞춤법|확인|형식|분류"
)
SHORTEST_GIVEN = 20  # characters; a shorter given text may well be the answer


class PromptEcho(Filter):
    """The answer is the question, its instruction or its given text, and nothing else of weight."""

    reason = "prompt_echo"
    kinds = ("demonstrations",)

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        answer, question = squeezed("response"), squeezed("question")
        parts = pl.col("question").str.splitn("\n\n", 2).struct
        instruction = parts[0].str.replace_all(r"\s+", " ").str.strip_chars()
        given = parts[1].str.replace_all(r"\s+", " ").str.strip_chars()
        said_again = (
            (answer == question)
            | (answer == instruction)
            | (answer.str.starts_with(question) & (answer.str.len_chars() < question.str.len_chars() * 1.2))
            | ((answer == given) & (given.str.len_chars() >= SHORTEST_GIVEN) & ~instruction.str.contains(MAY_STAY))
        )
        asked_for = pl.col("question").str.contains(REPEATING)
        return evidence((answer != "") & said_again & ~asked_for, pl.lit("is the prompt: ") + head("response"))
