"""What a model is asked, and its identity."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.errors import EvaluationFailed
from tasks.evaluate.suite import check_items, suite_digest


def test_the_digest_is_the_same_for_the_same_suite_and_items_wherever_they_lie(
    suite: Path, items, write, tmp_path: Path
):
    data = write(items)
    moved = Path(shutil.copytree(suite, tmp_path / "moved"))
    (moved / "README.md").write_text("other words")
    assert suite_digest(moved, data) == suite_digest(suite, data)


@pytest.mark.parametrize("name", ["heldout.yaml", "heldout.py"])
def test_the_digest_changes_with_the_suite_s_files(name: str, suite: Path, items, write, tmp_path: Path):
    data = write(items)
    changed = Path(shutil.copytree(suite, tmp_path / "changed"))
    (changed / name).write_text((suite / name).read_text() + "\n# a remark\n")
    assert suite_digest(changed, data) != suite_digest(suite, data)


def test_the_digest_changes_with_an_item(suite: Path, items, write):
    before = suite_digest(suite, write(items))
    assert suite_digest(suite, write([{**items[0], "answer": "blue"}, *items[1:]])) != before


def test_no_suite_and_no_items_have_no_digest(suite: Path, items, write, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationFailed, match="no evaluation suite"):
        suite_digest(tmp_path / "empty", write(items))
    with pytest.raises(EvaluationFailed, match="no such evaluation set"):
        suite_digest(suite, tmp_path)


def test_items_are_counted_and_blank_lines_are_not(items, write):
    file = write(items) / "test.jsonl"
    file.write_text(file.read_text("utf-8") + "\n  \n", "utf-8")
    assert check_items(file) == 8


@pytest.mark.parametrize("field", ["id", "prompt", "answer", "task", "lang"])
def test_a_missing_field_is_named_with_its_line(field: str, items, write):
    del items[2][field]
    with pytest.raises(EvaluationFailed, match=rf"test\.jsonl:3: no {field} in the item"):
        check_items(write(items) / "test.jsonl")


@pytest.mark.parametrize("line", ['{"id": ', "[1, 2]", "7"])
def test_a_line_that_is_no_item_is_named(line: str, items, write):
    file = write(items) / "test.jsonl"
    file.write_text(json.dumps(items[0]) + "\n" + line + "\n", "utf-8")
    with pytest.raises(EvaluationFailed, match=r"test\.jsonl:2"):
        check_items(file)


def test_an_id_given_twice_is_refused(items, write):
    with pytest.raises(EvaluationFailed, match="first: h1"):
        check_items(write([*items, items[1]]) / "test.jsonl")


def test_an_empty_set_is_refused(write):
    with pytest.raises(EvaluationFailed, match="no items"):
        check_items(write([]) / "test.jsonl")
