"""The base model: a folder here, or a model of the Hugging Face hub at one commit."""

from pathlib import Path

from tasks.contracts import BaseModelVersion, content_digest
from tasks.errors import BaseModelMissing


def base_model(name: str, revision: str | None, root: Path) -> tuple[BaseModelVersion, Path]:
    """Resolve `base_model:` of a recipe to its version and the folder that holds it.

    A folder is identified by its bytes, a hub model by the commit that `revision` (default: main) stands for.

    Raises:
        BaseModelMissing: no such folder, and no such model on the hub or in its local cache.
    """
    folder = root / name
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BaseModelMissing(
                f"base_model {name}: the folder has no config.json. Name a folder saved by save_pretrained."
            )
        return BaseModelVersion(name=name, digest=content_digest(folder)), folder
    if name.startswith((".", "/")) or name.count("/") != 1:
        raise BaseModelMissing(
            f"base_model {name}: no such folder under {root}. Correct base_model in the recipe; "
            "the tiny base is data/base/tiny (git checkout data/base restores it)."
        )
    return from_hub(name, revision)


def from_hub(name: str, revision: str | None) -> tuple[BaseModelVersion, Path]:
    """Fetch a hub model's safetensors, tokenizer and config (or find them in the local cache)."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from requests import RequestException

    wanted = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RequestException, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BaseModelMissing(
            f"base_model {name}: neither a folder here nor a model that the hub gives ({reason}). "
            "Correct base_model in the recipe, log in with `hf auth login` for a gated model, or name a local folder."
        ) from error
    return BaseModelVersion(name=name, digest=folder.name), folder
