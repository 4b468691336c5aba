"""The pawl command: results on stdout, progress on stderr.

Exit codes: 0 done or nothing to do, 1 error, 2 usage or config, 3 a gate said no, 130 interrupted.
"""

import logging
import os
import sys
from typing import NoReturn

import typer

from cli import doctor, model, nightly, recipe, release, run
from tasks.errors import PawlError
from tasks.settings import quiet_libraries, settings

INTERRUPTED = 130

app = typer.Typer(
    name="pawl",
    help="Retrain a language model every night; replace the champion only on evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("nightly")(nightly.nightly)
app.command("doctor")(doctor.doctor)
app.add_typer(run.app, name="run")
app.add_typer(model.app, name="model")
app.add_typer(release.app, name="release")
app.add_typer(recipe.app, name="recipe")


def main() -> None:
    """Run the command line and turn every ending into an exit code and at most one message."""
    try:
        quiet_libraries(settings())
        log_to_stderr_and_file()
        code = app(standalone_mode=False) or 0
    except typer.TyperException as error:
        print(f"{error.format_message()}\nSee  pawl --help .", file=sys.stderr)
        code = 2
    except PawlError as error:
        print(error, file=sys.stderr)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message, and the traceback in the log
        from flows.failure import explain

        print(explain(error), file=sys.stderr)
        code = 1
    if code == INTERRUPTED:
        print("Interrupted. The same command carries on from the last checkpoint.", file=sys.stderr)
        leave(code)
    sys.stdout.flush()
    sys.exit(code)


def leave(code: int) -> NoReturn:
    """End at once: after an interrupt, Prefect's background threads may wait for events that will never come."""
    if "prefect" in sys.modules:
        from tasks.adapters.prefect import stop_embedded_server

        stop_embedded_server()
    logging.shutdown()
    os._exit(code)


def log_to_stderr_and_file() -> None:
    """Pawl's own lines to stderr; everything, with tracebacks, to .pawl/logs/pawl.log."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(asctime)s | %(message)s", "%H:%M:%S"))
    lines.setLevel(logging.INFO)
    pawl = logging.getLogger("pawl")
    pawl.setLevel(logging.DEBUG)
    pawl.addHandler(lines)
    logging.captureWarnings(capture=True)
    folder = settings().work / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(folder / "pawl.log", encoding="utf-8", delay=True)
    except OSError as error:
        pawl.warning("no log file under %s: %s", folder, error)
        return
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    for logger in (pawl, logging.getLogger()):
        logger.addHandler(file)
    pawl.propagate = False


if __name__ == "__main__":
    main()
