"""The answer is in a language that nobody asked for."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import polars as pl

from tasks.data.filters.base import Filter, head, squeezed

HANGUL = r"[\p{Hangul}]"
LATIN = r"[\p{Latin}]"
OTHER = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Cyrillic}\p{Arabic}\p{Greek}\p{Hebrew}\p{Devanagari}\p{Thai}]"
LANGUAGE_TALK = (  # a prompt that speaks of languages may rightly mix them
    r"(?i)translat|language|\b(english|korean|hangul|french|spanish|german|italian|portuguese|dutch|latin|chinese|"
    r"mandarin|japanese|kanji|haiku|russian|greek|arabic|hebrew|hindi|turkish|polish|swedish|vietnamese|indonesian|"
    r"thai)\b|번역|통역|언어|외국어|영어|영문|한국어|한글|국문|일본어|중국어|한자|프랑스어|불어|독일어|스페인어|러시아어|라틴어|"
    r"로마자|영작"
)
CODE = r"[{}<>=\\]|\w\(|\);|```|https?://|(?m)^\s*(def|class|import|from|return|SELECT|for|if|while)\b"
CODE_LINE = r"(?m)^[^\p{Hangul}\n]*(?:[=(){};]|\breturn\b)[^\p{Hangul}\n]*$"
ENGLISH = (
    r"(?i)\b(the|a|an|of|to|and|in|on|is|are|was|were|be|it|that|this|with|for|as|at|by|from|has|have|had|you|your|i|"
    r"we|they|he|she|not|or|can|will|do|does|there|his|her|its|their|which|who|what|when|how|but|if)\b"
)
PLAIN_WORD = r"\b[a-z]{2,}\b"
LABEL = r"\b[a-z]{2,}:\s"  # as in a record, "city: Oslo; day: Sunday"
WORD = r"\w+"
LONG_ENOUGH = 100  # letters; below that, language identification is a guess
CERTAIN = 0.999


def count(text: str | pl.Expr, pattern: str) -> pl.Expr:
    """How often a pattern occurs, as a float."""
    return (pl.col(text) if isinstance(text, str) else text).str.count_matches(pattern).cast(pl.Float64)


class WrongLanguage(Filter):
    """By script where that decides, else by py3langid over the whole record; abstains when short or about languages.

    Args:
        languages: what the dataset may hold, of "en" and "ko".
    """

    reason = "wrong_language"
    kinds = ("demonstrations",)

    def __init__(self, languages: Sequence[str]) -> None:
        self.languages = languages

    def judge(self, batch: pl.DataFrame) -> pl.Expr:
        hangul, latin, other = (count("response", script) for script in (HANGUL, LATIN, OTHER))
        letters = hangul + latin + other
        korean = (hangul >= 4) & (hangul > 0.5 * letters)
        cases = (
            (self.other_script(letters, other), "neither Latin nor Korean script"),
            (korean & self.asked_in_english(), "Korean answer to an English prompt"),
            ((hangul == 0) & (latin >= 8) & self.english_to_korean(), "English answer to a Korean prompt"),
            (korean & pl.lit("ko" not in self.languages), "Korean"),
            ((hangul == 0) & (latin >= 20) & self.no_code() & pl.lit("en" not in self.languages), "not Korean"),
        )
        said = pl.coalesce(pl.when(found.fill_null(False)).then(pl.lit(text)) for found, text in cases)
        about_languages = pl.col("asked").str.contains(LANGUAGE_TALK)
        answered = pl.col("response").str.strip_chars() != ""
        return pl.when(~about_languages & answered).then(
            pl.coalesce(said + pl.lit(": ") + head("response"), self.identified(batch))
        )

    def no_code(self) -> pl.Expr:
        """The answer has no sign of code, markup or an address."""
        return ~pl.col("response").str.contains(CODE)

    def other_script(self, letters: pl.Expr, other: pl.Expr) -> pl.Expr:
        """Mostly in a third script, which the prompt does not use, or the whole record does."""
        asked_other = count("asked", OTHER)
        asked = count("asked", HANGUL) + count("asked", LATIN) + asked_other
        return (other >= 6) & (other > 0.5 * letters) & ((asked_other < 0.2 * asked) | (asked + letters >= 40))

    def asked_in_english(self) -> pl.Expr:
        """The prompt has Latin letters and not one Korean."""
        return (count("asked", HANGUL) == 0) & (count("asked", LATIN) >= 10)

    def english_to_korean(self) -> pl.Expr:
        """The prompt, but for its code, is mostly Korean, and the answer is an English sentence of its own words."""
        prose = pl.col("asked").str.replace_all(CODE_LINE, "")
        asked_hangul = count(prose, HANGUL)
        asked = asked_hangul + count(prose, LATIN) + count(prose, OTHER)
        ended = pl.col("response").str.contains(r"[.!?]\s*$")
        sentence = (count("response", ENGLISH) >= 1) & (count("response", WORD) >= 3)
        sentence |= count("response", PLAIN_WORD) >= pl.when(ended).then(2).otherwise(3)
        sentence |= count("response", LABEL) >= 2
        return (asked_hangul >= 4) & (asked_hangul >= 0.5 * asked) & sentence & self.own_words() & self.no_code()

    def own_words(self) -> pl.Expr:
        """The answer's words are mostly not taken from the prompt (names, labels and quotes are)."""
        said = pl.col("response").str.extract_all(r"[A-Za-z]{2,}")
        new = said.list.set_difference(pl.col("asked").str.extract_all(r"[A-Za-z]{2,}"))
        return new.list.len() * 2 > said.list.unique().list.len()

    def identified(self, batch: pl.DataFrame) -> pl.Expr:
        """py3langid's word on long answers in Latin script with hardly an English word in them."""
        few_english = count("response", ENGLISH) < 0.08 * count("response", WORD)
        in_latin = (count("response", LATIN) >= LONG_ENOUGH) & (count("response", HANGUL) == 0)
        doubtful = batch.filter(in_latin & few_english & self.no_code())
        texts = doubtful.select("row", pl.concat_str(squeezed("asked"), squeezed("response"), separator=" "))
        found: dict[int, str] = {}
        for row, text in texts.iter_rows():
            language, share = identifier().classify(text)
            if language not in ("en", "ko") and share >= CERTAIN:
                found[row] = f"looks like “{language}” to py3langid"
        return pl.col("row").replace_strict(list(found), list(found.values()), default=None, return_dtype=pl.String)


@cache
def identifier() -> Any:
    """py3langid's model with probabilities (Lui and Baldwin 2012); loading takes a second, so only when needed."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
