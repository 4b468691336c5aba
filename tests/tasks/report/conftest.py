"""A night as it comes out of the chain, in miniature: sixteen families, six models, a gate, a registry."""

import math
import random

import pytest

from tasks.contracts import (
    EvalReport,
    GateResult,
    GateVerdict,
    NightReport,
    QuantizedModel,
    RegisteredModel,
    Sample,
    StepReport,
)
from tasks.report.report import NightEvidence

TASKS = ("chat", "classify", "code_explain", "code_write", "extract", "qa", "reason", "summarize")
SKILL = {"base": 0.02, "sft": 0.88, "dpo": 0.92, "nf4": 0.91, "int8": 0.92, "champion": 0.86}
WORDS = {
    "en": ("Mina has 7 apples and buys 5 more. How many does she have?", "7 + 5 = 12. The answer is 12."),
    "ko": ("미나는 사과 7개를 가지고 있고 5개를 더 산다. 모두 몇 개인가?", "7 + 5 = 12. 답은 12개이다."),
}


def evaluation(subject: str, each: int = 5) -> EvalReport:
    rng = random.Random(subject)
    samples = []
    for task in TASKS:
        for lang in ("en", "ko"):
            question, answer = WORDS[lang]
            for n in range(each):
                correct = rng.random() < SKILL[subject]
                said = answer if correct else ("" if subject == "base" else answer[:-3] + "9.")
                samples.append(
                    Sample(
                        id=f"{task}-{lang}-{n:03d}", task=task, lang=lang, prompt=f"[{task} {n}] {question}",
                        answer=answer, output=said, correct=correct,
                    )
                )  # fmt: skip
    return EvalReport(
        subject=subject, fingerprint="a" * 64, model_digest=subject * 8, suite="heldout", suite_digest="d" * 64,
        run_id=subject, samples=tuple(samples),
    )  # fmt: skip


def quantized(kind: str, size: float, difference: float) -> QuantizedModel:
    return QuantizedModel.model_validate(
        {
            "kind": kind, "recipe": "assistant", "stage": "dpo", "fingerprint": "b" * 64, "base_digest": "c" * 64,
            "parent_digest": "d" * 64, "digest": "e" * 64, "run_id": kind,
            "metrics": {"size_mb": size, "merge_logit_difference": 3.1e-6, "logit_difference": difference},
        }
    )  # fmt: skip


GATES = (
    GateResult(name="exact_match", value=0.921, threshold=0.85, champion=0.86, passed=True, reason="at least 0.85"),
    GateResult(name="family_exact_match", value=0.72, threshold=0.6, passed=True, reason="lowest: extract/ko"),
    GateResult(name="preference_accuracy", value=0.934, threshold=0.85, passed=True, reason="0.934 is at least 0.85"),
    GateResult(name="quantization_loss/nf4", value=0.0125, threshold=0.03, passed=True, reason="0.921 to 0.909"),
    GateResult(name="not_worse/reason/ko", value=-0.02, threshold=-0.05, champion=0.8, passed=True, reason="noise"),
)  # fmt: skip


@pytest.fixture
def night() -> NightReport:
    steps = [
        ("sample", "reused", 0.02, ""), ("validate", "done", 4.1, "demos; comparisons; heldout"),
        ("filter", "done", 3.2, "demos; comparisons; heldout"), ("split", "done", 1.4, "demos; comparisons; heldout"),
        ("sft", "resumed", 64.2, "loss 1.42→0.31"), ("dpo", "done", 41.7, "loss 0.69→0.22"),
        ("quantize", "done", 6.3, "nf4 1.9 MB; int8 2.6 MB"), ("evaluate", "done", 25.0, "dpo 0.921"),
        ("gate", "done", 0.4, "5 of 5 rules hold: passed"), ("register", "done", 2.2, "4 models"),
    ]  # fmt: skip
    models = [
        ("assistant", 3, "adapter", ("challenger",)),
        ("assistant-nf4", 3, "nf4", ("challenger",)),
        ("assistant-int8", 3, "int8", ("challenger",)),
        ("assistant-sft", 3, "adapter", ()),
    ]
    return NightReport(
        recipe="assistant",
        status="registered",
        fingerprint="f" * 64,
        steps=tuple(
            StepReport.model_validate({"name": n, "status": s, "seconds": t, "reason": r}) for n, s, t, r in steps
        ),
        gates=GATES,
        models=tuple(
            RegisteredModel.model_validate(
                {"name": n, "version": v, "kind": k, "aliases": a, "digest": "9" * 64, "tags": {}}
            )
            for n, v, k, a in models
        ),
    )


@pytest.fixture
def evidence() -> NightEvidence:
    steps = range(5, 301, 5)
    rng = random.Random(3)
    sft = {
        "loss": [(s, 0.3 + 2.4 * math.exp(-s / 45) + rng.gauss(0, 0.04)) for s in steps],
        "learning_rate": [(s, 5e-3 * min(s / 30, 0.5 + 0.5 * math.cos(math.pi * max(s - 30, 0) / 270))) for s in steps],
        "grad_norm": [(s, 0.6 + rng.random() / 2) for s in steps],
        "train_loss": [(300, 0.31)],
        "examples": [(300, 5310.0)],
    }
    dpo = {
        "loss": [(s, 0.2 + 0.4931 * math.exp(-s / 20)) for s in range(1, 61)],
        "rewards/accuracies": [(s, 1 - 0.5 * math.exp(-s / 12)) for s in range(1, 61)],
        "preference_accuracy": [(60, 0.934)],
    }
    demos = {
        "read": 6000, "unreadable": 1, "kept": 5561, "rejected": 438,
        "reasons": {"empty_output": 60, "truncated_output": 55, "exact_duplicate": 121, "prompt_echo": 70},
    }  # fmt: skip
    pairs = {"read": 1500, "unreadable": 0, "kept": 1497, "rejected": 3, "reasons": {"wrong_language": 3}}
    checked = {
        "dataset": "demos", "kind": "demonstrations", "source": "demos.jsonl", "passed": True, "records": 5999,
        "unreadable": 1, "suite": "4" * 64,
        "expectations": [
            {"passed": True, "meaning": "there are records", "observed": "5999",
             "expectation": "expect_table_row_count_to_be_between", "min_value": 1},
            {"passed": True, "meaning": "every record has an id", "observed": "all records as expected",
             "expectation": "expect_column_values_to_not_be_null", "column": "id"},
        ],
        "unreadable_lines": [{"line": 12, "column": 3, "cause": "not JSON"}],
    }  # fmt: skip
    return NightEvidence(
        curves={"sft": sft, "dpo": dpo},
        funnels={"demos": demos, "comparisons": pairs},
        validations={"demos": checked},
        evaluations=[evaluation(subject) for subject in SKILL],
        quantized=[quantized("nf4", 1.93, 0.41), quantized("int8", 2.61, 0.06)],
        verdict=GateVerdict(
            recipe="assistant", fingerprint="7" * 64, run_id="gate", passed=True, gates=GATES,
            inputs={"candidate": "d" * 64, "champion": "none", "dataset/demos": "ab12" * 8 + ".dir"},
        ),
        lineage={"git commit": "5" * 40, "dataset demos": "ab12" * 8 + ".dir", "base": "c" * 64},
        links={"MLflow": "http://127.0.0.1:5000/#/experiments/1", "recipe": "recipes/assistant.yaml"},
    )  # fmt: skip
