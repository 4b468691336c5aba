"""DVC: which data stages are behind, running one of them, and the versions that dvc.lock records."""

import errno
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tasks import errors
from tasks.contracts import DatasetVersion, Digest
from tasks.errors import DatasetMissing, DiskFull, PawlError, StageFailed
from tasks.recipe import Params, load_params

OUTCOME = "PAWL_STAGE_OUTCOME"  # names the file in which a stage's process leaves the error it ended with
INTERRUPTED = (" 130", " -2")  # how DVC's message ends when the process was stopped by Ctrl-C
BUSY_SECONDS = 0.5
log = logging.getLogger(__name__)


def stage_names(root: Path) -> list[str]:
    """Every stage of dvc.yaml, such as `sample` and `validate@demos`, in the order of the file."""
    with opened(root) as repo:
        return [stage.name for stage in repo.index.stages]


def stale_stages(root: Path) -> dict[str, str]:
    """The stages that would run, each with the reason; frozen ones never do.

    Raises:
        StageFailed: the folder is no DVC project, or its dvc.yaml is broken.
    """
    with opened(root) as repo:
        names = [stage.name for stage in repo.index.stages if not stage.frozen]
        status: dict[str, list[Any]] = repo.status()
    known = locked_stages(root)
    stale = {name: status[name] for name in names if name in status}
    return {name: reason(changes) if name in known else "never run" for name, changes in stale.items()}


def reproduce(root: Path, stage: str) -> bool:
    """Run exactly this stage if something that it reads, or its output, has changed; True if it ran.

    What DVC's run cache holds already is taken from there instead of made again.

    Raises:
        PawlError: the one that the stage's process ended with, such as DatasetRefused.
        DatasetMissing: the dataset's file is not there.
        StageFailed: the process ended in another way.
        DiskFull: no space for the outputs.
    """
    check_source(root, stage)
    while True:
        with opened(root) as repo, tempfile.TemporaryDirectory() as folder:
            from dvc.exceptions import ReproductionError

            outcome = Path(folder) / "outcome.json"
            try:
                return bool(repo.reproduce(stage, single_item=True, run_env=stage_environment(outcome)))
            except ReproductionError as error:
                if not is_busy(error):
                    raise failure(stage, error, outcome) from error
        log.info("%s waits: another process works on the same files", stage)
        time.sleep(BUSY_SECONDS)


def locked_md5(root: Path, path: str) -> Digest:
    """DVC's md5 of an output, from dvc.lock; a folder's ends in ".dir".

    Raises:
        StageFailed: no stage has made it yet.
    """
    for entry in locked_stages(root).values():
        for out in entry.get("outs", []):
            if out["path"] == path:
                return str(out["md5"])
    raise StageFailed(f"dvc.lock knows no {path}: its stage has not run. Run  pawl nightly  or  dvc repro.")


def dataset_version(root: Path, name: str, params: Params) -> DatasetVersion:
    """The version of a dataset that dvc.lock records: the md5 of its source and of the folder data/clean/NAME.

    Raises:
        StageFailed: its stages have not run yet.
    """
    source = params.datasets[name].source
    read = locked_stages(root).get(f"validate@{name}", {}).get("deps", [])
    place = (root / source).resolve()
    source_md5 = next((str(dep["md5"]) for dep in read if (root / dep["path"]).resolve() == place), None)
    if source_md5 is None:
        raise StageFailed(f"dvc.lock knows no version of {source}: validate@{name} has not run. Run  pawl nightly.")
    return DatasetVersion(
        name=name,
        kind=params.datasets[name].kind,
        source_md5=source_md5,
        md5=locked_md5(root, f"data/clean/{name}"),
    )


def push(root: Path) -> int:
    """Send outputs that the default remote lacks; how many files went. A local remote is made by itself.

    Raises:
        StageFailed: the remote cannot be written.
    """
    from dvc.exceptions import DvcException

    with opened(root) as repo:
        try:
            return int(repo.push())
        except (DvcException, OSError) as error:
            raise StageFailed(f"dvc push: {error}. Correct the remote (dvc remote list), then  dvc push.") from error


