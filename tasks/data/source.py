"""Where a dataset's records come from: params.yaml names the file, the readers read it."""

import hashlib
from pathlib import Path

from tasks.adapters.dvc import missing_dataset
from tasks.contracts import Digest
from tasks.data.read import ReadResult, read
from tasks.errors import ConfigError
from tasks.recipe import Dataset, Params, load_params

PARAMS = Path("params.yaml")
SOURCES = Path("data/reports/sources")


def load_policy() -> Params:
    """params.yaml of the folder that the stage runs in."""
    return load_params(PARAMS)


def find_dataset(params: Params, name: str) -> Dataset:
    """The entry of `name` in params.yaml.

    Raises:
        ConfigError: no such entry.
    """
    if name not in params.datasets:
        raise ConfigError(f'{PARAMS}: no dataset "{name}" (have: {", ".join(params.datasets)}). Add it under datasets.')
    return params.datasets[name]


def read_source(name: str, dataset: Dataset) -> ReadResult:
    """The records of a dataset's file.

    Raises:
        DatasetMissing: naming the dataset, the file and params.yaml.
        DatasetUnreadable: the file is in no known format.
    """
    if not Path(dataset.source).exists():
        raise missing_dataset(name, dataset.source)
    return read(Path(dataset.source), dataset.kind)


def source_digest(dataset: Dataset) -> Digest:
    """sha256 of a dataset's file as it lies there."""
    with Path(dataset.source).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def evaluation_sets(params: Params) -> dict[str, Dataset]:
    """The datasets that nothing may be trained on."""
    return {name: each for name, each in params.datasets.items() if each.kind == "evaluation"}


def source_record(name: str, dataset: Dataset) -> Path:
    """Where `validate` notes the digest of a dataset's file; the folder of a kind is what other stages depend on."""
    return SOURCES / dataset.kind / f"{name}.json"


def forget_old_records(params: Params) -> None:
    """Drop the notes of datasets that params.yaml no longer has, or has as another kind."""
    known = {source_record(name, dataset) for name, dataset in params.datasets.items()}
    for path in set(SOURCES.glob("*/*.json")) - known:
        path.unlink()
