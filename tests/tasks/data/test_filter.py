import json
from collections import defaultdict
from pathlib import Path

import pytest

from tasks.contracts import DatasetKind
from tasks.data.filter import Filtered, filter, run  # noqa: A004
from tasks.data.read import ReadResult, read
from tasks.data.sample import sample
from tasks.data.source import source_record
from tasks.errors import StageFailed
from tasks.recipe import Sample, load_params

REAL = Path(__file__).resolve().parents[4] / "shared" / "real"
FIRST_SET = ["empty_output", "truncated_output", "exact_duplicate", "wrong_language", "prompt_echo", "leaked_eval"]


def demo(prompt: str, response: str, **more: str) -> dict:
    turns = [{"role": "user", "content": prompt}]
    return {"id": "", "prompt": turns, "response": response, "task": "", "lang": "", **more}


def comparison(prompt: str, responses: list[str], ranks: list[int]) -> dict:
    turns = [{"role": "user", "content": prompt}]
    return {"id": "", "prompt": turns, "responses": responses, "ranks": ranks, "task": "", "lang": ""}


def filtered(
    records: list[dict], kind: DatasetKind = "demonstrations", evaluation: tuple = (), languages=("en", "ko")
) -> Filtered:
    numbered = [{**record, "id": f"r{n}"} for n, record in enumerate(records)]
    found = ReadResult(numbered, list(range(1, len(records) + 1)), [])
    return filter(found, kind, languages, evaluation, "file.jsonl")


def reasons(record: dict, **more) -> set[str]:
    return {each["reason"] for row in filtered([record], **more).rejected for each in row["reasons"]}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    params = Sample(seed=11, demonstrations=3000, comparisons=300, prompts=200, evaluation=400, defect_rate=0.16)
    sample(params, folder)
    return folder


@pytest.fixture(scope="module")
def judged(world) -> Filtered:
    evaluation = read(world / "heldout.jsonl", "evaluation").records
    return filter(
        read(world / "demos.jsonl", "demonstrations"), "demonstrations", ["en", "ko"], evaluation, "demos.jsonl"
    )


@pytest.mark.parametrize("defect", FIRST_SET)
def test_planted_defects_are_found_with_precision_and_recall(world, judged, defect):
    planted: dict[str, set[str]] = defaultdict(set)
    for line in (world / "labels.jsonl").read_text("utf-8").splitlines():
        label = json.loads(line)
        planted[label["defect"]].add(label["id"])
    if defect == "exact_duplicate":  # an item may be leaked twice; its second copy is a duplicate as well
        planted[defect] |= copies(read(world / "demos.jsonl", "demonstrations").records)
    found = {row["id"] for row in judged.rejected for each in row["reasons"] if each["reason"] == defect}
    assert len(planted[defect]) >= 30
    assert len(found & planted[defect]) / len(planted[defect]) >= 0.97
    assert len(found & planted[defect]) / len(found) >= 0.97


def copies(records: list[dict]) -> set[str]:
    seen: set[str] = set()
    again: set[str] = set()
    for record in records:
        content = json.dumps([record["prompt"], record["response"]])
        if content in seen:
            again.add(record["id"])
        seen.add(content)
    return again


def test_clean_sample_records_are_kept(world, judged):
    spoilt = {json.loads(line)["id"] for line in (world / "labels.jsonl").read_text("utf-8").splitlines()}
    alarms = [row["id"] for row in judged.rejected if row["id"] not in spoilt]
    assert len(alarms) / (judged.funnel["read"] - len(spoilt)) <= 0.005


@pytest.mark.parametrize(("name", "kind"), [("comparisons", "comparisons"), ("prompts", "prompts")])
def test_sample_records_without_defects_pass_whole(world, name, kind):
    evaluation = read(world / "heldout.jsonl", "evaluation").records
    found = read(world / f"{name}.jsonl", kind)
    assert filter(found, kind, ["en", "ko"], evaluation, name).funnel["rejected"] == 0


