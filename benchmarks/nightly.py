"""Measure one whole night on a fresh clone, as a newcomer would run it, and print the figures as a Markdown table.

Usage:  .venv/bin/python benchmarks/nightly.py [--keep FOLDER]

Clones HEAD of this repository (commit first what should be measured) into an empty folder, runs `make nightly` there,
then `pawl nightly --json` again, and samples the memory of the whole process tree. Nothing is asserted.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent
EVERY = 0.25  # seconds between two looks at the memory
GB = 1e9
FIRST_STEP = re.compile(r"\| 1 of \d+ START ")
LAST_LINE = re.compile(r"\| Done\. DONE=")
NOT_INHERITED = ("PAWL_", "MLFLOW_", "PREFECT_", "DVC_", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")


@dataclass
class Command:
    """A command that ran: how long, how it ended, what it said, how much memory its processes held at most."""

    code: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    stdout: str = ""
    stamps: list[tuple[float, str]] = field(default_factory=list)  # seconds since the start, line of stderr

    def when(self, pattern: re.Pattern[str]) -> float | None:
        """When a line of stderr first matched."""
        return next((second for second, line in self.stamps if pattern.search(line)), None)


def run(arguments: list[str], folder: Path) -> Command:
    """Run a command in `folder` and watch its whole process tree."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
    started = time.monotonic()
    process = subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    done = Command()
    readers = [
        threading.Thread(target=read_stderr, args=(process, done, started)),
        threading.Thread(target=read_stdout, args=(process, done)),
    ]
    for reader in readers:
        reader.start()
    while process.poll() is None:
        done.peak_bytes = max(done.peak_bytes, tree_bytes(process.pid))
        time.sleep(EVERY)
    done.seconds = time.monotonic() - started
    for reader in readers:
        reader.join()
    done.code = process.returncode
    return done


def read_stderr(process: subprocess.Popen[str], done: Command, started: float) -> None:
    """Keep each line with its time, and show it."""
    assert process.stderr
    for line in process.stderr:
        done.stamps.append((time.monotonic() - started, line))
        sys.stderr.write(line)


def read_stdout(process: subprocess.Popen[str], done: Command) -> None:
    """Keep what the command prints."""
    assert process.stdout
    done.stdout = process.stdout.read()


def tree_bytes(pid: int) -> int:
    """Memory of a process and all below it: proportional set size, so that shared pages count once; else resident."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in family:
        try:
            total += process.memory_full_info().pss if psutil.LINUX else process.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return total


def measure(folder: Path) -> list[tuple[str, str, str]]:
    """Rows of the table: figure, goal, measured."""
    clone = folder / "pawl"
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(REPOSITORY), str(clone)], check=True)
    first = run(["make", "nightly"], clone)
    begun, ended = first.when(FIRST_STEP), first.when(LAST_LINE)
    again = run([str(clone / ".venv" / "bin" / "pawl"), "nightly", "--json"], clone)
    changes = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    chain = f"{ended - begun:.0f} s" if begun is not None and ended is not None else "no such lines"
    return [
        ("`make nightly` on a fresh clone, installation included", "8 min", f"{outcome(first)}{first.seconds:.0f} s"),
        ("of that, the chain", "5 min", chain),
        ("peak memory of the process tree", "6 GB", f"{first.peak_bytes / GB:.2f} GB"),
        ("second `pawl nightly`", "15 s, `up_to_date`", f"{outcome(again)}{again.seconds:.1f} s, `{status(again)}`"),
        ("`git status` afterwards", "clean", "clean" if not changes else f"{len(changes)} changes: {changes[:3]}"),
    ]


def outcome(command: Command) -> str:
    """Nothing for a command that ended well, so that a failure cannot pass for a fast night."""
    return "" if command.code == 0 else f"FAILED with exit code {command.code} after "


def status(command: Command) -> str:
    """The status that `pawl nightly --json` ended with."""
    try:
        return str(json.loads(command.stdout)["status"])
    except (ValueError, KeyError):
        return "no JSON"


def machine() -> str:
    """What this was measured on, in one line."""
    memory = psutil.virtual_memory().total / GB
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text("utf-8"), flags=re.MULTILINE)
        model = found[1] if found else model
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True, text=True
    ).stdout.strip()
    cores = len(psutil.Process().cpu_affinity()) if psutil.LINUX else psutil.cpu_count()
    return f"{model}, {cores} cores, {memory:.0f} GB, Python {platform.python_version()}, commit {head}"


def main() -> None:
    """Print the table; the clone is deleted unless --keep names a folder for it."""
    parser = argparse.ArgumentParser(description="Measure one whole night on a fresh clone.")
    parser.add_argument("--keep", type=Path, help="an empty folder for the clone, which then stays")
    keep: Path | None = parser.parse_args().keep
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        rows = measure(keep)
    else:
        with tempfile.TemporaryDirectory(prefix="pawl-benchmark-") as folder:
            rows = measure(Path(folder))
    print(f"{machine()}\n")
    print("| figure | goal | measured |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
