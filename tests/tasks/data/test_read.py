import gzip
import json
from pathlib import Path

import pytest

from tasks.contracts import DatasetKind
from tasks.data.read import read
from tasks.errors import DatasetMissing, DatasetUnreadable

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real data is not on this machine")
ALPACA = {"instruction": "더하세요.", "input": "1, 2", "output": "3"}


def written(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    return path


def only(path: Path, kind: DatasetKind, record: object) -> dict:
    (found,) = read(written(path / "one.jsonl", record), kind).records
    return {key: value for key, value in found.items() if key != "id"}


def test_alpaca_joins_instruction_and_input_by_a_blank_line(tmp_path):
    assert only(tmp_path, "demonstrations", {**ALPACA, "text": "unused", "task": "reason", "lang": "ko"}) == {
        "prompt": [{"role": "user", "content": "더하세요.\n\n1, 2"}],
        "response": "3",
        "task": "reason",
        "lang": "ko",
    }
    without = only(tmp_path, "demonstrations", {"instruction": "Say hi.", "input": "", "output": "hi"})
    assert without["prompt"] == [{"role": "user", "content": "Say hi."}]
    assert (without["task"], without["lang"]) == ("", "")


def test_the_last_message_of_a_conversation_is_the_response(tmp_path):
    turns = [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "a"), ("assistant", "b"))]
    found = only(tmp_path, "demonstrations", {"messages": turns})
    assert (found["prompt"], found["response"]) == (turns[:-1], "b")
    assert only(tmp_path, "prompts", {"messages": turns})["prompt"] == turns[:-1]


@pytest.mark.parametrize("key", ["completion", "response"])
def test_a_prompt_may_be_a_text_or_messages(tmp_path, key):
    asked = [{"role": "user", "content": "q"}]
    assert only(tmp_path, "demonstrations", {"prompt": "q", key: "a"})["prompt"] == asked
    answered = [{"role": "assistant", "content": "a"}]
    assert only(tmp_path, "demonstrations", {"prompt": asked, key: answered})["response"] == "a"


def test_ranked_responses_keep_their_order_and_ties(tmp_path):
    rows = [{"text": "b", "rank": 2, "generator": "x"}, {"text": "a", "rank": 1}, {"text": "c", "rank": 2}]
    found = only(tmp_path, "comparisons", {"prompt": "q", "responses": rows})
    assert (found["responses"], found["ranks"]) == (["b", "a", "c"], [2, 1, 2])


def test_a_pair_is_a_ranking_of_two(tmp_path):
    found = only(tmp_path, "comparisons", {"prompt": "q", "chosen": "good", "rejected": "bad"})
    assert (found["responses"], found["ranks"]) == (["good", "bad"], [1, 2])


def test_a_transcript_pair_shares_its_prompt_and_differs_in_the_last_turn(tmp_path):
    shared = "\n\nHuman: hi\n\nAssistant: hello\n\nHuman: 잘 지내?"
    pair = {"chosen": f"{shared}\n\nAssistant: 응, 고마워.", "rejected": f"{shared}\n\nAssistant: no"}
    found = only(tmp_path, "comparisons", pair)
    assert [t["role"] for t in found["prompt"]] == ["user", "assistant", "user"]
    assert found["prompt"][-1]["content"] == "잘 지내?"
    assert found["responses"] == ["응, 고마워.", "no"]


def test_a_pair_whose_prompts_differ_is_not_a_record(tmp_path):
    good = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}
    bad = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: z\n\nAssistant: c"}
    found = read(written(tmp_path / "pairs.jsonl", good, bad), "comparisons")
    assert (len(found.records), found.unreadable[0].line) == (1, 2)
    assert "different prompts" in found.unreadable[0].cause


def test_what_is_written_canonically_reads_back_as_itself(tmp_path):
    for kind, raw in (
        ("demonstrations", ALPACA),
        ("comparisons", {"prompt": "q", "chosen": "good", "rejected": "bad"}),
        ("prompts", {"prompt": "q"}),
        ("evaluation", {"prompt": "q", "answer": "a"}),
    ):
        first = read(written(tmp_path / "raw.jsonl", raw), kind).records
        assert read(written(tmp_path / "canonical.jsonl", *first), kind).records == first


