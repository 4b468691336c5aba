import json

import pytest

from tasks.data.split import run, split
from tasks.errors import DatasetRefused


def record(text: str, response: str = "a") -> dict:
    return {"id": text, "prompt": [{"role": "user", "content": text}], "response": response, "task": "", "lang": ""}


RECORDS = [record(f"question {n} 질문") for n in range(2000)]


def ids(records: list[dict]) -> set[str]:
    return {r["id"] for r in records}


def test_no_prompt_is_on_both_sides_even_in_another_spelling():
    spelled = [record(f"  QUESTION {n},  질문!") for n in range(2000)]
    parts = split([*RECORDS, *spelled], 0.3)
    known = {r["prompt"][0]["content"].casefold().replace(",", " ").replace("!", "").split()[1] for r in parts["valid"]}
    assert not known & {r["prompt"][0]["content"].casefold().split()[1].strip(",") for r in parts["train"]}


def test_the_share_is_near_what_was_asked_for():
    parts = split(RECORDS, 0.05)
    assert 60 <= len(parts["valid"]) <= 140
    assert len(parts["train"]) + len(parts["valid"]) == len(RECORDS)


def test_a_record_stays_on_its_side_when_others_come():
    before, after = split(RECORDS[:500], 0.2), split(RECORDS[::-1], 0.2)
    assert ids(before["valid"]) <= ids(after["valid"])
    assert ids(before["train"]) <= ids(after["train"])


def test_shares_of_nothing_and_of_all():
    assert split(RECORDS, 0)["valid"] == []
    assert split(RECORDS, 1)["train"] == []


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = """
sample: {seed: 1, demonstrations: 16, comparisons: 16, prompts: 16, evaluation: 16, defect_rate: 0}
datasets:
  demos: {kind: demonstrations, source: demos.jsonl, validation_share: 0.1}
  heldout: {kind: evaluation, source: heldout.jsonl}
"""
    (tmp_path / "params.yaml").write_text(text)
    (tmp_path / "data" / "clean").mkdir(parents=True)
    return tmp_path


def keep(project, name: str, records: list[dict]) -> None:
    lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in records]
    (project / f"data/clean/{name}.kept.jsonl").write_text("".join(lines), encoding="utf-8")


def test_the_folder_holds_train_and_valid_and_an_evaluation_set_only_test(project):
    keep(project, "demos", RECORDS[:200])
    keep(project, "heldout", RECORDS[:20])
    run("demos")
    run("heldout")
    clean = project / "data" / "clean"
    assert sorted(p.name for p in (clean / "demos").iterdir()) == ["train.jsonl", "valid.jsonl"]
    assert [p.name for p in (clean / "heldout").iterdir()] == ["test.jsonl"]
    lines = (clean / "heldout" / "test.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == RECORDS[:20]


def test_a_second_run_replaces_the_first(project):
    keep(project, "demos", RECORDS[:200])
    run("demos")
    keep(project, "demos", RECORDS[:50])
    run("demos")
    folder = project / "data" / "clean" / "demos"
    assert sum(len(p.read_text("utf-8").splitlines()) for p in folder.iterdir()) == 50


@pytest.mark.parametrize("name", ["demos", "heldout"])
def test_nothing_left_is_refused_with_where_to_look(project, name):
    keep(project, name, [])
    with pytest.raises(DatasetRefused, match=f"data/rejects/{name}.jsonl"):
        run(name)
