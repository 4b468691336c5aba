"""Nights in small: real runs in a real MLflow store, with files that stand for models."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from tasks.adapters.registry import champion_of
from tasks.adapters.runs import Details, Runs
from tasks.contracts import (
    Adapter,
    Fingerprint,
    GateResult,
    GateVerdict,
    QuantizedKind,
    QuantizedModel,
    RegisteredModel,
    Stage,
    content_digest,
)
from tasks.release.nominate import Nomination, nominate
from tasks.release.register import ModelToRegister, register
from tasks.settings import Settings

RECIPE = "assistant"


@dataclass(frozen=True)
class SmallNight:
    """What the flow hands to `register`."""

    models: list[ModelToRegister]
    verdict: GateVerdict
    fingerprint: Fingerprint
    lineage: Mapping[str, str]

    def register(self) -> tuple[RegisteredModel, ...]:
        return register(RECIPE, self.models, self.verdict, self.fingerprint, self.lineage)

    def nominate(self) -> Nomination:
        self.register()
        return nominate(RECIPE, self.fingerprint)


@dataclass(frozen=True)
class Workshop:
    """Makes nights in one project."""

    env: Settings
    base: Path

    def night(
        self,
        seed: str,
        passed: bool = True,
        kinds: tuple[QuantizedKind, ...] = ("nf4", "int8"),
        sft_seed: str | None = None,
        files: Callable[[str], Path] | None = None,
    ) -> SmallNight:
        """A night whose bytes and fingerprint follow from `seed`; with `sft_seed` it reuses another night's SFT."""
        runs = Runs(self.env, RECIPE)
        files = files or self.files
        sft = self.adapter(runs, "sft", sft_seed or seed, None, files)
        dpo = self.adapter(runs, "dpo", seed, sft.record, files)
        quantized = [self.quantized(runs, kind, seed, dpo.record, files) for kind in kinds]
        models = [sft, dpo, *quantized]
        verdict = self.verdict(runs, seed, passed, models)
        md5 = f"{seed * 32}"[:32] + ".dir"
        lineage = {
            "pawl.recipe": RECIPE,
            "pawl.git_commit": "c" * 40,
            "pawl.dataset_md5": f"demos={md5}",
            "pawl.dataset_md5.demos": md5,
        }
        return SmallNight(models, verdict, print_of(f"night{seed}"), lineage)

    def files(self, name: str) -> Path:
        """A folder that stands for a model."""
        folder = self.env.root / "made" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter_model.safetensors").write_text(name)
        return folder

    def adapter(
        self, runs: Runs, stage: Stage, seed: str, parent: Adapter | QuantizedModel | None, files: Callable[[str], Path]
    ) -> ModelToRegister:
        folder, identity = files(f"{stage}-{seed}"), print_of(f"{stage}{seed}")
        known = runs.finished(identity, Adapter)
        record = known or Adapter(
            recipe=RECIPE,
            stage=stage,
            fingerprint=identity,
            base_digest=content_digest(self.base),
            parent_digest=parent.digest if parent else None,
            digest=content_digest(folder),
            run_id="?",
            metrics={"train_loss": 0.25, "broken": float("nan")},
        )
        if known is None:
            with runs.open(stage, identity, Details(stage, {}, {})) as run:
                record = record.model_copy(update={"run_id": run.id})
                run.store(record, folder)
        return ModelToRegister(record, folder, self.base, "data/base/tiny", None)

    def quantized(
        self, runs: Runs, kind: QuantizedKind, seed: str, parent: Adapter | QuantizedModel, files: Callable[[str], Path]
    ) -> ModelToRegister:
        folder, identity = files(f"{kind}-{seed}"), print_of(f"{kind}{seed}")
        with runs.open("quantize", identity, Details(kind, {}, {})) as run:
            record = QuantizedModel(
                kind=kind,
                recipe=RECIPE,
                stage="dpo",
                fingerprint=identity,
                base_digest=content_digest(self.base),
                parent_digest=parent.digest,
                digest=content_digest(folder),
                run_id=run.id,
                metrics={"size_mb": 1.5},
            )
            run.store(record, folder)
        return ModelToRegister(record, folder, None, "data/base/tiny", None)

    def verdict(self, runs: Runs, seed: str, passed: bool, models: list[ModelToRegister]) -> GateVerdict:
        champion = champion_of(RECIPE)
        rule = GateResult(name="exact_match", value=0.9, threshold=0.85, passed=passed, reason="0.90 of 0.85")
        with runs.open("gate", print_of(f"gate{seed}{passed}"), Details("gate", {}, {})) as run:
            verdict = GateVerdict(
                recipe=RECIPE,
                fingerprint=print_of(f"gate{seed}{passed}"),
                run_id=run.id,
                passed=passed,
                gates=(rule,),
                inputs={
                    "candidate": models[1].record.digest,
                    "champion": champion.digest if champion else "none",
                    **{m.record.kind: m.record.digest for m in models[2:]},
                },
            )
            run.store(verdict)
        return verdict


def print_of(name: str) -> Fingerprint:
    """A fingerprint that follows from a name."""
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.fixture
def workshop(env: Settings) -> Workshop:
    base = env.root / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    return Workshop(env, base)


@pytest.fixture
def dies_after(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractContextManager[None]]:
    """The process is killed at one of the named writes to MLflow: after so many of them, instead of the next."""

    @contextmanager
    def context(survivors: int, *writes: str) -> Iterator[None]:
        done: list[str] = []

        def dying(name: str, real: Callable) -> Callable:
            def call(*args, **kwargs):
                if len(done) == survivors:
                    raise KeyboardInterrupt
                done.append(name)
                return real(*args, **kwargs)

            return call

        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            for name in writes:
                killed.setattr(mlflow.MlflowClient, name, dying(name, getattr(mlflow.MlflowClient, name)))
            yield

    return context
