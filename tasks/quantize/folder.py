"""Model folders: replaced whole or not at all, and probed for what they compute."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROBE = (
    "What colour is the apple on the table? The apple is red.",
    "식탁 위의 사과는 무슨 색입니까? 사과는 빨간색입니다.",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))  # 5",
    "민지는 공책 3권을 사고 2권을 더 샀습니다. 3 + 2 = 5, 모두 5권입니다.",
)


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes `out`'s place when the block ends well and disappears when it does not."""
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)


def probe_logits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[Tensor]:
    """What the model computes for fixed English, Korean and code texts.

    Returns:
        One float32 tensor a text, on the CPU, of shape (tokens, vocabulary).
    """
    import torch

    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)  # a line an int8 layer and forward
    model.eval()
    with torch.inference_mode():
        batches = [tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device) for text in PROBE]
        return [model(input_ids=b["input_ids"]).logits[0].float().cpu() for b in batches]


def largest_difference(one: list[Tensor], other: list[Tensor]) -> float:
    """Largest absolute difference over all texts; NaN when either side is not finite, so that it passes no limit."""
    import torch

    pairs = list(zip(one, other, strict=True))
    if not all(torch.isfinite(tensor).all() for pair in pairs for tensor in pair):
        return float("nan")
    return max(float((a - b).abs().max()) for a, b in pairs)