def test_a_record_keeps_all_its_reasons_with_evidence_and_its_line():
    kept = demo("Say hello.", "Hello!")
    first = demo("Quelle heure est-il?", "")
    result = filtered([kept, first, first])
    assert [row["id"] for row in result.rejected] == ["r1", "r2"]
    assert [each["reason"] for each in result.rejected[1]["reasons"]] == ["empty_output", "exact_duplicate"]
    assert result.rejected[1]["reasons"][1]["evidence"] == "same as r1 in line 2"
    assert result.rejected[1]["line"] == 3
    assert result.rejected[1]["record"]["id"] == "r2"
    assert result.funnel == {
        "read": 3,
        "unreadable": 0,
        "kept": 1,
        "rejected": 2,
        "reasons": {"empty_output": 2, "exact_duplicate": 1},
    }


@pytest.mark.parametrize(
    "response",
    [
        "```python\nprint(1)",
        "def f(x):\n    return [1, 2",
        "It is a function that calls itself (directly or by another one until it",
        "They were cold and they went back to the house because",
        "There are many plants that grow here, such as oaks, pines,",
        'We used a word that she called "not a',
        "재귀는 함수가 자기 자신을 다시 부르는 것으로, 종료 조건을",
    ],
)
def test_an_answer_that_stops_open_is_truncated(response):
    assert reasons(demo("Explain it.", response)) == {"truncated_output"}


@pytest.mark.parametrize(
    "response",
    [
        "Paris",
        "1. Apples\n2. Bananas\n3. Milk",
        "chess I like play to",
        "Dear Ann,\n\nThank you for the book.\n\nWith kind regards,",
        "봄, 여름, 가을, 겨울",
        "x is in [0, 1) and y in (2, 3]",
        "I am glad :(",
        'The screen is 15.6" wide and has 8GB of memory.',
        "def swap(a, b):\n    return b, a",
        "Stay safe and stay home. Keep your distance, all of you! #StaySafe",
        "유나는 사과를 샀다",
    ],
)
def test_an_answer_without_a_full_stop_may_be_whole(response):
    assert reasons(demo("답하세요. Answer, please.", response)) == set()


def test_an_answer_unlike_all_others_of_its_task_is_truncated_only_where_nearly_all_end_alike():
    ended = [demo(f"q {n}", f"The answer is {n}.", task="qa", lang="en") for n in range(30)]
    labels = [demo(f"c {n}", ("good", "bad")[n % 2], task="classify", lang="en") for n in range(30)]
    result = filtered([*ended, *labels, demo("q", "Nora drinks", task="qa", lang="en")])
    assert [(row["id"], row["reasons"][0]["reason"]) for row in result.rejected] == [("r60", "truncated_output")]


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("Who lives in Boston?", "유나는 주스를 마신다."),
        ("프랑스의 수도는 어디인가요?", "The capital of France is Paris."),
        ("이 함수는 무엇을 하나요?\n\ndef rate(t):\n    return t / 5", "The function rate divides t by 5."),
        ("How are you?", "Я хорошо, спасибо большое"),
        (
            "What is the best way to cook rice?",
            "Der beste Weg, Reis zu kochen, ist, ihn zuerst gründlich zu waschen und dann mit der doppelten Menge "
            "Wasser langsam zu garen, bis alles Wasser aufgenommen ist und der Reis weich ist.",
        ),
    ],
)
def test_an_answer_in_another_language_is_found(prompt, response):
    assert reasons(demo(prompt, response)) == {"wrong_language"}


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        ("이 문장을 영어로 번역하세요: 안녕하세요", "Hello there, how are you?"),
        ("Translate to Korean: good morning", "좋은 아침입니다."),
        ("삼성의 최신 휴대폰은 무엇인가요?", "Samsung Galaxy S24 Ultra"),
        ("t에 21을 곱하는 파이썬 함수 level, 코드를 작성하세요.", "def level(t):\n    return t * 21"),
        (
            "List the states.",
            "Alabama, Alaska, Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida.",
        ),
        ("두 수를 더하세요: 3, 4", "7"),
        ("What do you call kimchi stew?", "It is called 김치찌개."),
    ],
)
def test_mixed_languages_short_answers_and_code_are_let_pass(prompt, response):
    assert reasons(demo(prompt, response)) == set()


