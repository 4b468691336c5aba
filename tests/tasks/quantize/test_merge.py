"""Merging an adapter into its base."""

from pathlib import Path

import pytest
import torch
from peft import AdaptionPromptConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import tasks.quantize.merge as module
from tasks.contracts import content_digest
from tasks.errors import MergeDrift, NotMergeable
from tasks.quantize.folder import largest_difference, probe_logits
from tasks.quantize.merge import load_adapted, merge


def test_merged_weights_are_the_base_plus_the_scaled_product_of_the_adapter(tiny: Path, adapter: Path, merged: Path):
    base, lora, whole = (load_file(f / n) for f, n in named(tiny, adapter, merged))
    layer = "model.layers.0.mlp.up_proj"
    a, b = (lora[f"base_model.model.{layer}.lora_{x}.weight"].double() for x in "AB")
    expected = base[f"{layer}.weight"].double() + b @ a * 8 / 4
    torch.testing.assert_close(whole[f"{layer}.weight"].double(), expected, atol=1e-6, rtol=0)


def named(tiny: Path, adapter: Path, merged: Path) -> list[tuple[Path, str]]:
    return [(tiny, "model.safetensors"), (adapter, "adapter_model.safetensors"), (merged, "model.safetensors")]


def test_the_merged_folder_computes_what_base_plus_adapter_compute(tiny: Path, adapter: Path, merged: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    whole = probe_logits(AutoModelForCausalLM.from_pretrained(merged), tokenizer)
    assert largest_difference(probe_logits(load_adapted(tiny, adapter), tokenizer), whole) <= 1e-4
    assert largest_difference(probe_logits(AutoModelForCausalLM.from_pretrained(tiny), tokenizer), whole) > 0.01


def test_the_largest_logit_difference_is_returned(tiny: Path, adapter: Path, tmp_path: Path):
    measured = merge(tiny, adapter, tmp_path / "out")
    assert list(measured) == ["merge_logit_difference"]
    assert 0 <= measured["merge_logit_difference"] <= 1e-4


def test_chat_template_tokenizer_and_generation_settings_travel_with_the_merged_model(tiny: Path, merged: Path):
    ours, theirs = (AutoTokenizer.from_pretrained(folder) for folder in (merged, tiny))
    conversation = [{"role": "system", "content": "짧게 답하세요."}, {"role": "user", "content": "2 + 3 = ?"}]
    rendered = ours.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert rendered == theirs.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    assert (merged / "generation_config.json").is_file()


def test_the_tokenizer_that_lies_with_the_adapter_goes_before_the_base_s(tiny: Path, adapter: Path, tmp_path: Path):
    carrying = copied(adapter, tmp_path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    tokenizer.chat_template = "{{ messages[0]['content'] }} other template"
    tokenizer.save_pretrained(carrying)
    merge(tiny, carrying, tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template.endswith("other template")


def test_merging_twice_gives_the_same_bytes(tiny: Path, adapter: Path, merged: Path, tmp_path: Path):
    merge(tiny, adapter, tmp_path / "again")
    assert content_digest(tmp_path / "again") == content_digest(merged)


def test_a_corrupt_merge_is_caught_and_nothing_takes_the_old_model_s_place(
    tiny: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("kept")
    calls = iter((False, True))

    def flipping(base: Path, folder: Path):
        model = load_adapted(base, folder)
        if next(calls):
            with torch.no_grad():
                model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight.neg_()
        return model

    monkeypatch.setattr(module, "load_adapted", flipping)
    with pytest.raises(MergeDrift, match="logits differ"):
        merge(tiny, adapter, out)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "old"]


def test_weights_that_are_not_numbers_never_merge(tiny: Path, adapter: Path, tmp_path: Path):
    broken = copied(adapter, tmp_path / "adapter")
    spoil(broken / "adapter_model.safetensors")
    with pytest.raises(MergeDrift, match="nan"):
        merge(tiny, broken, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "config",
    [
        PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=2),
    ],
    ids=lambda config: config.peft_type.value.lower(),
)
def test_prompt_style_adapters_have_nothing_to_fold(config, tiny: Path, tmp_path: Path):
    config.save_pretrained(tmp_path / "adapter")
    with pytest.raises(NotMergeable, match=config.peft_type.value):
        merge(tiny, tmp_path / "adapter", tmp_path / "out")


def copied(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to))


def spoil(weights: Path) -> None:
    from safetensors.torch import save_file

    tensors = load_file(weights)
    next(iter(tensors.values()))[0, 0] = float("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
