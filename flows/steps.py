"""The steps of a night as the flow calls them: each finds, resumes or makes its work and reports what happened."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from flows.night import DATA_STEPS, Night
from flows.once import once
from flows.progress import Notes
from tasks.adapters.runs import StepRun
from tasks.contracts import (
    Adapter,
    Digest,
    EvalReport,
    Fingerprint,
    GateVerdict,
    QuantizedKind,
    QuantizedModel,
    RegisteredModel,
    Stage,
    content_digest,
)
from tasks.evaluate.models import ModelFiles
from tasks.recipe import Dpo, Int8, Nf4, Recipe, Sft


def make_data(night: Night) -> None:
    """Bring every data stage up to date, one Prefect task each, and note the versions that came out."""
    from flows.stages import stage_task
    from tasks.adapters.dvc import dataset_version, push, stale_stages

    stale = stale_stages(night.env.root)
    ran = False
    for verb in DATA_STEPS:
        with night.progress.step(verb) as notes:
            for stage in night.stages(verb):
                if ran or stage in stale:
                    changed = stage_task(verb, stage)(night.env.root, stage)
                    ran = ran or changed
                    notes.add("done" if changed else "reused", stage.partition("@")[2])
                else:
                    notes.add("reused", stage.partition("@")[2])
    for name in night.dataset_names():
        night.data[name] = dataset_version(night.env.root, name, night.params)
    if ran:
        push(night.env.root)


def train(night: Night) -> list[Adapter]:
    """One adapter a stage of the recipe, each on top of the one before."""
    adapters: list[Adapter] = []
    for entry in night.recipe.stages:
        with night.progress.step(entry.name) as notes:
            adapters.append(train_stage(night, notes, entry.config, adapters[-1] if adapters else None))
    return adapters


def train_stage(night: Night, notes: Notes, config: Sft | Dpo, parent: Adapter | None) -> Adapter:
    """Train one adapter, or find it."""
    from tasks.train.dpo import dpo_task
    from tasks.train.execution import Execution
    from tasks.train.sft import sft_task

    dataset = stage_dataset(night.recipe, config)
    stage, settings, inputs = stage_identity(night, config, parent)

    def make(identity: Fingerprint, run: StepRun) -> Adapter:
        execution = Execution(work=run.folder, device=night.env.torch_device(), log=run.log, keep=run.keep)
        where = (night.base_files, night.folder(dataset), run.out)
        if isinstance(config, Sft):
            metrics = sft_task(config, *where, seed=night.recipe.seed, execution=execution)
        else:
            assert parent is not None
            base, data, out = where
            files = night.runs.files(parent.run_id)
            metrics = dpo_task(config, base, files, data, out, seed=night.recipe.seed, execution=execution)
        adapter = Adapter(
            recipe=night.recipe.name,
            stage=stage,
            fingerprint=identity,
            base_digest=night.base.digest,
            parent_digest=parent.digest if parent else None,
            digest=content_digest(run.out),
            run_id=run.id,
            metrics=metrics,
        )
        run.store(adapter, run.out)
        return adapter

    adapter = once(night, notes, stage, stage, Adapter, settings, inputs, make, [night.data[dataset]])
    notes.details = [f"loss {adapter.metrics['first_loss']:.2f}→{adapter.metrics['train_loss']:.2f}"]
    return adapter


def stage_dataset(recipe: Recipe, config: Sft | Dpo) -> str:
    """The dataset that a stage trains on."""
    dataset = recipe.data.demonstrations if isinstance(config, Sft) else recipe.data.comparisons
    assert dataset is not None  # the recipe was checked
    return dataset


def stage_identity(
    night: Night, config: Sft | Dpo, parent: Adapter | None
) -> tuple[Stage, dict[str, JsonValue], dict[str, Digest]]:
    """What a training stage's fingerprint is made of: its name, its part of the recipe, its inputs."""
    stage: Stage = "sft" if isinstance(config, Sft) else "dpo"
    data = night.data[stage_dataset(night.recipe, config)]
    inputs = {"base": night.base.digest, "data": data.md5, **({"parent": parent.digest} if parent else {})}
    return stage, {**config.model_dump(mode="json"), "seed": night.recipe.seed}, inputs


