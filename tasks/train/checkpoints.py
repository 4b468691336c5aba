"""Checkpoints that a kill cannot spoil: written aside, listed file by file, then moved into place."""

import hashlib
import json
import logging
import shutil
from pathlib import Path

LOG = logging.getLogger("pawl.train")
UNFINISHED = "unfinished"  # the trainer's output folder, below the scratch folder
COMPLETE = "complete.json"  # written last: file name to sha256
PREFIX = "checkpoint-"
KEPT = 2


def finish_checkpoint(work: Path, step: int) -> Path:
    """Move the checkpoint that the trainer just wrote from `work/unfinished` to `work`; older ones go, save one."""
    written = work / UNFINISHED / f"{PREFIX}{step}"
    (written / COMPLETE).write_text(json.dumps(digests(written), indent=1), encoding="utf-8")
    place = work / written.name
    shutil.rmtree(place, ignore_errors=True)
    written.rename(place)
    for old in found(work)[KEPT:]:
        shutil.rmtree(old)
    return place


def newest_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint in `work`; what is incomplete or damaged is said and deleted."""
    shutil.rmtree(work / UNFINISHED, ignore_errors=True)
    for checkpoint in found(work):
        if is_complete(checkpoint):
            return checkpoint
        LOG.warning("%s is incomplete and is not used", checkpoint.name)
        shutil.rmtree(checkpoint)
    return None


def is_complete(checkpoint: Path) -> bool:
    """Every file that was written is there, with the bytes that were written."""
    marker = checkpoint / COMPLETE
    try:
        return json.loads(marker.read_text("utf-8")) == digests(checkpoint)
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def step_of(checkpoint: Path) -> int:
    """120 of `checkpoint-120`."""
    return int(checkpoint.name.removeprefix(PREFIX))


def found(work: Path) -> list[Path]:
    """Checkpoint folders in `work`, newest first."""
    numbered = (p for p in work.glob(f"{PREFIX}*") if p.name.removeprefix(PREFIX).isdigit())
    return sorted(numbered, key=step_of, reverse=True)


def digests(folder: Path) -> dict[str, str]:
    """sha256 of each file in `folder`, by relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != COMPLETE)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
