"""Read a dataset file of any known format into canonical records; what cannot be read is named, line by line."""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tasks.contracts import DatasetKind, canonical_json
from tasks.data.shapes import Fields, ShapeError, canonical
from tasks.errors import DatasetMissing, DatasetUnreadable

GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
FORMATS = "a JSON array or JSON Lines in UTF-8, plain or gzipped (see data/README.md)"


class Unreadable(NamedTuple):
    """A place in a file that gave no record."""

    line: int  # from 1
    column: int  # from 1, in characters (in bytes where the line is not UTF-8)
    cause: str
    text: str  # the start of what stands there

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.cause}"


class Located(NamedTuple):
    """A parsed JSON value and where it starts."""

    line: int
    column: int
    value: Any
    text: str


@dataclass(frozen=True)
class ReadResult:
    """Canonical records in file order, the line each starts on, and what could not be read."""

    records: list[Fields] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.records) + len(self.unreadable)


def read(path: Path, kind: DatasetKind) -> ReadResult:
    """All records of the file at `path`, in the canonical form of their kind (data/README.md).

    A record without an id gets one from its content, which stays the same when the file grows.

    Raises:
        DatasetMissing: no such file.
        DatasetUnreadable: binary, broken gzip, a broken JSON array, or not one record of a known shape.
    """
    data = read_bytes(path)
    result = ReadResult()
    seen: Counter[str] = Counter()
    for item in values(data, path):
        if isinstance(item, Unreadable):
            result.unreadable.append(item)
            continue
        try:
            record = canonical(item.value, kind)
            check_text(record)
        except ShapeError as error:
            result.unreadable.append(Unreadable(item.line, item.column, str(error), item.text))
            continue
        result.records.append({"id": identifier(item.value, record, seen), **record})
        result.lines.append(item.line)
    if result.unreadable and not result.records:
        raise DatasetUnreadable(
            f"{path}: not one of its {result.total} records can be read as {kind}; {result.unreadable[0]}.\n"
            f"Pawl reads {FORMATS}. Convert the file, or correct `kind` of the dataset in params.yaml."
        )
    return result


def read_bytes(path: Path) -> bytes:
    """The file's bytes, unpacked, without a byte order mark."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DatasetMissing(f"{path}: no such file. Put it there, or correct `source` in params.yaml.") from None
    except IsADirectoryError:
        raise DatasetUnreadable(f"{path} is a folder. Name one file as `source` in params.yaml.") from None
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DatasetUnreadable(f"{path}: broken gzip ({error}). Fetch the file again.") from error
    data = data.removeprefix(BOM)
    if b"\0" in data[:4096]:
        raise DatasetUnreadable(f"{path}: holds NUL bytes: binary, or UTF-16. Pawl reads {FORMATS}; convert it.")
    return data


def values(data: bytes, path: Path) -> Iterator[Located | Unreadable]:
    """Every JSON value of an array or of JSON Lines, told apart by the first character."""
    if data.lstrip()[:1] == b"[":
        yield from array_values(data, path)
    else:
        yield from line_values(data)


def line_values(data: bytes) -> Iterator[Located | Unreadable]:
    """One value a line; blank lines are skipped, a broken line does not end the reading."""
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            text = raw.decode("utf-8").rstrip("\r")
        except UnicodeDecodeError as error:
            shown = excerpt(raw.decode("utf-8", "replace"))
            yield Unreadable(number, error.start + 1, f"not UTF-8 ({error.reason})", shown)
            continue
        try:
            yield Located(number, 1, DECODER.decode(text), excerpt(text))
        except json.JSONDecodeError as error:
            yield Unreadable(number, error.colno, f"not JSON ({error.msg})", excerpt(text))
        except (ValueError, RecursionError) as error:
            yield Unreadable(number, 1, f"not JSON ({error})", excerpt(text))


def array_values(data: bytes, path: Path) -> Iterator[Located]:
    """The elements of one JSON array, each with its place.

    Raises:
        DatasetUnreadable: with line and column, since nothing after a break in an array can be trusted.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DatasetUnreadable(f"{path}: not UTF-8 in line {line} ({error.reason}). Save it as UTF-8.") from error
    at = blank(text, text.index("[") + 1)
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        column = at - text.rfind("\n", 0, at)
        try:
            value, end = DECODER.raw_decode(text, at)
            following = blank(text, end)
            if text[following : following + 1] not in (",", "]"):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, following)
        except json.JSONDecodeError as error:
            raise broken_array(path, error.lineno, error.colno, error.msg) from error
        except (ValueError, RecursionError) as error:
            raise broken_array(path, line, column, str(error)) from error
        yield Located(line, column, value, excerpt(text[at:end]))
        at = following if text[following] == "]" else blank(text, following + 1)
    rest = blank(text, at + 1)
    if rest < len(text):
        line, column = text.count("\n", 0, rest) + 1, rest - text.rfind("\n", 0, rest)
        raise broken_array(path, line, column, "text after the end of the array")


def broken_array(path: Path, line: int, column: int, cause: str) -> DatasetUnreadable:
    """What to say about an array that breaks off."""
    return DatasetUnreadable(
        f"{path}: broken JSON array in line {line}, column {column}: {cause}.\n"
        "Correct that place, or save the file as JSON Lines, where one broken line does not spoil the rest."
    )


def blank(text: str, at: int) -> int:
    """The first place from `at` that is not white space."""
    match = json.decoder.WHITESPACE.match(text, at)  # type: ignore[attr-defined]
    return match.end() if match else at


def refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python's reader would take."""
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def check_text(record: Fields) -> None:
    """Escapes such as \\ud800 make text that no UTF-8 file can hold."""
    try:
        canonical_json(record).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ShapeError(f"half of a surrogate pair (\\u{ord(error.object[error.start]):04x}) in its text") from error


def identifier(raw: Any, record: Fields, seen: Counter[str]) -> str:
    """The record's own id, or one made of its content; the n-th copy of a record gets "-n" behind it."""
    own = raw.get("id")
    if isinstance(own, str | int) and not isinstance(own, bool) and str(own).strip():
        return str(own)
    made = hashlib.sha256(canonical_json(record).encode()).hexdigest()[:16]
    seen[made] += 1
    return made if seen[made] == 1 else f"{made}-{seen[made]}"


def excerpt(text: str) -> str:
    """Enough of a text to find it again."""
    return text if len(text) <= 200 else f"{text[:200]}…"