def quantize(night: Night, candidate: Adapter) -> list[QuantizedModel]:
    """The quantized artifacts of the candidate that the recipe asks for."""
    kinds = night.recipe.quantize.kinds()
    if not kinds:
        return []
    with night.progress.step("quantize") as notes:
        models = [quantize_one(night, notes, candidate, kind, config) for kind, config in kinds.items()]
        notes.details = [f"{m.kind} {m.metrics['size_mb']:.1f} MB" for m in models]
    return models


def quantize_one(
    night: Night, notes: Notes, candidate: Adapter, kind: QuantizedKind, config: Nf4 | Int8
) -> QuantizedModel:
    """Merge (once for all kinds) and quantize."""
    from tasks.quantize.quantize import quantize_task

    def make(identity: Fingerprint, run: StepRun) -> QuantizedModel:
        merged, merge_metrics = merged_model(night, candidate)
        metrics = quantize_task(kind, config, merged, run.out, device=night.env.torch_device())
        model = QuantizedModel(
            kind=kind,
            recipe=night.recipe.name,
            stage=candidate.stage,
            fingerprint=identity,
            base_digest=night.base.digest,
            parent_digest=candidate.digest,
            digest=content_digest(run.out),
            run_id=run.id,
            metrics={**merge_metrics, **metrics},
        )
        run.log(model.metrics)
        run.store(model, run.out)
        return model

    inputs = {"base": night.base.digest, "adapter": candidate.digest}
    settings = {"kind": kind, **config.model_dump(mode="json")}
    return once(night, notes, "quantize", f"quantize {kind}", QuantizedModel, settings, inputs, make)


def merged_model(night: Night, candidate: Adapter) -> tuple[Path, Mapping[str, float]]:
    """The candidate folded into its base, in scratch for this night only."""
    from tasks.quantize.merge import merge_task

    folder = night.env.work / "merged" / night.recipe.name
    if candidate.digest not in night.merged:
        shutil.rmtree(folder, ignore_errors=True)
        night.merged[candidate.digest] = merge_task(night.base_files, night.runs.files(candidate.run_id), folder)
    return folder, night.merged[candidate.digest]


def evaluate(
    night: Night, adapters: Sequence[Adapter], quantized: Sequence[QuantizedModel], champion: RegisteredModel | None
) -> dict[str, EvalReport]:
    """Every model of the night, the base and the champion on the held-out set, by subject."""
    from tasks.adapters.registry import champion_files

    runs, base = night.runs, night.base_files
    reports: dict[str, EvalReport] = {}
    with night.progress.step("evaluate") as notes:

        def add(subject: str, digest: Digest, base_digest: Digest, files: ModelFiles) -> None:
            report = evaluate_one(night, notes, subject, digest, base_digest, files)
            reports[subject] = report.model_copy(update={"subject": subject})

        own = night.base.digest
        add("base", own, own, ModelFiles(base=base))
        for adapter in adapters:
            add(adapter.stage, adapter.digest, own, ModelFiles(base=base, adapter=runs.files(adapter.run_id)))
        for model in quantized:
            add(model.kind, model.digest, own, ModelFiles(model=runs.files(model.run_id)))
        if champion:
            champion_base, champion_adapter = champion_files(champion, base)
            files = ModelFiles(base=champion_base, adapter=champion_adapter)
            add("champion", champion.digest, champion.tags["pawl.base_digest"], files)
        notes.details = [f"{name} {report.exact_match():.3f}" for name, report in reports.items()]
    return reports


