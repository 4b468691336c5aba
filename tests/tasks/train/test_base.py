"""The tiny base: its tokenizer, its chat template, the shipped files, and the command that makes them."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.train.base import RECORD, ROLES, BaseParams, alone, base, batches, digest, rate, stream, tokenizer
from tasks.world.families import CELLS, draw
from tasks.world.prose import documents
from tasks.world.words import CITIES, ITEMS, NAMES

SHIPPED = Path(__file__).parents[3] / "data" / "base" / "tiny"
TALK = [
    {"role": "system", "content": "You are Mina, a cook in Oslo."},
    {"role": "user", "content": "Hello, I am Paul."},
    {"role": "assistant", "content": "Hello Paul, I am Mina the cook."},
    {"role": "user", "content": "제 이름이 무엇인가요?"},
    {"role": "assistant", "content": "이름은 Paul입니다."},
]


@pytest.fixture(scope="module")
def shipped() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(SHIPPED)


@pytest.mark.parametrize(
    "text", ["Paul bought 4 lamps.", "미나는 램프 3개를 샀다.", "def f(x):\n    return x", "混ぜ 🙂\ttext", ""]
)
def test_the_tokenizer_gives_back_what_it_was_given(shipped: Any, text: str) -> None:
    assert shipped.decode(shipped.encode(text, add_special_tokens=False)) == text


def test_every_text_of_the_world_round_trips(shipped: Any) -> None:
    rng = Random("round trip")
    for cell in CELLS:
        item = draw(rng, *cell)
        for text in (item.prompt_key, item.output, item.prose):
            assert shipped.decode(shipped.encode(text)) == text


def test_a_korean_word_is_one_token_whatever_particle_follows(shipped: Any) -> None:
    kept = []
    for word in NAMES["ko"] + CITIES["ko"] + ITEMS["ko"]:
        stem = shipped.encode(f" {word}")
        assert len(stem) == 1
        kept += [
            shipped.encode(f" {word}{particle}")[0] == stem[0] for particle in "은 는 이 가 을 를 에서 에게".split()
        ]
    assert sum(kept) >= 0.99 * len(kept)


def test_special_tokens_are_single_and_the_end_is_not_the_padding(shipped: Any) -> None:
    assert shipped.eos_token == "<|end|>"
    assert shipped.pad_token_id != shipped.eos_token_id
    assert all(len(shipped.encode(role)) == 1 for role in ROLES)
    assert shipped.bos_token is None


def test_the_template_writes_roles_and_the_turn_to_answer(shipped: Any) -> None:
    text = shipped.apply_chat_template(TALK[:2], tokenize=False, add_generation_prompt=True)
    assert text == ("<|system|>\nYou are Mina, a cook in Oslo.<|end|><|user|>\nHello, I am Paul.<|end|><|assistant|>\n")
    assert shipped.apply_chat_template(TALK[:3], tokenize=False).startswith(text)


def test_the_template_refuses_an_unknown_role(shipped: Any) -> None:
    with pytest.raises(Exception, match="role gpt"):
        shipped.apply_chat_template([{"role": "gpt", "content": "Hello"}], tokenize=False)


def test_the_generation_mask_covers_the_assistant_text_and_its_end_only(shipped: Any) -> None:
    encoded = shipped.apply_chat_template(TALK, return_dict=True, return_assistant_tokens_mask=True)
    pairs = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    said = shipped.decode([token for token, mask in pairs if mask])
    assert said == "Hello Paul, I am Mina the cook.<|end|>이름은 Paul입니다.<|end|>"


def test_the_shipped_base_is_the_one_on_record_and_small() -> None:
    record = json.loads((SHIPPED / RECORD).read_text())
    assert digest(SHIPPED) == record["digest"]
    assert BaseParams.model_validate(record["params"])
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 8_000_000


def test_the_same_text_makes_the_same_tokenizer() -> None:
    one, two = (tokenizer(BaseParams()).backend_tokenizer.to_str() for _ in range(2))
    assert one == two


def test_the_shipped_base_loads_in_float32_with_sizes_that_quantize(shipped: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(SHIPPED)
    assert model.dtype == torch.float32
    assert model.config.vocab_size == len(shipped)
    assert all(size % 64 == 0 for weight in model.parameters() if weight.ndim == 2 for size in weight.shape)
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert 1_900_000 < model.num_parameters() < 2_300_000


def test_the_shipped_base_writes_plain_text_and_knows_its_sums(shipped: Any) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(SHIPPED)
    right = 0
    for a, b in ((12, 4), (5, 4), (20, 3), (9, 6), (15, 6), (3, 2), (8, 5), (17, 5)):
        start = shipped(f"{a} + {b} =", return_tensors="pt")
        ids = model.generate(**start, max_new_tokens=2, do_sample=False)[0, start["input_ids"].shape[1] :]
        right += shipped.decode(ids).strip() == f"{a + b}."
    assert right >= 6


def test_plain_text_holds_no_role_marker_and_whole_documents_only() -> None:
    params = BaseParams(primer_steps=8, rows=3)
    made = tokenizer(params)
    roles = set(made.convert_tokens_to_ids(list(ROLES)))
    text = stream(params, made)
    for batch in (next(text) for _ in range(20)):
        assert batch.shape == (3, params.window)
        assert roles.isdisjoint(batch.flatten().tolist())
        for row in batch.tolist():
            assert [token for token in row if token != made.pad_token_id][-1] == made.eos_token_id


def test_text_is_plain_first_and_then_amid_other_words() -> None:
    params = BaseParams(primer_steps=0, plain_steps=2, rows=3)
    made = tokenizer(params)
    text = stream(params, made)
    plain, amid = (
        batches(documents(seed, 4_000, other_words=other_words), made, params)
        for seed, other_words in ((params.seed, False), (params.seed + 500, True))
    )
    for expected in (next(plain), next(plain), next(amid), next(amid)):
        assert next(text).equal(expected)


def test_no_document_is_lost_in_batching_but_the_last_ones() -> None:
    params = BaseParams(rows=2, window=96)
    made = tokenizer(params)
    texts = [f"Paul has {n} lamps." for n in range(50)] + ["미나는 서울에 산다. " * 9] * 9
    rows = [row for batch in batches(texts, made, params) for row in batch]
    told = "".join(made.decode(row) for row in rows).replace("<|pad|>", "").split("<|end|>")
    assert told[:-1] == texts[: len(told) - 1]
    assert len(texts) - len(told) < 5


def test_a_token_sees_what_came_before_it_in_its_own_document() -> None:
    import torch

    end = 1
    mask = alone(torch.tensor([[7, 8, end, 9, 9]]), end)[0, 0]
    seen = [[at for at in range(5) if mask[row, at] == 0] for row in range(5)]
    assert seen == [[0], [0, 1], [0, 1, 2], [3], [3, 4]]


def test_the_rate_rises_stays_and_falls() -> None:
    assert rate(0, 1000) == pytest.approx(1 / 30)
    assert rate(30, 1000) == rate(500, 1000) == 1.0
    assert rate(750, 1000) == pytest.approx(0.5)
    assert rate(1000, 1000) == 0.01


def test_a_base_is_made_by_one_call_and_the_seed_decides_it(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    params = BaseParams(vocabulary=640, hidden=64, intermediate=64, layers=1, heads=2, steps=3, rows=2)
    base(params, tmp_path / "one")
    base(params, tmp_path / "two")
    other = params.model_copy(update={"seed": 2})
    base(other, tmp_path / "three")
    records = [json.loads((tmp_path / name / RECORD).read_text()) for name in ("one", "two", "three")]
    assert records[0] == records[1]
    assert records[0]["digest"] != records[2]["digest"]
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "one").config.vocab_size == 640
    assert AutoTokenizer.from_pretrained(tmp_path / "one").chat_template


def test_sizes_that_do_not_quantize_are_refused() -> None:
    with pytest.raises(ValidationError):
        BaseParams(hidden=100)
