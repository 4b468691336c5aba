"""Write a merged model's linear layers in fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contracts import QuantizedKind
from tasks.errors import QuantizationFailed
from tasks.quantize.folder import largest_difference, probe_logits, replacing
from tasks.recipe import Int8, Nf4

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel

RELOAD_TOLERANCE = 1e-3  # logits; the same bytes through the same kernels
PACKED_OUTPUTS, PACKED_INPUTS = 32, 64


def quantize(kind: QuantizedKind, config: Nf4 | Int8, merged: Path, out: Path, *, device: str) -> dict[str, float]:
    """Quantize the linear layers of `merged` and write a folder that plain transformers loads.

    The weights are saved before the model computes anything: on AVX512-BF16 processors the first forward repacks NF4
    weights for the kernel at hand. Then the written folder is loaded afresh and compared.

    Args:
        device: "cpu" or "cuda", where quantization and the comparisons run.

    Returns:
        size_mb: all files of the folder, 10^6 bytes.
        bits_per_weight: stored bits of the quantized layers, scales and tables included, by their number of weights.
        reload_logit_difference: quantized in memory against reloaded, largest absolute value on the probe texts.
        logit_difference: merged against reloaded, likewise.

    Raises:
        QuantizationFailed: layer sizes that NF4's kernel refuses, nothing to quantize, logits that are not finite, or a
            reload that computes something else.
    Sources: Dettmers et al. 2023 (NF4, double quantization); Dettmers et al. 2022 (LLM.int8()).
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(merged, local_files_only=True)
    with replacing(out) as partial:
        network = load(merged, device, bits(kind, config, device))
        refuse_odd_sizes(network)
        network.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        density = bits_per_weight(network, partial)
        in_memory = probe_logits(network, tokenizer)
        reloaded = probe_logits(load(partial, device), tokenizer)
        reference = probe_logits(load(merged, device), tokenizer)
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
        measured = {
            "size_mb": size / 1e6,
            "bits_per_weight": density,
            "reload_logit_difference": largest_difference(in_memory, reloaded),
            "logit_difference": largest_difference(reference, reloaded),
        }
        refuse_broken(kind, merged, measured)
    return measured


def bits(kind: QuantizedKind, config: Nf4 | Int8, device: str) -> BitsAndBytesConfig:
    """The recipe's section in bitsandbytes' words. NF4 computes in float32 on CPU, in bfloat16 on a GPU."""
    import torch
    from transformers import BitsAndBytesConfig

    if kind == "nf4" and isinstance(config, Nf4):
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=config.double_quantization,
            bnb_4bit_compute_dtype=torch.float32 if device == "cpu" else torch.bfloat16,
        )
    if kind == "int8" and isinstance(config, Int8):
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=config.outlier_threshold)
    raise QuantizationFailed(f"quantize.{kind} got settings for {type(config).__name__}. Check the recipe.")


def load(folder: Path, device: str, quantization: BitsAndBytesConfig | None = None) -> PreTrainedModel:
    """A model folder on `device`, quantized on the way when `quantization` is given."""
    import torch
    from transformers import AutoModelForCausalLM

    # An explicit None would make transformers overlook that a folder is quantized.
    settings: dict[str, BitsAndBytesConfig] = {"quantization_config": quantization} if quantization else {}
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32 if device == "cpu" else "auto",
        device_map={"": device},
        local_files_only=True,
        use_safetensors=True,
        **settings,
    )


def refuse_odd_sizes(network: PreTrainedModel) -> None:
    """Raises QuantizationFailed for NF4 layers that would not load everywhere: on AVX512-BF16 processors bitsandbytes
    packs them for a kernel that takes only multiples of 32 outputs and 64 inputs."""
    from bitsandbytes.nn import Linear4bit

    layers = {n: m for n, m in network.named_modules() if isinstance(m, Linear4bit)}
    odd = [n for n, m in layers.items() if m.out_features % PACKED_OUTPUTS or m.in_features % PACKED_INPUTS]
    if odd:
        raise QuantizationFailed(
            f"{len(odd)} of {len(layers)} linear layers (first: {odd[0]}) do not have a multiple of {PACKED_OUTPUTS} "
            f"outputs and {PACKED_INPUTS} inputs, which bitsandbytes' CPU kernel for NF4 needs. Remove quantize.nf4 "
            "from the recipe, or choose a base with other sizes."
        )


def bits_per_weight(network: PreTrainedModel, folder: Path) -> float:
    """Stored bits of all quantized layers, without biases, by the weights that they stand for.

    Raises:
        QuantizationFailed: no layer was quantized.
    """
    from bitsandbytes.nn import Linear4bit, Linear8bitLt
    from safetensors import safe_open

    layers = {n: m for n, m in network.named_modules() if isinstance(m, Linear4bit | Linear8bitLt)}
    weights = sum(layer.in_features * layer.out_features for layer in layers.values())
    if not weights:
        raise QuantizationFailed(
            f"{folder}: no linear layer that bitsandbytes quantizes. Remove quantize: from the recipe."
        )
    stored = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            kept = [name for name in tensors.keys() if owner(name) in layers and not name.endswith(".bias")]  # noqa: SIM118
            stored += sum(8 * tensors.get_tensor(name).nbytes for name in kept)
    return stored / weights


def owner(tensor: str) -> str:
    """The layer that a stored tensor belongs to: "a.b.weight.absmax" and "a.b.SCB" belong to "a.b"."""
    return tensor.partition(".weight")[0].removesuffix(".SCB")


def refuse_broken(kind: QuantizedKind, merged: Path, measured: dict[str, float]) -> None:
    """Raises QuantizationFailed for logits that are not finite or that a reload does not reproduce."""
    if not measured["logit_difference"] < float("inf"):
        raise QuantizationFailed(
            f"{kind} of {merged}: logits that are not finite. Train again, or remove quantize.{kind} from the recipe."
        )
    if not measured["reload_logit_difference"] <= RELOAD_TOLERANCE:
        difference = measured["reload_logit_difference"]
        raise QuantizationFailed(
            f"{kind} of {merged}: the saved files compute something else than the model in memory (logits differ by "
            f"{difference:.2g}, at most {RELOAD_TOLERANCE:g}). Look for a full or failing disk, then run  pawl nightly"
        )


quantize_task = task(quantize, name="quantize", cache_policy=NO_CACHE)
