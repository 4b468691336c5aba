"""What the contract tests look at: the repository's own files, read as text and as syntax trees, never run."""

import ast
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

CAPABILITIES = ("data", "train", "quantize", "evaluate", "release", "report")


@dataclass(frozen=True)
class House:
    """The repository, as the contract tests see it."""

    root: Path

    @cached_property
    def files(self) -> list[Path]:
        """Every file that is in Git or would be added to it, in order."""
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listing = subprocess.run(command, cwd=self.root, check=True, capture_output=True, text=True).stdout
        return sorted(self.root / name for name in listing.split("\0") if name and (self.root / name).is_file())

    @cached_property
    def sources(self) -> list[Path]:
        """The Python files of cli, flows and tasks."""
        return [p for name in ("cli", "flows", "tasks") for p in sorted((self.root / name).rglob("*.py"))]

    @cached_property
    def pages(self) -> list[Path]:
        """The README files and the documentation pages."""
        return [p for p in self.files if p.suffix == ".md"]

    def tree(self, path: Path) -> ast.Module:
        return ast.parse(path.read_text("utf-8"), filename=str(path))

    def functions(self, path: Path) -> set[str]:
        """Names of the top-level functions of a module."""
        return {n.name for n in self.tree(path).body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}

    @cached_property
    def verbs(self) -> dict[str, Path]:
        """Each verb with its module: the files of the capabilities that hold a function of their own name."""
        modules = [p for name in CAPABILITIES for p in sorted((self.root / "tasks" / name).glob("*.py"))]
        return {p.stem: p for p in modules if p.stem in self.functions(p)}


@pytest.fixture(scope="session")
def house() -> House:
    return House(Path(__file__).resolve().parents[2])