def missing_dataset(name: str, source: str) -> DatasetMissing:
    """What to say about a source that is not there."""
    return DatasetMissing(
        f'Dataset "{name}": {source} does not exist. Put the file there, or correct  datasets.{name}.source  '
        "in params.yaml; then run  pawl nightly  again."
    )


@contextmanager
def opened(root: Path) -> Iterator[Any]:
    """The DVC project in `root`, which waits for its lock as `dvc --wait-for-lock` does.

    Raises:
        StageFailed: not a DVC project, or dvc.yaml or params.yaml cannot be resolved.
    """
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    from dvc.exceptions import DvcException, ReproductionError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    for library in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        repo = Repo(str(root), _wait_for_lock=True)
    except (DvcException, SCMError) as error:
        raise StageFailed(f"{root}: {error}. Run pawl in a checkout of its repository.") from error
    with repo, chdir(root):  # DVC takes names of stages from the folder it is called in
        try:
            yield repo
        except ReproductionError:
            raise
        except DvcException as error:
            raise StageFailed(f"{root}: {error}. Correct dvc.yaml or params.yaml;  dvc status  shows more.") from error


def locked_stages(root: Path) -> Mapping[str, Any]:
    """The stages of dvc.lock; none before the first run."""
    path = root / "dvc.lock"
    if not path.is_file():
        return {}
    return (yaml.safe_load(path.read_text("utf-8")) or {}).get("stages", {})


def reason(changes: list[Any]) -> str:
    """What DVC found changed, in one line: "changed: data/raw/sample/demos.jsonl, params.yaml; missing: 2 outputs"."""
    parts: list[str] = []
    for change in changes:
        if isinstance(change, str):
            parts.append("changed: its command" if change == "changed checksum" else change)
            continue
        for what, paths in change.items():
            gone = [path for path, how in paths.items() if how in ("deleted", "not in cache")]
            other = [path for path in paths if path not in gone]
            kind = "input" if what == "changed deps" else "output"
            parts += [f"changed: {listed(other, kind)}"] if other else []
            parts += [f"missing: {listed(gone, kind)}"] if gone else []
    return "; ".join(parts)


def listed(paths: list[str], kind: str) -> str:
    """Up to two paths by name, more by number."""
    return ", ".join(paths) if len(paths) <= 2 else f"{len(paths)} {kind}s"


def stage_environment(outcome: Path) -> dict[str, str]:
    """What a stage's process gets beside our own environment: this Python, and where to leave its error."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {"PATH": path, OUTCOME: str(outcome)}


def check_source(root: Path, stage: str) -> None:
    """A dataset's file that no stage makes must be there before DVC looks for it."""
    verb, _, name = stage.partition("@")
    if verb != "validate":
        return
    dataset = load_params(root / "params.yaml").datasets.get(name)
    if dataset and not (root / dataset.source).exists():
        raise missing_dataset(name, dataset.source)


def failure(stage: str, error: Exception, outcome: Path) -> PawlError | KeyboardInterrupt:
    """The error that a person can act on, from what the stage's process left, or from DVC's own words."""
    from dvc.stage.exceptions import StageCmdFailedError

    cause = error.__cause__ or error
    if outcome.is_file():
        left = json.loads(outcome.read_text("utf-8"))
        return getattr(errors, left["error"], StageFailed)(left["message"])
    if isinstance(cause, StageCmdFailedError):
        if str(cause).endswith(INTERRUPTED):
            return KeyboardInterrupt()
        return StageFailed(f"{stage}: {cause}. Run  dvc repro --single-item {stage}  to see why.")
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{stage}: no space left for its outputs. Free some, then run  pawl nightly  again.")
    return StageFailed(f"{stage}: {cause}. Run  dvc repro --single-item {stage}  to see more.")


def is_busy(error: Exception) -> bool:
    """Another process holds the lock of a file that the stage reads or writes."""
    from dvc.lock import LockError

    return isinstance(error.__cause__, LockError)
