"""Write results beside their place, then move them there: a file that exists is whole."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """JSON Lines in UTF-8, the same bytes on every machine, one line a record even for readers that part at U+2028."""
    write_text(path, "".join(json.dumps(record, ensure_ascii=False).translate(LINE_ENDS) + "\n" for record in records))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON object, laid out for people."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """UTF-8 with line feeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8", newline="\n")
    unfinished.replace(path)
