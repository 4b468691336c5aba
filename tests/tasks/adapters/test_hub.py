from pathlib import Path

import pytest

from tasks.adapters.hub import base_model
from tasks.contracts import content_digest
from tasks.errors import BaseModelMissing


def folder(root: Path) -> Path:
    made = root / "models" / "mine"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    return made


def test_a_folder_is_identified_by_its_bytes_and_not_by_where_it_lies(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    version, files = base_model("models/mine", None, folder(first).parents[1])
    moved, _ = base_model("models/mine", None, folder(second).parents[1])
    assert version.digest == moved.digest == content_digest(files)
    (second / "models/mine/config.json").write_text("{ }")
    assert base_model("models/mine", None, second)[0].digest != version.digest


@pytest.mark.parametrize("name", ["./absent", "/absent", "data/base/tyni", "absent"])
def test_a_folder_that_is_not_there_is_named_with_the_fix(tmp_path: Path, name: str) -> None:
    with pytest.raises(BaseModelMissing, match=f"base_model {name}.*Correct base_model in the recipe"):
        base_model(name, None, tmp_path)


def test_a_folder_without_a_model_is_told_apart_from_an_absent_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BaseModelMissing, match=r"no config\.json"):
        base_model("empty", None, tmp_path)


def test_a_hub_model_that_cannot_be_fetched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseModelMissing, match="base_model nobody/nothing: neither a folder here nor a model"):
        base_model("nobody/nothing", None, tmp_path)
