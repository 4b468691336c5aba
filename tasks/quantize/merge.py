"""Fold an adapter into its base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.errors import MergeDrift, NotMergeable
from tasks.quantize.folder import largest_difference, probe_logits, replacing

if TYPE_CHECKING:
    from peft import PeftModel

MERGE_TOLERANCE = 1e-4  # largest absolute logit difference, float32


def merge(base: Path, adapter: Path, out: Path) -> dict[str, float]:
    """Fold a LoRA-family adapter into its base, in float32 on the CPU, and write a folder that stands by itself.

    What is compared is what lies on disk: the reference comes from one fresh load of base and adapter, the merged
    weights from another that has computed nothing yet (a forward may repack quantized weights), and then from a
    reload of the written files.

    Returns:
        merge_logit_difference: largest absolute logit difference on the probe texts.

    Raises:
        NotMergeable: prompt-style adapters (prefix, prompt, P-tuning, LLaMA-Adapter) have nothing to fold.
        MergeDrift: the difference exceeds 1e-4 or is not a number; nothing is left in `out`'s place.
    Source: Hu et al. 2021, eq. 3 (W = W0 + BA·α/r).
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    refuse_prompt_adapters(adapter)
    home = adapter if (adapter / "tokenizer_config.json").is_file() else base
    tokenizer = AutoTokenizer.from_pretrained(home, local_files_only=True)
    reference = probe_logits(load_adapted(base, adapter), tokenizer)
    with replacing(out) as partial:
        load_adapted(base, adapter).merge_and_unload().save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        reloaded = AutoModelForCausalLM.from_pretrained(partial, dtype=torch.float32, local_files_only=True)
        drift = largest_difference(reference, probe_logits(reloaded, tokenizer))
        if not drift <= MERGE_TOLERANCE:
            raise MergeDrift(
                f"{out}: the merged model's logits differ by {drift:.2g} from base plus adapter; at most "
                f"{MERGE_TOLERANCE:g} is allowed, so nothing was kept. Look for a full or failing disk and an adapter "
                "type that does not merge exactly, then run  pawl nightly  again."
            )
    return {"merge_logit_difference": drift}


def refuse_prompt_adapters(adapter: Path) -> None:
    """Raises NotMergeable for adapters that add inputs instead of changing weights."""
    from peft import PeftConfig, PeftType

    config = PeftConfig.from_pretrained(str(adapter))
    if config.is_prompt_learning or config.peft_type == PeftType.ADAPTION_PROMPT:
        raise NotMergeable(
            f"{adapter}: a {config.peft_type.value} adapter steers the base by added inputs and has nothing to fold "
            "into its weights. Serve it beside the base, or remove quantize: from the recipe."
        )


def load_adapted(base: Path, adapter: Path) -> PeftModel:
    """Base and adapter in float32 on the CPU; a quantized base is dequantized before anything computes."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    if getattr(network, "is_quantized", False):
        network = network.dequantize(dtype=torch.float32)
    return PeftModel.from_pretrained(network, str(adapter), torch_device="cpu", use_safetensors=True)


merge_task = task(merge, name="merge", cache_policy=NO_CACHE)