def test_a_broken_line_is_named_and_the_rest_goes_on(tmp_path):
    path = tmp_path / "broken.jsonl"
    lines = [
        json.dumps(ALPACA),
        '{"instruction": "x", oops}',
        "",
        '{"instruction": "no output"}',
        "7",
        json.dumps(ALPACA),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read(path, "demonstrations")
    assert found.lines == [1, 6]
    assert [(u.line, u.column) for u in found.unreadable] == [(2, 22), (4, 1), (5, 1)]
    assert "property name" in found.unreadable[0].cause
    assert "demonstrations need {instruction, output}" in found.unreadable[1].cause
    assert "JSON object is needed" in found.unreadable[2].cause


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (b'{"instruction": "a\xff", "output": "b"}', "not UTF-8"),
        (b'{"instruction": "a", "output": "\\ud800"}', "surrogate"),
        (b'{"instruction": "a", "output": NaN}', "NaN"),
        (b'{"instruction": "a", "output": 3}', "output must be a text"),
        (b'{"instruction": ' + b"[" * 100_000, "recursion"),
    ],
)
def test_a_hostile_line_is_one_unreadable_record(tmp_path, line, cause):
    path = tmp_path / "hostile.jsonl"
    path.write_bytes(json.dumps(ALPACA).encode() + b"\n" + line + b"\n")
    found = read(path, "demonstrations")
    assert len(found.records) == 1
    assert cause in found.unreadable[0].cause


def test_the_elements_of_an_array_know_their_lines(tmp_path):
    path = tmp_path / "array.json"
    path.write_text(json.dumps([ALPACA, {"output": "x"}, ALPACA], indent=2), encoding="utf-8")
    found = read(path, "demonstrations")
    assert found.lines == [2, 10]
    assert [(u.line, u.column) for u in found.unreadable] == [(7, 3)]


@pytest.mark.parametrize(
    "text", ['[{"instruction": "a", "output": "b"}\n {', '[{"a": 1}\n ,, {}]', "[\n {} {}]", "[]\n x", "[\n"]
)
def test_a_broken_array_is_refused_with_its_place(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetUnreadable, match=r"line 2, column \d+"):
        read(path, "demonstrations")


@pytest.mark.parametrize("name", ["plain", "bom", "crlf", "gzip"])
def test_marks_line_ends_and_compression_change_nothing(tmp_path, name):
    data = (json.dumps(ALPACA, ensure_ascii=False) + "\n").encode() * 2
    forms = {
        "plain": data,
        "bom": b"\xef\xbb\xbf" + data,
        "crlf": data.replace(b"\n", b"\r\n"),
        "gzip": gzip.compress(data),
    }
    path = tmp_path / "file.jsonl.gz"
    path.write_bytes(forms[name])
    found = read(path, "demonstrations")
    assert [r["response"] for r in found.records] == ["3", "3"]
    assert found.unreadable == []


def test_an_id_made_from_content_stays_when_the_file_grows_and_is_never_given_twice(tmp_path):
    other = {**ALPACA, "output": "4"}
    before = read(written(tmp_path / "a.jsonl", ALPACA, ALPACA), "demonstrations").records
    after = read(written(tmp_path / "b.jsonl", other, ALPACA, ALPACA, {**other, "id": 7}), "demonstrations").records
    ids = [r["id"] for r in after]
    assert ids[1:3] == [r["id"] for r in before]
    assert len(set(ids)) == 4
    assert ids[3] == "7"


def test_a_line_separator_inside_a_text_does_not_part_the_record(tmp_path):
    record = {**ALPACA, "output": "one\u2028two\x85three"}
    assert only(tmp_path, "demonstrations", record)["response"] == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"just prose\nand more\n", "not one of its 2 records"),
        (b"\x89PNG\r\n\x00\x00", "NUL"),
        ('{"prompt": "q"}'.encode("utf-16"), "UTF-16"),
        (gzip.compress(b"{}" * 100)[:-9], "broken gzip"),
    ],
)
def test_a_file_in_no_known_format_is_refused_with_what_pawl_reads(tmp_path, data, words):
    path = tmp_path / "unknown"
    path.write_bytes(data)
    with pytest.raises(DatasetUnreadable, match=words):
        read(path, "demonstrations")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DatasetMissing, match=r"nowhere\.jsonl"):
        read(tmp_path / "nowhere.jsonl", "prompts")
    with pytest.raises(DatasetUnreadable, match="folder"):
        read(tmp_path, "prompts")


def test_an_empty_file_has_no_records(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    (tmp_path / "empty.json").write_text(" [ ] ")
    assert read(tmp_path / "empty.jsonl", "prompts").total == 0
    assert read(tmp_path / "empty.json", "prompts").total == 0


@needs_real
@pytest.mark.parametrize(
    ("name", "kind", "records", "unreadable"),
    [
        ("alpaca_9k.json", "demonstrations", 9229, 0),
        ("hh_rlhf_harmless_test.jsonl.gz", "comparisons", 2307, 5),
        ("alpaca_eval_ranked_600.jsonl.gz", "comparisons", 600, 0),
    ],
)
def test_real_files_are_read_whole(name, kind, records, unreadable):
    found = read(REAL / name, kind)
    assert (len(found.records), len(found.unreadable)) == (records, unreadable)
    assert all(r["prompt"][-1]["role"] in ("user", "assistant") for r in found.records)
    if kind == "comparisons":
        assert all(len(r["responses"]) == len(r["ranks"]) >= 2 and min(r["ranks"]) == 1 for r in found.records)
