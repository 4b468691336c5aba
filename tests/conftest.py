"""Shared by all tests: a project of its own for each that needs one, and one trained night for all that read it."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.settings import Settings, quiet_libraries, settings
from tests.project import REPOSITORY, Night, checkout

REAL = REPOSITORY.parent / "shared" / "real"

quiet_libraries(settings())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first, each tier in the order of its files."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The default recipe on the default sample world, in a fresh checkout."""
    project = checkout(tmp_path_factory.mktemp("night") / "project")
    done = project.pawl("nightly", "--json")
    assert done.returncode == 0, done.stderr
    return Night(project, json.loads(done.stdout), done.stderr)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow database, made once because its migrations take seconds."""
    from tasks.adapters.runs import connect

    root = tmp_path_factory.mktemp("store")
    connect(Settings(root=root, mlflow_tracking_uri=None))
    return root / "mlruns" / "mlflow.db"


@pytest.fixture
def env(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an empty project with embedded stores of its own."""
    monkeypatch.setenv("PAWL_ROOT", str(tmp_path))
    (tmp_path / "mlruns").mkdir()
    shutil.copy2(empty_store, tmp_path / "mlruns")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings.cache_clear()
    yield settings()
    settings.cache_clear()


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def real() -> Path:
    """Real data that is kept outside the repository."""
    if not REAL.is_dir():
        pytest.skip("the folder of real data is absent")
    return REAL