def evaluate_one(
    night: Night, notes: Notes, subject: str, digest: Digest, base_digest: Digest, files: ModelFiles
) -> EvalReport:
    """Evaluate one model, or find its report."""
    from tasks.evaluate.evaluate import evaluate_task

    suite, config = night.suite_files, night.recipe.evaluate

    def make(identity: Fingerprint, run: StepRun) -> EvalReport:
        data = night.folder(night.recipe.data.evaluation)
        samples = evaluate_task(files, suite, data, config, device=night.env.torch_device())
        report = EvalReport(
            subject=subject,
            fingerprint=identity,
            model_digest=digest,
            suite=config.suite,
            suite_digest=night.suite_digest,
            run_id=run.id,
            samples=samples,
        )
        run.log({"exact_match": report.exact_match(), **{f"exact_match/{k}": v for k, v in report.families().items()}})
        run.store(report)
        return report

    inputs = {"model": digest, "base": base_digest, "suite": night.suite_digest}
    label = f"evaluate {subject}"
    return once(night, notes, "evaluate", label, EvalReport, config.model_dump(mode="json"), inputs, make)


def gate(
    night: Night, adapters: Sequence[Adapter], quantized: Sequence[QuantizedModel], reports: Mapping[str, EvalReport]
) -> GateVerdict:
    """Hold the candidate set against floors, the champion and the quantization limits."""
    from tasks.evaluate.gate import gate_task, passed

    candidate, champion = adapters[-1], reports.get("champion")
    metrics = {name: value for adapter in adapters for name, value in adapter.metrics.items()}
    inputs = {
        "candidate": candidate.digest,
        "suite": night.suite_digest,
        "champion": champion.model_digest if champion else "none",
        **{model.kind: model.digest for model in quantized},
        **{f"dataset/{name}": version.md5 for name, version in night.data.items()},
        **{f"report/{name}": report.fingerprint for name, report in reports.items()},
    }
    with night.progress.step("gate") as notes:

        def make(identity: Fingerprint, run: StepRun) -> GateVerdict:
            by_kind = {model.kind: reports[model.kind] for model in quantized}
            results = gate_task(night.recipe.gates, reports[candidate.stage], by_kind, champion, metrics)
            verdict = GateVerdict(
                recipe=night.recipe.name,
                fingerprint=identity,
                run_id=run.id,
                passed=passed(results),
                gates=results,
                inputs=inputs,
            )
            run.log({r.name: r.value for r in results if r.value is not None})
            run.store(verdict)
            return verdict

        policy = night.recipe.gates.model_dump(mode="json")
        verdict = once(night, notes, "gate", "gate", GateVerdict, policy, inputs, make)
        held = sum(result.passed for result in verdict.gates)
        notes.details = [f"{held} of {len(verdict.gates)} rules hold: {'passed' if verdict.passed else 'REJECTED'}"]
    return verdict


def register(
    night: Night, adapters: Sequence[Adapter], quantized: Sequence[QuantizedModel], verdict: GateVerdict
) -> tuple[RegisteredModel, ...]:
    """Every artifact as a candidate version; a set that passed is nominated as the challenger."""
    from tasks.release.nominate import nominate_task
    from tasks.release.register import ModelToRegister, register_task

    own_base = night.base_files if night.base_is_folder else None
    models = [
        ModelToRegister(record, night.runs.files(record.run_id), own_base, night.base.name, night.base.digest)
        for record in (*adapters, *quantized)
    ]
    with night.progress.step("register") as notes:
        candidates = register_task(night.recipe.name, models, verdict, night.fingerprint, night.lineage())
        notes.add("done", f"{len(candidates)} versions of {candidates[0].name}")
        if not verdict.passed:
            return candidates
        nomination = nominate_task(night.recipe.name, night.fingerprint)
        notes.add(
            "done", nomination.note or f"challenger: {', '.join(f'{m.name}/{m.version}' for m in nomination.models)}"
        )
    return (*nomination.models, *candidates)
