"""recipes/*.yaml and params.yaml as typed models: everything that decides a result, and nothing that does not."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tasks.contracts import DatasetKind, QuantizedKind, Stage
from tasks.yaml_config import load_config

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Config(BaseModel):
    """Base of every section: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(Config):
    """Low-rank adapters on every linear layer. Source: Hu et al. 2021."""

    r: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: Share = 0.0


class Training(Config):
    """What every training stage has in common. One step is one optimizer update over `batch_size` examples."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    micro_batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=1024, ge=8)
    checkpoint_every: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def batches_divide(self) -> Self:
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ValueError(f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}")
        return self


class Sft(Training):
    """Supervised fine-tuning on demonstrations, loss on the answer only."""

    lora: Lora = Lora()


class Dpo(Training):
    """Direct preference optimization on top of the SFT adapter. Source: Rafailov et al. 2023."""

    beta: float = Field(default=0.1, gt=0)


class StageEntry(Config):
    """One item of `stages:`, a mapping with a single key that names the stage."""

    sft: Sft | None = None
    dpo: Dpo | None = None

    @model_validator(mode="after")
    def names_one_stage(self) -> Self:
        if len(self.model_fields_set) != 1 or getattr(self, next(iter(self.model_fields_set))) is None:
            raise ValueError("one stage an item, such as `- sft: {steps: 300, …}`")
        return self

    @property
    def name(self) -> Stage:
        return "sft" if self.sft else "dpo"

    @property
    def config(self) -> Sft | Dpo:
        config = self.sft or self.dpo
        assert config is not None  # names_one_stage
        return config


class Nf4(Config):
    """4-bit NormalFloat by bitsandbytes, blocks of 64. Source: Dettmers et al. 2023."""

    double_quantization: bool = True


class Int8(Config):
    """LLM.int8() by bitsandbytes. Source: Dettmers et al. 2022."""

    outlier_threshold: float = Field(default=6.0, ge=0)


class Quantize(Config):
    """Which quantized artifacts are made of the candidate; an absent key makes none."""

    nf4: Nf4 | None = None
    int8: Int8 | None = None

    def kinds(self) -> dict[QuantizedKind, Nf4 | Int8]:
        """The artifacts asked for, with their settings."""
        wanted: dict[QuantizedKind, Nf4 | Int8 | None] = {"nf4": self.nf4, "int8": self.int8}
        return {kind: config for kind, config in wanted.items() if config is not None}


class DataRefs(Config):
    """Which dataset of params.yaml plays which part."""

    demonstrations: Name
    comparisons: Name | None = None
    evaluation: Name


class Evaluate(Config):
    """How held-out answers are generated: greedily, through the chat template."""

    suite: Name = "heldout"
    max_new_tokens: int = Field(default=96, ge=1)
    batch_size: int = Field(default=50, ge=1)


class Gates(Config):
    """What a candidate must show. Source of the interval: paired bootstrap, Efron & Tibshirani 1993."""

    floors: dict[str, float] = {}
    quantization_loss: dict[Literal["nf4", "int8"], Share] = {}
    family_margin: Share = 0.05
    confidence: float = Field(default=0.95, gt=0.5, lt=1)


class Recipe(Config):
    """One model line: what it is trained on, how, and what it must show before it may replace the champion."""

    name: Name
    base_model: str = Field(min_length=1)
    revision: str | None = None
    seed: int = Field(default=1, ge=0)
    data: DataRefs
    stages: list[StageEntry] = Field(min_length=1)
    quantize: Quantize = Quantize()
    evaluate: Evaluate = Evaluate()
    gates: Gates = Gates()

    @model_validator(mode="after")
    def stages_fit_together(self) -> Self:
        names = [entry.name for entry in self.stages]
        if names not in (["sft"], ["sft", "dpo"]):
            raise ValueError(f"stages are {names}; known orders are [sft] and [sft, dpo]")
        if "dpo" in names and not self.data.comparisons:
            raise ValueError("stage dpo needs data.comparisons, the name of a dataset in params.yaml")
        return self

    @model_validator(mode="after")
    def limits_name_artifacts(self) -> Self:
        made, limited = self.quantize.kinds().keys(), self.gates.quantization_loss.keys()
        wrong = [f"gates.quantization_loss names {kind}, which quantize does not make" for kind in limited - made]
        wrong += [f"quantize makes {kind}: set gates.quantization_loss.{kind}, say 0.03" for kind in made - limited]
        if wrong:
            raise ValueError("; ".join(sorted(wrong)))
        return self


class Sample(Config):
    """Size and seed of the sample world (docs/explanation/sample-world.md)."""

    seed: int = Field(ge=0)
    demonstrations: int = Field(ge=16)
    comparisons: int = Field(ge=16)
    prompts: int = Field(ge=16)
    evaluation: int = Field(ge=16)
    defect_rate: Share


class Dataset(Config):
    """Where a dataset version comes from and how it is cleaned."""

    kind: DatasetKind
    source: str = Field(min_length=1)
    languages: list[Literal["en", "ko"]] = Field(default=["en", "ko"], min_length=1)
    max_unreadable: Share = 0.01
    validation_share: Share = 0.05


class Params(Config):
    """params.yaml: the data policy."""

    sample: Sample
    datasets: dict[Name, Dataset] = Field(min_length=1)


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ConfigError: the file is absent, is not YAML, or has problems; all are listed with their path in the file.
    """
    return load_config(path, Recipe, recheck=f"pawl recipe check {path}")


def load_params(path: Path) -> Params:
    """Read and check params.yaml; errors as in `load_recipe`."""
    return load_config(path, Params, recheck="pawl recipe check recipes/assistant.yaml")


def check_references(recipe: Recipe, params: Params, suites: list[str], where: Path) -> None:
    """Every dataset that the recipe names is in params.yaml, with the kind its part needs, and its suite is there.

    Raises:
        ConfigError: listing every reference that does not resolve.
    """
    from tasks.yaml_config import Problem, config_error

    problems: list[Problem] = []
    for part, kind in (
        ("demonstrations", "demonstrations"),
        ("comparisons", "comparisons"),
        ("evaluation", "evaluation"),
    ):
        name: Any = getattr(recipe.data, part)
        if name is None:
            continue
        if name not in params.datasets:
            problems.append(
                (f"data.{part}", f'no dataset "{name}" in params.yaml (have: {", ".join(params.datasets)})')
            )
        elif params.datasets[name].kind != kind:
            problems.append((f"data.{part}", f'dataset "{name}" holds {params.datasets[name].kind}; {kind} are needed'))
    if recipe.evaluate.suite not in suites:
        have = ", ".join(suites) or "none"
        problems.append(("evaluate.suite", f'no suite "{recipe.evaluate.suite}" in evals/ (have: {have})'))
    if problems:
        raise config_error(where, problems, recheck=f"pawl recipe check {where}")
