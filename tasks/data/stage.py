"""How a stage process ends: one line, an exit code, and word for the process that started it."""

import errno
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tasks.adapters.dvc import OUTCOME
from tasks.errors import DiskFull, PawlError, StageFailed


def run_stage(verb: str, work: Callable[[str], str]) -> NoReturn:
    """Do `work` for the dataset that the command line names, and exit with 0 or with the error's own code.

    The error goes to stderr; under `tasks.adapters.dvc`, which sets OUTCOME, into the file that it names instead.
    """
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m tasks.data.{verb} DATASET")
    name = sys.argv[1]
    try:
        say(f"{verb} {name}: {work(name)}")
    except KeyboardInterrupt:
        sys.exit(130)
    except PawlError as error:
        fail(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            fail(unexpected(verb, name, error))
        fail(DiskFull(f"{verb} {name}: no space left for {error.filename}. Free some, then run  pawl nightly  again."))
    except Exception as error:  # noqa: BLE001 - a process ends in words, not in a traceback
        fail(unexpected(verb, name, error))
    sys.exit(0)


def unexpected(verb: str, name: str, error: Exception) -> StageFailed:
    """An error that is nobody's to expect: its place is told, and how to see all of it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return StageFailed(
        f"{verb} {name}: {type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno}).\n"
        f"Run  PAWL_TRACEBACK=1 python -m tasks.data.{verb} {name}  to see where it comes from."
    )


def fail(error: PawlError) -> NoReturn:
    """Report and exit."""
    if os.environ.get("PAWL_TRACEBACK"):
        traceback.print_exc()
    outcome = os.environ.get(OUTCOME)
    if outcome:
        Path(outcome).write_text(json.dumps({"error": type(error).__name__, "message": str(error)}), encoding="utf-8")
    else:
        say(str(error))
    sys.exit(error.exit_code)


def say(line: str) -> None:
    """One line for whoever watches; nobody does under the adapter."""
    if not os.environ.get(OUTCOME):
        sys.stderr.write(f"{line}\n")
