"""The errors a person can act on: each says what happened, where, and what to do next."""


class PawlError(Exception):
    """Something a person can act on. `exit_code` is what the `pawl` command ends with."""

    exit_code: int = 1


class ConfigError(PawlError):
    """A recipe, params.yaml or a setting is wrong; the message lists every problem of the file."""

    exit_code = 2


class GateRefused(PawlError):
    """A gate said no. The champion stays; the message names the gate and its evidence."""

    exit_code = 3


class DatasetMissing(PawlError):
    """A dataset's file is not where params.yaml says."""


class DatasetUnreadable(PawlError):
    """A dataset's file is not in any format that Pawl reads."""


class DatasetRefused(GateRefused):
    """Validation refused a dataset version."""


class StageFailed(PawlError):
    """A data stage ended with an error that is not about the data."""


class BaseModelMissing(PawlError):
    """The base model is neither a folder here nor a model that can be fetched."""


class TrainingFailed(PawlError):
    """Training cannot start, or ended without a usable result (no examples, a loss that is not a number)."""


class NotMergeable(PawlError):
    """Prompt-style adapters (prefix, prompt, P-tuning, LLaMA-Adapter) have nothing to fold into the base."""


class MergeDrift(PawlError):
    """The merged model does not compute what base plus adapter compute."""


class RegistryUnreachable(PawlError):
    """MLflow does not answer."""


class ModelMissing(PawlError):
    """No such registered model, version or alias."""


class ReleaseRefused(GateRefused):
    """A promotion lacks the evidence it needs."""


class DiskFull(PawlError):
    """No space left; nothing was registered and the next run carries on."""


class NightRunning(PawlError):
    """Another night of the same recipe is running on this machine."""


class RunMissing(PawlError):
    """No such night, or one without a record."""


class QuantizationFailed(PawlError):
    """A quantized model cannot be made, or what was written does not compute what it should."""


class EvaluationFailed(PawlError):
    """An evaluation set or suite cannot be run, or a model's answers cannot be generated."""


class PrefectUnreachable(PawlError):
    """The configured Prefect server does not answer."""


class NotPermitted(PawlError):
    """MLflow knows this account and does not let it write there."""
