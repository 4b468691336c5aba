"""Read a YAML file into a typed model and report every problem at once, each with its path in the file and the fix."""

import copy
import difflib
import functools
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]
Problem = tuple[str, str]  # path in the file, what is wrong and the fix


def load_config(path: Path, model: type[Model], recheck: str) -> Model:
    """Parse `path` as YAML (safe loader, duplicate keys refused) and validate it.

    Raises:
        ConfigError: exit code 2; the message lists every problem and ends with the command that checks again.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file. Name another with --recipe PATH, or start from recipes/assistant.yaml."
        ) from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: not a readable text file ({error}).") from error
    try:
        data = yaml.load(text, Loader=UniqueKeyLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{path}: not valid YAML: {' '.join(str(error).split())}\nFix that line, then run  {recheck}"
        ) from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = [problem(e, model) for e in error.errors()]
        raise config_error(path, [*found, *hidden_problems(data, model, error)], recheck) from error


def hidden_problems(data: Any, model: type[Model], error: ValidationError) -> list[Problem]:
    """What the rules over the whole file say, which pydantic asks only where every field is right.

    Unknown keys and wrong values that are no section are taken away for that. A wrong section stays, and with it the
    silence: what a rule would say of a file without it may be false.
    """
    rest = copy.deepcopy(data)
    for wrong in error.errors():
        loc = wrong["loc"]
        plain = len(loc) == 1 and loc[0] in model.model_fields and not models_in(model.model_fields[loc[0]].annotation)
        if loc and (wrong["type"] == "extra_forbidden" or (plain and wrong["type"] != "missing")):
            del functools.reduce(lambda here, part: here[part], loc[:-1], rest)[loc[-1]]
    if rest == data:
        return []
    try:
        model.model_validate(rest)
    except ValidationError as second:
        return [problem(e, model) for e in second.errors() if not e["loc"]]
    return []


def config_error(path: Path, problems: Iterable[Problem], recheck: str) -> ConfigError:
    """One message for all problems of a file, aligned."""
    rows = list(problems)
    width = max(len(where) for where, _ in rows)
    lines = [f"  {where:<{width}}  {what}" for where, what in rows]
    count = f"{len(rows)} problem{'s' if len(rows) > 1 else ''}"
    return ConfigError("\n".join([f"{path}: {count}", *lines, f"Run  {recheck}  after the change."]))


def problem(error: ErrorDetails, model: type[BaseModel]) -> Problem:
    """One pydantic error as (path in the file, what is wrong and the fix)."""
    loc = error["loc"]
    where = dotted(loc) or "(whole file)"
    kind = error["type"]
    if kind == "model_type" and not loc:
        return where, f"not a mapping of keys; start with {', '.join(known_keys(model, ()))}"
    if kind == "extra_forbidden":
        return where, unknown_key(str(loc[-1]), known_keys(model, loc[:-1]))
    if kind == "missing":
        return where, "required, but absent; add it"
    if kind == "value_error":
        return where, error["msg"].removeprefix("Value error, ")
    value = error["input"]
    got = f", got {value!r}" if isinstance(value, str | int | float) else ""
    return where, f"{error['msg'].replace('Input should', 'should')}{got}"


def unknown_key(key: str, known: list[str]) -> str:
    """Names the nearest known key, or all of them."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key (known: {', '.join(known)})" if known else "unknown key; remove it"


def known_keys(model: type[BaseModel], loc: Location) -> list[str]:
    """Field names at `loc` inside `model`, following unions, lists and mappings."""
    here: list[type[BaseModel]] = [model]
    for part in loc:
        if isinstance(part, int):
            continue
        inner = [sub for m in here if part in m.model_fields for sub in models_in(m.model_fields[part].annotation)]
        here = inner or here
    return sorted({name for m in here for name in m.model_fields})


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The config models that an annotation such as `list[X | None]` or `dict[str, X]` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in models_in(arg)]


def dotted(loc: Location) -> str:
    """("stages", 1, "dpo", "beta") as stages[1].dpo.beta."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, which by itself lets a repeated key overwrite the first in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        repeated = next((k for i, k in enumerate(keys) if k in keys[:i]), None)
        if repeated is not None:
            raise yaml.constructor.ConstructorError(
                "in a mapping", node.start_mark, f"key {repeated!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)
