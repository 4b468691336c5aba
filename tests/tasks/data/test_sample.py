"""The sample world: the same bytes for the same seed, a wall around the held-out set, defects that are real."""

import json
import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tasks.data.sample import sample
from tasks.recipe import Sample
from tasks.world.answers import ranked
from tasks.world.defects import DEFECTS, PLACEHOLDERS, UNSAFE, WORDS_TASKS, answer_of
from tasks.world.families import CELLS, FAMILIES, draw
from tasks.world.item import matches, user_text
from tasks.world.prose import documents
from tasks.world.words import with_particles

FILES = ("demos", "comparisons", "prompts", "heldout", "labels")
PARAMS = Sample(seed=7, demonstrations=1200, comparisons=160, prompts=160, evaluation=320, defect_rate=0.1)


def load(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]


def prompt_text(record: dict) -> str:
    messages = record.get("prompt") or record.get("messages", [])[:-1]
    if not messages:
        messages = [{"role": "user", "content": user_text(record["instruction"], record["input"])}]
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample")
    sample(PARAMS, out)
    return out


@pytest.fixture(scope="module")
def data(folder: Path) -> dict[str, list[dict]]:
    return {name: load(folder, name) for name in FILES}


@pytest.fixture(scope="module")
def planted(data: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """The spoilt demonstrations by kind."""
    demos = {demo["id"]: demo for demo in data["demos"]}
    kinds: dict[str, list[dict]] = {}
    for label in data["labels"]:
        kinds.setdefault(label["defect"], []).append(demos[label["id"]])
    return kinds


@pytest.fixture(scope="module")
def clean(data: dict[str, list[dict]]) -> list[dict]:
    spoilt = {label["id"] for label in data["labels"]}
    return [demo for demo in data["demos"] if demo["id"] not in spoilt]


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    sample(PARAMS, tmp_path)
    for name in FILES:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (folder / f"{name}.jsonl").read_bytes()


def test_another_seed_gives_other_records(folder: Path, tmp_path: Path) -> None:
    sample(PARAMS.model_copy(update={"seed": 8}), tmp_path)
    for name in FILES:
        assert (tmp_path / f"{name}.jsonl").read_bytes() != (folder / f"{name}.jsonl").read_bytes()


def test_counts_are_as_asked_and_spread_over_families_and_languages(data: dict[str, list[dict]]) -> None:
    assert [len(data[name]) for name in FILES] == [1200, 160, 160, 320, 120]
    cells = Counter((record["task"], record["lang"]) for record in data["heldout"])
    assert set(cells) == {(task, lang) for task in FAMILIES for lang in ("en", "ko")}
    assert set(cells.values()) == {20}
    assert len({record["id"] for name in FILES[:4] for record in data[name]}) == 1200 + 160 + 160 + 320


def test_held_out_prompts_appear_nowhere_else_but_in_planted_leaks(
    data: dict[str, list[dict]], clean: list[dict]
) -> None:
    held_out = {prompt_text(record) for record in data["heldout"]}
    assert len(held_out) == 320
    for records in (clean, data["comparisons"], data["prompts"]):
        assert held_out.isdisjoint(prompt_text(record) for record in records)
    spoilt = {label["id"] for label in data["labels"] if label["defect"] != "leaked_eval"}
    assert held_out.isdisjoint(prompt_text(demo) for demo in data["demos"] if demo["id"] in spoilt)


def test_held_out_facts_never_appear_in_plain_text_whatever_the_seed() -> None:
    text = "\n".join(documents(seed=3, count=4000))
    rng = Random("wall")
    for task, lang in CELLS:
        if task != "chat":  # its facts have no text of their own
            assert draw(rng, task, lang, held_out=True).core not in text
    assert not any(draw(rng, *cell).held_out for cell in CELLS for _ in range(50))


def test_every_prompt_among_clean_demonstrations_is_different(clean: list[dict]) -> None:
    assert len({prompt_text(demo) for demo in clean}) == len(clean)


def test_every_defect_is_planted_and_labelled(planted: dict[str, list[dict]]) -> None:
    assert set(planted) == set(DEFECTS)
    assert all(len(records) == 10 for records in planted.values())


def test_ids_do_not_tell_the_defect(data: dict[str, list[dict]]) -> None:
    assert [demo["id"] for demo in data["demos"]] == [f"demo-{at:05d}" for at in range(1200)]


def hangul(text: str) -> bool:
    return re.search("[가-힣]", text) is not None


def valid_resident_number(digits: str) -> bool:
    total = sum(int(digits[at]) * (2 + at % 8) for at in range(12))
    return (11 - total % 11) % 10 == int(digits[12])


def request_of(demo: dict) -> str:
    return prompt_text(demo).split("user: ")[-1]


EXHIBITS = {
    "empty_output": lambda demo: not answer_of(demo).strip(),
    "truncated_output": lambda demo: not answer_of(demo).endswith((".", "?", "!")) and len(answer_of(demo)) > 2,
    "wrong_language": lambda demo: demo["task"] in WORDS_TASKS and hangul(answer_of(demo)) == (demo["lang"] == "en"),
    "mojibake": lambda demo: re.search("[â€ëìíêÂ\ufffd]", answer_of(demo)) is not None,
    "placeholder_input": lambda demo: demo.get("input") in PLACEHOLDERS and len(demo["instruction"]) > 20,
    "prompt_echo": lambda demo: answer_of(demo) == request_of(demo),
    "unsafe_text": lambda demo: answer_of(demo).endswith(UNSAFE[demo["lang"]]),
}


@pytest.mark.parametrize("defect", EXHIBITS)
def test_a_defect_shows_in_the_record(defect: str, planted: dict[str, list[dict]], clean: list[dict]) -> None:
    assert all(EXHIBITS[defect](demo) for demo in planted[defect])
    if defect != "truncated_output":  # code, fields and labels end without a full stop by right
        assert not any(EXHIBITS[defect](demo) for demo in clean)


def test_personal_data_is_found_by_its_patterns(planted: dict[str, list[dict]], clean: list[dict]) -> None:
    pattern = re.compile(r"\w+\.\w+@example\.com|010-\d{4}-\d{4}|\d{6}-\d{7}")
    found = [pattern.search(request_of(demo)) for demo in planted["pii"]]
    assert all(found)
    numbers = [hit.group().replace("-", "") for hit in found if hit and re.fullmatch(r"\d{6}-\d{7}", hit.group())]
    assert numbers
    assert all(valid_resident_number(number) for number in numbers)
    assert not any(pattern.search(prompt_text(demo)) for demo in clean)


def before(demo: dict, demos: list[dict]) -> list[dict]:
    return [other for other in demos if other["id"] < demo["id"]]


def test_exact_duplicates_repeat_an_earlier_record(planted: dict[str, list[dict]], data: dict[str, list[dict]]) -> None:
    for demo in planted["exact_duplicate"]:
        body = {key: value for key, value in demo.items() if key != "id"}
        assert any({**other, "id": None} == {**body, "id": None} for other in before(demo, data["demos"]))


def test_near_duplicates_ask_the_same_but_for_case_space_and_stops(
    planted: dict[str, list[dict]], data: dict[str, list[dict]]
) -> None:
    def bare(demo: dict) -> str:
        return re.sub(r"[\s.!]+", "", prompt_text(demo)).lower() + answer_of(demo)

    for demo in planted["near_duplicate"]:
        twins = [other for other in before(demo, data["demos"]) if bare(other) == bare(demo)]
        assert any(prompt_text(other) != prompt_text(demo) for other in twins)


def test_contradictions_answer_an_earlier_prompt_differently(
    planted: dict[str, list[dict]], data: dict[str, list[dict]]
) -> None:
    for demo in planted["contradictory_answer"]:
        twins = [other for other in before(demo, data["demos"]) if prompt_text(other) == prompt_text(demo)]
        assert any(answer_of(other) != answer_of(demo) for other in twins)


def test_leaks_hold_a_held_out_prompt_with_its_answer(
    planted: dict[str, list[dict]], data: dict[str, list[dict]]
) -> None:
    answers = {prompt_text(record): record["answer"] for record in data["heldout"]}
    assert all(answers[prompt_text(demo)] == answer_of(demo) for demo in planted["leaked_eval"])


def test_conversations_end_with_the_assistant(data: dict[str, list[dict]]) -> None:
    talks = [demo for demo in data["demos"] if "messages" in demo]
    assert {demo["task"] for demo in talks} == {"chat"}
    assert any(len(demo["messages"]) > 3 for demo in talks)
    for demo in talks:
        roles = [message["role"] for message in demo["messages"]]
        assert roles[0] == "system"
        assert roles[1:] == ["user", "assistant"] * (len(roles) // 2)


def test_comparisons_have_four_to_nine_different_responses_and_some_ties(data: dict[str, list[dict]]) -> None:
    sizes, ties = set(), 0
    for record in data["comparisons"]:
        texts = [response["text"] for response in record["responses"]]
        ranks = sorted(response["rank"] for response in record["responses"])
        assert len(set(texts)) == len(texts)
        assert ranks[0] == 1
        assert set(ranks) == set(range(1, ranks[-1] + 1))
        sizes.add(len(texts))
        ties += len(set(ranks)) < len(ranks)
    assert sizes == set(range(4, 10))
    assert 0 < ties < len(data["comparisons"])


@pytest.mark.parametrize(("task", "lang"), CELLS)
def test_only_the_right_answer_is_best_and_the_checker_knows_it(task: str, lang: str) -> None:
    rng = Random(f"{task} {lang}")
    for _ in range(40):
        item = draw(rng, task, lang)
        responses = ranked(item, rng)
        assert 4 <= len(responses) <= 9
        assert [one["text"] for one in responses if one["rank"] == 1] == [item.output]
        assert [matches(item.output, str(one["text"])) for one in responses] == [one["rank"] == 1 for one in responses]
        assert matches(item.output, f" {item.output}\n")
        assert item.output not in item.near


def test_the_sums_of_the_reasoning_family_are_true() -> None:
    rng = Random("sums")
    for lang in ("en", "ko"):
        for _ in range(200):
            output = draw(rng, "reason", lang).output
            steps = re.findall(r"(\d+) ([-+*]) (\d+) = (\d+)\.", output)
            assert len(steps) == 2
            for left, sign, right, result in steps:
                a, b = int(left), int(right)
                assert {"+": a + b, "-": a - b, "*": a * b}[sign] == int(result)
            assert re.findall(r"\d+", output)[-1] == steps[-1][3]


def test_written_code_does_what_its_explanation_says() -> None:
    rng = Random("code")
    for _ in range(100):
        item = draw(rng, "code_explain", "en")
        names: dict = {}
        exec(item.input, names)  # noqa: S102
        function = next(value for name, value in names.items() if name != "__builtins__")
        value = 11
        for phrase in item.output.split(" ", 3)[3].rstrip(".").split(" and then "):
            n = int(re.findall(r"\d+", phrase)[0])
            steps = {
                "adds": value + n,
                "subtracts": value - n,
                "multiplies": value * n,
                "divides": value / n,
                "takes the larger": max(value, n),
                "takes the smaller": min(value, n),
            }
            value = next(result for start, result in steps.items() if phrase.startswith(start))
        assert function(11) == value


@pytest.mark.parametrize(
    ("marked", "resolved"),
    [
        ("미나은(는) 책을(를) 샀다.", "미나는 책을 샀다."),
        ("동욱은(는) 20으로(로) 3을(를) 나눈다.", "동욱은 20으로 3을 나눈다."),
        ("8으로(로)", "8로"),
        ("재훈이에요(예요)", "재훈이에요"),
        ("서울이(가) 먼저", "서울이 먼저"),
    ],
)
def test_particles_follow_the_sound_before_them(marked: str, resolved: str) -> None:
    assert with_particles(marked) == resolved
