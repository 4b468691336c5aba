"""What makes two pieces of work the same work (docs/explanation/identity.md)."""

import ast
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from tasks.contracts import Digest, Fingerprint, canonical_json

CODE_ROOT = Path(__file__).resolve().parent.parent
NOT_IDENTITY = (
    "tasks.adapters",
    "tasks.settings",
    "tasks.errors",
    "tasks.contracts",
    "tasks.recipe",
    "tasks.fingerprint",
    "tasks.train.execution",
)
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "lm_eval")


def fingerprint(step: str, config: JsonValue, inputs: Mapping[str, Digest], *modules: str) -> Fingerprint:
    """sha256 of the step's name, its code, the part of the recipe that it reads, and its inputs' digests.

    Args:
        config: plain JSON values, as `model_dump(mode="json")` gives them.
        inputs: name to digest: a DVC md5, an adapter's content digest, the base's digest, a suite's hash.
        modules: dotted names of the modules that implement the step.
    """
    identity = {"step": step, "code": code_revision(*modules), "config": config, "inputs": dict(inputs)}
    return hashlib.sha256(canonical_json(identity).encode()).hexdigest()


@cache
def code_revision(*modules: str) -> Digest:
    """sha256 over a step's source, the sources under `tasks` that it imports, and the model libraries' versions.

    Records, config models, settings and adapters are left out: what they say enters a fingerprint as values.
    """
    sources = {name: source(name).read_bytes().decode() for name in sorted(closure(*modules))}
    libraries = {name: version(name).split("+")[0] for name in LIBRARIES}
    return hashlib.sha256(canonical_json({"sources": sources, "libraries": libraries}).encode()).hexdigest()


def closure(*modules: str) -> set[str]:
    """`modules` and all that they import from `tasks`, directly or not, that belongs to identity."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imported(source(name)))
    return found


def imported(path: Path) -> list[str]:
    """Modules under `tasks` that the file at `path` names in an import, at any depth of the code."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return [n for n in names if n.startswith("tasks.") and not n.startswith(NOT_IDENTITY) and source(n).is_file()]


def source(module: str) -> Path:
    """The file of a module of this repository."""
    return CODE_ROOT / Path(*module.split(".")).with_suffix(".py")
