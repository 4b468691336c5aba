from pathlib import Path

import pytest

from tasks.errors import ConfigError
from tasks.settings import Settings, find_root, settings


def test_the_project_is_found_from_any_folder_inside_it(tmp_path: Path) -> None:
    inside = tmp_path / "docs" / "how-to"
    inside.mkdir(parents=True)
    assert find_root(inside) == inside
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    assert find_root(inside) == tmp_path


def test_embedded_stores_lie_in_the_project_unless_a_server_is_named(
    env: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert env.embedded_mlflow
    assert env.mlflow_uri == f"sqlite:///{env.root}/mlruns/mlflow.db"
    assert env.work == env.root / ".pawl"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("PAWL_SCRATCH", "/scratch")
    assert not Settings().embedded_mlflow
    assert Settings().mlflow_uri == "http://mlflow:5000"
    assert Settings().work == Path("/scratch")


@pytest.mark.parametrize(("name", "value"), [("PAWL_DEVICE", "tpu"), ("PAWL_THREADS", "0")])
def test_a_wrong_setting_is_named(name: str, value: str, env: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    settings.cache_clear()
    with pytest.raises(ConfigError, match=name):
        settings()


def test_a_gpu_that_is_not_there_is_said_and_auto_does_without(env: Settings) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert env.torch_device() == "cpu"
    with pytest.raises(ConfigError, match="PAWL_DEVICE is cuda"):
        env.model_copy(update={"device": "cuda"}).torch_device()
