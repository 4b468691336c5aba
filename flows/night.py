"""One night's context: what it was asked, where it runs, what it has reported so far."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from flows.progress import Progress
from tasks.adapters.git import commit
from tasks.adapters.hub import base_model
from tasks.adapters.runs import Runs
from tasks.contracts import BaseModelVersion, DatasetVersion, Fingerprint
from tasks.errors import NightRunning
from tasks.fingerprint import fingerprint
from tasks.recipe import Params, Recipe, check_references, load_params, load_recipe
from tasks.settings import Settings, settings

DATA_STEPS = ("sample", "validate", "filter", "split")
SAMPLE = "data/raw/sample/"
LAST_STEPS = ("evaluate", "gate", "register")
CODE = {
    "sft": ("tasks.train.sft",),
    "dpo": ("tasks.train.dpo",),
    "quantize": ("tasks.quantize.merge", "tasks.quantize.quantize"),
    "evaluate": ("tasks.evaluate.evaluate",),
    "gate": ("tasks.evaluate.gate",),
}

log = logging.getLogger("pawl.night")


@dataclass
class Night:
    """What every step of a night needs to know. `data` is filled once the data steps are through."""

    path: Path
    recipe: Recipe
    params: Params
    env: Settings
    base: BaseModelVersion
    base_files: Path
    force: bool
    commit: str
    progress: Progress
    data: dict[str, DatasetVersion] = field(default_factory=dict)
    merged: dict[str, Mapping[str, float]] = field(default_factory=dict)
    run_id: str = ""

    @cached_property
    def runs(self) -> Runs:
        """The recipe's runs; the first use connects to MLflow."""
        return Runs(self.env, self.recipe.name)

    @property
    def base_is_folder(self) -> bool:
        """A base in a folder travels inside the adapter's artifact; one of the hub is named in it."""
        return (self.env.root / self.base.name).is_dir()

    def dataset_names(self) -> list[str]:
        """The datasets of params.yaml that the recipe uses."""
        refs = self.recipe.data
        return [name for name in (refs.demonstrations, refs.comparisons, refs.evaluation) if name]

    def stages(self, verb: str) -> list[str]:
        """The stages of dvc.yaml that a data step stands for.

        Every evaluation set is validated, also those of other recipes: filters look for leaks of all of them.
        """
        names = self.dataset_names()
        if verb == "sample":
            return ["sample"] if any(self.params.datasets[n].source.startswith(SAMPLE) for n in names) else []
        if verb == "validate":
            names += [n for n, d in self.params.datasets.items() if d.kind == "evaluation" and n not in names]
        return [f"{verb}@{name}" for name in names]

    def folder(self, dataset: str) -> Path:
        return self.env.root / "data" / "clean" / dataset

    @property
    def suite_files(self) -> Path:
        return self.env.root / "evals"

    @cached_property
    def suite_digest(self) -> str:
        """Identity of the evaluation: the suite's files and the held-out items."""
        from tasks.evaluate.suite import suite_digest

        return suite_digest(self.suite_files, self.folder(self.recipe.data.evaluation))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Identity of the whole night: recipe, data, base, evaluation and the code of every step."""
        inputs = {
            "base": self.base.digest,
            "suite": self.suite_digest,
            **{f"dataset/{name}": version.md5 for name, version in self.data.items()},
        }
        modules = [module for names in CODE.values() for module in names]
        return fingerprint("nightly", self.recipe.model_dump(mode="json"), inputs, *modules)

    def lineage(self) -> dict[str, str]:
        """The tags that lead from any run or model version back to recipe, commit and data."""
        md5s = {name: version.md5 for name, version in self.data.items()}
        return {
            "pawl.recipe": self.recipe.name,
            "pawl.git_commit": self.commit,
            "pawl.base_digest": self.base.digest,
            "pawl.dataset_md5": " ".join(f"{name}={md5}" for name, md5 in md5s.items()),
            **{f"pawl.dataset_md5.{name}": md5 for name, md5 in md5s.items()},
        }


def step_names(recipe: Recipe) -> list[str]:
    """The steps of a night, in order."""
    quantize = ["quantize"] if recipe.quantize.kinds() else []
    return [*DATA_STEPS, *(entry.name for entry in recipe.stages), *quantize, *LAST_STEPS]


def check(path: Path) -> tuple[Recipe, Params]:
    """Read a recipe and params.yaml and hold them against each other.

    Raises:
        ConfigError: with every problem and its fix.
    """
    recipe = load_recipe(path)
    params = load_params(settings().root / "params.yaml")
    check_references(recipe, params, suites(settings().root / "evals"), path)
    return recipe, params


def suites(folder: Path) -> list[str]:
    """The names of the suites in a folder, read from their YAML without the harness, which takes seconds to load."""
    named = re.compile(r"""^(?:task|group|tag):[ \t]*["']?([\w.-]+)""", re.MULTILINE)
    return sorted(name for path in folder.rglob("*.yaml") for name in named.findall(path.read_text("utf-8")))


def prepare(path: Path, force: bool) -> Night:
    """Everything that can be known to be wrong is known before any work starts.

    Raises:
        ConfigError, BaseModelMissing: with every problem and its fix.
    """
    env = settings()
    recipe, params = check(path)
    base, base_files = base_model(recipe.base_model, recipe.revision, env.root)
    return Night(
        path=path,
        recipe=recipe,
        params=params,
        env=env,
        base=base,
        base_files=base_files,
        force=force,
        commit=commit(env.root),
        progress=Progress(step_names(recipe)),
    )


@contextmanager
def alone(env: Settings, recipe: str) -> Iterator[None]:
    """One night of a recipe at a time on this machine; the lock goes with its process, however that ends.

    Raises:
        NightRunning: another process holds it.
    """
    env.work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(env.work / f"{recipe}.lock", timeout=0):
            yield
    except Timeout:
        raise NightRunning(
            f"Another night of {recipe} is running on this machine. Wait for it, or look with  pawl run list ."
        ) from None