def test_a_dataset_may_hold_one_language_only():
    korean, english = (
        demo("몇 시인가요?", "지금은 세 시입니다."),
        demo("What time is it now?", "It is now three o'clock, I think."),
    )
    assert reasons(korean, languages=["en"]) == {"wrong_language"}
    assert reasons(english, languages=["ko"]) == {"wrong_language"}
    assert reasons(korean, languages=["ko"]) == set()


def test_an_answer_that_is_the_prompt_is_an_echo_unless_that_was_asked_for():
    assert reasons(demo("이 코드를 설명하세요.\n\nx = 1", "이 코드를  설명하세요.\nx = 1")) == {"prompt_echo"}
    assert reasons(demo("Design a game for two players.", "Design a game for two players.")) == {"prompt_echo"}
    assert reasons(demo("Make it shorter.\n\nThe dog ran home fast today.", "The dog ran home fast today.")) == {
        "prompt_echo"
    }
    assert reasons(demo("Repeat this: I am here.", "Repeat this: I am here.")) == set()
    assert (
        reasons(demo("Correct the grammar.\n\nThe dog ran home fast today.", "The dog ran home fast today.")) == set()
    )
    assert reasons(demo("Rewrite it in capitals.\n\nthe dog ran home today", "THE DOG RAN HOME TODAY")) == set()


LONG = "A farmer has 17 sheep and 4 dogs; all but 9 sheep run away. How many sheep does the farmer have now?"
EVALUATION = (
    {
        "id": "e1",
        "prompt": [{"role": "user", "content": "누가 전주에 사나요?"}],
        "answer": "수진",
        "task": "",
        "lang": "",
    },
    {"id": "e2", "prompt": [{"role": "user", "content": LONG}], "answer": "9", "task": "", "lang": ""},
)


@pytest.mark.parametrize(
    ("prompt", "leaked"),
    [
        ("누가  전주에 사나요", True),
        (LONG.upper(), True),
        (f"Solve this riddle, please. {LONG} Show your steps.", True),
        ("누가 부산에 사나요?", False),
        ("민수는 어디에 사나요? 누가 전주에 사나요? 둘 다 답하세요.", False),
        (LONG.replace("17 sheep", "23 goats").replace("all but 9", "all but 5"), False),
        ("How many sheep does the farmer have now?", False),
    ],
)
def test_an_evaluation_item_is_found_whole_or_inside_a_longer_prompt(prompt, leaked):
    record = demo(prompt, "네, 그렇습니다. Yes.")
    assert ("leaked_eval" in reasons(record, evaluation=EVALUATION)) == leaked


def test_a_leak_is_found_behind_a_system_message_and_in_comparisons_and_prompts():
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "누가 전주에 사나요?"}]
    assert reasons({**demo("", "수진이 삽니다."), "prompt": turns}, evaluation=EVALUATION) == {"leaked_eval"}
    compared = comparison(LONG, ["9", "8"], [1, 2])
    assert reasons(compared, kind="comparisons", evaluation=EVALUATION) == {"leaked_eval"}
    asked = {"id": "", "prompt": turns, "task": "", "lang": ""}
    assert reasons(asked, kind="prompts", evaluation=EVALUATION) == {"leaked_eval"}


@pytest.mark.parametrize(
    ("responses", "ranks", "expected"),
    [
        (["a good answer", "Nora drinks", "", "대답"], [1, 2, 3, 3], set()),
        (["a", "b"], [1, 1], {"all_tied"}),
        (["a", "a"], [1, 2], {"identical_responses"}),
        (["", "b"], [1, 2], {"empty_output"}),
        (["", " "], [1, 1], {"empty_output", "all_tied"}),
    ],
)
def test_a_bad_response_that_is_ranked_low_is_right(responses, ranks, expected):
    assert reasons(comparison("Who?", responses, ranks), kind="comparisons") == expected


