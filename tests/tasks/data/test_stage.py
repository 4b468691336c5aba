import errno
import json
import sys

import pytest

from tasks.adapters.dvc import OUTCOME
from tasks.data.stage import run_stage
from tasks.errors import DatasetRefused


def fails_with(error: BaseException):
    def work(name: str) -> str:
        raise error

    return work


def end(monkeypatch, work, *args: str) -> object:
    monkeypatch.setattr(sys, "argv", ["stage", *args])
    with pytest.raises(SystemExit) as ended:
        run_stage("validate", work)
    return ended.value.code


def test_a_good_stage_says_one_line_on_stderr(monkeypatch, capsys):
    assert end(monkeypatch, lambda name: "3 records", "demos") == 0
    assert capsys.readouterr() == ("", "validate demos: 3 records\n")


@pytest.mark.parametrize(
    ("error", "code", "name", "words"),
    [
        (DatasetRefused("too few"), 3, "DatasetRefused", "too few"),
        (OSError(errno.ENOSPC, "No space left on device", "x.jsonl"), 1, "DiskFull", "no space left for x.jsonl"),
        (PermissionError(errno.EACCES, "denied", "x.jsonl"), 1, "StageFailed", "PermissionError"),
        (KeyError("k"), 1, "StageFailed", "PAWL_TRACEBACK=1 python -m tasks.data.validate demos"),
    ],
)
def test_an_error_ends_in_words_and_its_code_and_under_dvc_in_a_file(
    monkeypatch, capsys, tmp_path, error, code, name, words
):
    assert end(monkeypatch, fails_with(error), "demos") == code
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    outcome = tmp_path / "outcome.json"
    monkeypatch.setenv(OUTCOME, str(outcome))
    assert end(monkeypatch, fails_with(error), "demos") == code
    left = json.loads(outcome.read_text("utf-8"))
    assert left["error"] == name
    assert words in left["message"]
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_ends_with_130(monkeypatch):
    assert end(monkeypatch, fails_with(KeyboardInterrupt()), "demos") == 130


def test_a_stage_wants_one_dataset(monkeypatch):
    assert "usage" in str(end(monkeypatch, lambda name: "", *["a", "b"]))
