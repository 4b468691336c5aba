import json
from collections.abc import Sequence

import pytest
import yaml

from tasks.contracts import DatasetKind
from tasks.data.expectations import MINIMUM, suite, suite_hash
from tasks.data.read import ReadResult, read
from tasks.data.sample import sample
from tasks.data.validate import run, validate
from tasks.errors import DatasetMissing, DatasetRefused, DatasetUnreadable
from tasks.recipe import Dataset, Sample

KINDS: dict[str, DatasetKind] = {
    "demos": "demonstrations",
    "comparisons": "comparisons",
    "prompts": "prompts",
    "heldout": "evaluation",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    params = Sample(seed=3, demonstrations=480, comparisons=64, prompts=32, evaluation=64, defect_rate=0.16)
    sample(params, folder)
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder whose params.yaml names one file a kind."""
    monkeypatch.chdir(tmp_path)
    datasets = {name: {"kind": kind, "source": f"{name}.jsonl"} for name, kind in KINDS.items()}
    numbers = {"seed": 1, "demonstrations": 16, "comparisons": 16, "prompts": 16, "evaluation": 16, "defect_rate": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"sample": numbers, "datasets": datasets}))
    return tmp_path


def write(project, name: str, records: Sequence[object]) -> None:
    lines = [r if isinstance(r, str) else json.dumps(r, ensure_ascii=False) for r in records]
    (project / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def demos(count: int, **more: object) -> list[dict]:
    return [{"prompt": f"질문 {n}?", "response": f"답은 {n}이다.", **more} for n in range(count)]


@pytest.mark.parametrize("name", KINDS)
def test_the_sample_passes_with_its_planted_defects(project, world, name):
    (project / f"{name}.jsonl").write_bytes((world / f"{name}.jsonl").read_bytes())
    run(name)
    report = json.loads((project / f"data/reports/validate/{name}.json").read_text("utf-8"))
    assert report["passed"] is True
    assert len(report["expectations"]) >= MINIMUM
    assert all(each["passed"] for each in report["expectations"])
    assert report["suite"] == suite_hash(KINDS[name])
    assert (project / "data/reports/data_docs" / name / "index.html").is_file()
    assert json.loads((project / f"data/reports/sources/{KINDS[name]}/{name}.json").read_text())["sha256"]


def test_the_report_has_the_same_bytes_again_and_names_no_folder(project):
    write(project, "demos", demos(20))
    run("demos")
    path = project / "data/reports/validate/demos.json"
    first = path.read_bytes()
    run("demos")
    assert path.read_bytes() == first
    assert str(project).encode() not in first


def test_a_dataset_that_changes_its_kind_leaves_no_note_behind(project):
    write(project, "demos", demos(20))
    old = project / "data/reports/sources/evaluation/demos.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    run("demos")
    assert [p.parent.name for p in (project / "data/reports/sources").rglob("demos.json")] == ["demonstrations"]


def ranked(ranks: list[int]) -> list[dict]:
    rows = [{"text": f"response {n}", "rank": rank} for n, rank in enumerate(ranks)]
    return [{"prompt": f"q {n}", "responses": rows} for n in range(20)]


@pytest.mark.parametrize(
    ("name", "records", "words"),
    [
        ("demos", demos(20, id="same"), "no two different records share an id"),
        ("demos", [{**r, "response": ""} if n % 2 else r for n, r in enumerate(demos(20))], "responses have text"),
        ("demos", demos(20, lang="fr"), "such as 'fr'"),
        ("demos", demos(1) * 20, "half of the records"),
        ("demos", [{**r, "prompt": " "} for r in demos(20)], "questions have text"),
        (
            "prompts",
            [{"prompt": [{"role": "assistant", "content": f"x {n}"}]} for n in range(20)],
            "end with a question",
        ),
        ("comparisons", ranked([1]), "2 to 9 responses"),
        ("comparisons", ranked([*range(1, 11)]), "2 to 9 responses"),
        ("comparisons", ranked([0, 1]), "ranks start at 1"),
        ("comparisons", ranked([2, 3]), "ranks start at 1"),
        ("comparisons", ranked([1, 7]), "no rank is above"),
        ("comparisons", ranked([1, 1]), "responses differ in rank"),
        ("heldout", [{"prompt": f"q {n}", "answer": "" if n < 5 else "a"} for n in range(20)], "answers have text"),
    ],
)
def test_broken_structure_is_refused_with_what_was_seen_and_the_fix(project, name, records, words):
    write(project, name, records)
    with pytest.raises(DatasetRefused, match=words) as refused:
        run(name)
    assert refused.value.exit_code == 3
    assert "seen: " in str(refused.value)
    assert f'Dataset "{name}"' in str(refused.value)
    report = json.loads((project / f"data/reports/validate/{name}.json").read_text("utf-8"))
    assert report["passed"] is False
    assert not (project / "data/reports/sources").exists()


def test_what_the_filter_is_there_for_is_let_in(project):
    write(project, "demos", [*demos(60), *demos(10), *[{"prompt": f"e {n}", "response": ""} for n in range(6)]])
    run("demos")


def test_broken_lines_up_to_the_limit_are_let_in_and_above_it_refused_by_line(project):
    write(project, "demos", [*demos(99), "{broken"])
    run("demos")
    report = json.loads((project / "data/reports/validate/demos.json").read_text("utf-8"))
    assert report["unreadable_lines"][0]["line"] == 100
    write(project, "demos", [*demos(97), "{broken", "[]", "{}"])
    with pytest.raises(
        DatasetRefused, match=r"3 of 100 records cannot be read \(3.00%; 1.00% are let pass\)"
    ) as refused:
        run("demos")
    assert "line 98, column 2" in str(refused.value)
    assert "max_unreadable" in str(refused.value)


@pytest.mark.parametrize("text", ["", "\n\n", "[]"])
def test_an_empty_dataset_is_refused_by_name(project, text):
    (project / "demos.jsonl").write_text(text)
    with pytest.raises(DatasetRefused, match='"demos" is empty'):
        run("demos")


def test_an_empty_table_never_passes(tmp_path):
    dataset = Dataset(kind="prompts", source="x")
    with pytest.raises(DatasetRefused, match="empty"):
        validate("x", ReadResult(), suite(dataset), tmp_path)


@pytest.mark.parametrize("kept", [0, 1, MINIMUM - 1])
def test_an_empty_or_cut_suite_never_passes(project, kept):
    write(project, "demos", demos(20))
    dataset = Dataset(kind="demonstrations", source="demos.jsonl")
    with pytest.raises(DatasetRefused, match=f"{kept} expectations evaluated of {MINIMUM}"):
        validate("demos", read(project / "demos.jsonl", "demonstrations"), suite(dataset)[:kept], project / "docs")


def test_an_expectation_that_cannot_be_evaluated_fails(project):
    write(project, "demos", demos(20))
    good = suite(Dataset(kind="demonstrations", source="demos.jsonl"))
    odd = good[1]._replace(arguments={"column": "no_such_column"})
    verdicts = validate("demos", read(project / "demos.jsonl", "demonstrations"), [*good, odd], project / "docs")
    assert [v.passed for v in verdicts] == [True] * len(good) + [False]
    assert "could not be evaluated" in verdicts[-1].observed


def test_a_missing_file_and_an_unknown_format_name_dataset_and_fix(project):
    with pytest.raises(DatasetMissing, match=r'"demos": demos\.jsonl does not exist.*datasets\.demos\.source'):
        run("demos")
    (project / "demos.jsonl").write_text("prose")
    with pytest.raises(DatasetUnreadable, match=r"demos\.jsonl"):
        run("demos")


def test_every_kind_has_enough_expectations_and_a_hash_of_its_own():
    assert all(len(suite(Dataset(kind=kind, source="x"))) >= MINIMUM for kind in KINDS.values())
    assert len({suite_hash(kind) for kind in KINDS.values()}) == len(KINDS)