def test_turns_that_no_chat_template_takes_are_rejected():
    turns = [{"role": role, "content": "x"} for role in ("user", "assistant", "assistant")]
    assert reasons({**demo("", "fine."), "prompt": turns}) == {"role_order"}
    assert reasons(demo(" \n", "fine.")) == {"empty_prompt"}


def test_evaluation_sets_lose_only_copies_and_items_without_an_answer():
    def item(prompt: str, answer: str) -> dict:
        return {"id": "", "prompt": [{"role": "user", "content": prompt}], "answer": answer, "task": "", "lang": ""}

    result = filtered(
        [item("a b", "a b"), item("a b", "a b"), item("c", ""), item("누가?", "And the")], kind="evaluation"
    )
    assert [row["reasons"][0]["reason"] for row in result.rejected] == ["exact_duplicate", "empty_output"]


def test_no_records_and_no_evaluation_sets_are_no_trouble():
    for kind in ("demonstrations", "comparisons", "prompts", "evaluation"):
        assert filtered([], kind=kind).funnel["kept"] == 0


PARAMS = """
sample: {seed: 1, demonstrations: 16, comparisons: 16, prompts: 16, evaluation: 16, defect_rate: 0}
datasets:
  demos: {kind: demonstrations, source: demos.jsonl}
  heldout: {kind: evaluation, source: heldout.jsonl}
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    rows = [{"prompt": "누가 전주에 사나요?", "response": "수진이 산다."}, {"prompt": "Hi?", "response": "Hello."}]
    lines = [*(json.dumps(row, ensure_ascii=False) for row in rows), '{"prompt": "x", "resp']
    (tmp_path / "demos.jsonl").write_text("\n".join(lines), encoding="utf-8")
    item = {"prompt": "누가 전주에 사나요?", "answer": "수진"}
    (tmp_path / "heldout.jsonl").write_text(json.dumps(item, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def test_the_stage_writes_kept_records_rejects_and_the_funnel(project):
    run("demos")
    kept = [json.loads(line) for line in (project / "data/clean/demos.kept.jsonl").read_text("utf-8").splitlines()]
    rejects = [json.loads(line) for line in (project / "data/rejects/demos.jsonl").read_text("utf-8").splitlines()]
    funnel = json.loads((project / "data/reports/filter/demos.json").read_text("utf-8"))
    assert [r["response"] for r in kept] == ["Hello."]
    assert list(kept[0]) == ["id", "prompt", "response", "task", "lang"]
    assert [r["reasons"][0]["reason"] for r in rejects] == ["leaked_eval", "unreadable"]
    assert "demos.jsonl, line 3, column" in rejects[1]["reasons"][0]["evidence"]
    assert rejects[1]["record"].startswith('{"prompt": "x"')
    assert funnel == {
        "read": 3,
        "unreadable": 1,
        "kept": 1,
        "rejected": 1,
        "reasons": {"unreadable": 1, "leaked_eval": 1},
    }


def test_the_stage_gives_the_same_bytes_again(project):
    def outputs() -> dict[str, bytes]:
        return {str(p): p.read_bytes() for p in sorted((project / "data").rglob("*")) if p.is_file()}

    run("demos")
    first = outputs()
    run("demos")
    assert outputs() == first


def test_an_evaluation_set_that_changed_after_its_validation_stops_the_filter(project):
    note = source_record("heldout", load_params(project / "params.yaml").datasets["heldout"])
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(StageFailed, match="heldout"):
        run("demos")


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data is not on this machine")
@pytest.mark.parametrize(
    ("name", "kind", "share"),
    [
        ("alpaca_9k.json", "demonstrations", 0.002),
        ("hh_rlhf_harmless_test.jsonl.gz", "comparisons", 0.01),
        ("alpaca_eval_ranked_600.jsonl.gz", "comparisons", 0.01),
    ],
)
def test_few_real_records_are_rejected(name, kind, share):
    result = filter(read(REAL / name, kind), kind, ["en", "ko"], EVALUATION, name)
    assert result.funnel["rejected"] <= share * result.funnel["read"]
