"""How results look on stdout: JSON for programs, aligned columns for people."""

import json
from collections.abc import Sequence

from pydantic import BaseModel, JsonValue

Rows = Sequence[Sequence[object]]


def as_json(value: BaseModel | Sequence[BaseModel] | JsonValue) -> str:
    """Pure JSON, UTF-8 as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump_json(indent=1)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = [item.model_dump(mode="json") if isinstance(item, BaseModel) else item for item in value]
    return json.dumps(value, ensure_ascii=False, indent=1)


def as_table(header: Sequence[str], rows: Rows) -> str:
    """Columns as wide as their widest cell."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )
