"""Quantizing a merged model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tasks.contracts import QuantizedKind, content_digest
from tasks.errors import QuantizationFailed
from tasks.quantize.quantize import quantize
from tasks.recipe import Int8, Nf4

LAYER = "model.layers.1.mlp.down_proj"
Made = dict[QuantizedKind, tuple[Path, dict[str, float]]]


@pytest.fixture(scope="module")
def made(merged: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("quantized")
    return {
        "nf4": (folder / "nf4", quantize("nf4", Nf4(), merged, folder / "nf4", device="cpu")),
        "int8": (folder / "int8", quantize("int8", Int8(), merged, folder / "int8", device="cpu")),
    }


@pytest.mark.parametrize(("kind", "least", "most"), [("nf4", 4.0, 4.6), ("int8", 8.0, 8.6)])
def test_what_is_written_is_small_and_computes_what_was_in_memory(kind: QuantizedKind, least, most, made: Made):
    folder, measured = made[kind]
    assert least < measured["bits_per_weight"] < most
    assert measured["reload_logit_difference"] == 0
    assert 0 < measured["logit_difference"] < float("inf")
    assert measured["size_mb"] == sum(file.stat().st_size for file in folder.iterdir()) / 1e6


def test_fewer_bits_differ_more_from_the_merged_model(made: Made):
    nf4, int8 = made["nf4"][1], made["int8"][1]
    assert nf4["size_mb"] < int8["size_mb"]
    assert nf4["logit_difference"] > int8["logit_difference"]


def test_double_quantization_saves_bits(merged: Path, made: Made, tmp_path: Path):
    single = quantize("nf4", Nf4(double_quantization=False), merged, tmp_path / "out", device="cpu")
    assert single["bits_per_weight"] > made["nf4"][1]["bits_per_weight"]


def test_nf4_weights_on_disk_are_within_half_a_step_of_the_merged_ones(merged: Path, made: Made):
    network = AutoModelForCausalLM.from_pretrained(made["nf4"][0], dtype=torch.float32)
    stored = network.dequantize(dtype=torch.float32).get_submodule(LAYER).weight
    exact = load_file(merged / "model.safetensors")[f"{LAYER}.weight"]
    blocks = (stored - exact).reshape(-1, 64).abs().amax(1) / exact.reshape(-1, 64).abs().amax(1)
    assert blocks.max() < 0.17  # half of NF4's widest gap is 0.152; double quantization adds a little


def test_int8_weights_on_disk_are_within_half_a_step_of_the_merged_ones(merged: Path, made: Made):
    tensors = load_file(made["int8"][0] / "model.safetensors")
    stored = tensors[f"{LAYER}.weight"].float() * tensors[f"{LAYER}.SCB"][:, None] / 127
    exact = load_file(merged / "model.safetensors")[f"{LAYER}.weight"]
    steps = (stored - exact).abs().amax(1) / (exact.abs().amax(1) / 127)
    assert steps.max() < 0.6  # rounding to half precision on the way adds to the half step


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_plain_transformers_loads_and_generates_from_the_folder(kind: QuantizedKind, made: Made, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    network = AutoModelForCausalLM.from_pretrained(made[kind][0])
    tokenizer = AutoTokenizer.from_pretrained(made[kind][0])
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "3 더하기 4는?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    length = prompt["input_ids"].shape[1]
    assert network.generate(**prompt, max_new_tokens=4, do_sample=False).shape[1] > length
    assert {m.__class__.__name__ for m in network.modules()} & {"Linear4bit", "Linear8bitLt"}


@pytest.mark.parametrize(("kind", "config"), [("nf4", Nf4()), ("int8", Int8())])
def test_quantizing_twice_gives_the_same_bytes(kind: QuantizedKind, config, merged: Path, made: Made, tmp_path: Path):
    quantize(kind, config, merged, tmp_path / "elsewhere", device="cpu")
    assert content_digest(tmp_path / "elsewhere") == content_digest(made[kind][0])


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_no_path_of_this_machine_and_no_pickle_is_in_the_folder(kind: QuantizedKind, merged: Path, made: Made):
    folder = made[kind][0]
    for file in folder.iterdir():
        assert str(merged.parent).encode() not in file.read_bytes(), file.name
        assert file.suffix in {".json", ".safetensors", ".jinja"}


def test_the_recipe_s_settings_reach_the_artifact(merged: Path, tmp_path: Path):
    quantize("int8", Int8(outlier_threshold=3.5), merged, tmp_path / "int8", device="cpu")
    config = json.loads((tmp_path / "int8" / "config.json").read_text())
    assert config["quantization_config"]["llm_int8_threshold"] == 3.5


@pytest.mark.parametrize(("kind", "config"), [("nf4", Nf4()), ("int8", Int8())])
def test_logits_that_are_not_finite_end_it_and_the_old_artifact_stays(
    kind: QuantizedKind, config, merged: Path, tmp_path: Path
):
    broken, out = Path(shutil.copytree(merged, tmp_path / "broken")), tmp_path / "out"
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    out.mkdir()
    (out / "old").write_text("kept")
    with pytest.raises(QuantizationFailed, match="not finite"):
        quantize(kind, config, broken, out, device="cpu")
    assert [path.name for path in out.iterdir()] == ["old"]
    assert not (tmp_path / "out.partial").exists()


def test_settings_of_the_other_kind_are_refused(merged: Path, tmp_path: Path):
    with pytest.raises(QuantizationFailed, match="Int8"):
        quantize("nf4", Int8(), merged, tmp_path / "out", device="cpu")


def test_sizes_that_the_nf4_kernel_of_some_processors_refuses_are_refused_everywhere(merged: Path, tmp_path: Path):
    tokenizer = AutoTokenizer.from_pretrained(merged)
    odd = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=96, intermediate_size=192, num_hidden_layers=1, num_attention_heads=4
    )
    LlamaForCausalLM(odd).save_pretrained(tmp_path / "odd")
    tokenizer.save_pretrained(tmp_path / "odd")
    with pytest.raises(QuantizationFailed, match=r"6 of 7 linear layers \(first: model.layers.0.self_attn.q_proj\)"):
        quantize("nf4", Nf4(), tmp_path / "odd", tmp_path / "out", device="cpu")
    assert quantize("int8", Int8(), tmp_path / "odd", tmp_path / "out", device="cpu")["reload_logit_difference"] == 0
