"""A checkout of this repository for tests that run the whole command."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Project:
    """A checkout of this repository's files in a folder of its own, with its own Git history and scratch."""

    root: Path

    def pawl(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the pawl command in the project as a user would."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *args],
            cwd=self.root,
            env=self.environment(env),
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def start(self, *args: str, **env: str) -> subprocess.Popen[bytes]:
        """Start the pawl command without waiting for it; `said` tells what it printed.

        To a file, because the embedded Prefect server of a killed night would keep a pipe open.
        """
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cli.main", *args],
                cwd=self.root,
                env=self.environment(env),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> Path:
        return self.root.parent / f"{self.root.name}.log"

    def said(self) -> str:
        """What the last started command has printed so far."""
        return self.log.read_text("utf-8")

    def json(self, *args: str, **env: str) -> object:
        """What a command prints with --json; the command must end with 0."""
        done = self.pawl(*args, "--json", **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def edit(self, name: str, change: Callable[[dict], None]) -> None:
        """Change a YAML file of the project in place."""
        path = self.root / name
        config = yaml.safe_load(path.read_text("utf-8"))
        change(config)
        path.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def git(self, *args: str) -> str:
        command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *args]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=True).stdout

    @staticmethod
    def environment(extra: dict[str, str]) -> dict[str, str]:
        ours = ("PAWL_", "MLFLOW_", "PREFECT_", "DVC_")
        return {**{k: v for k, v in os.environ.items() if not k.startswith(ours)}, **extra}


@dataclass(frozen=True)
class Night:
    """The default night, run once for the whole test session."""

    project: Project
    report: dict
    progress: str


def checkout(target: Path) -> Project:
    """Copy every file that Git knows or would take, and commit it there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, copy = REPOSITORY / name, target / name
        if source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    project = Project(target)
    project.git("init", "-q", "-b", "main")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "checkout")
    return project


def make_small(project: Project) -> Project:
    """Cut the sample world and the recipe down to what runs in seconds; no gate stands in the way."""

    def params(config: dict) -> None:
        config["sample"].update(demonstrations=240, comparisons=48, prompts=16, evaluation=32)

    def recipe(config: dict) -> None:
        sft, dpo = config["stages"][0]["sft"], config["stages"][1]["dpo"]
        sft.update(steps=12, batch_size=8, warmup_steps=2, checkpoint_every=4)
        dpo.update(steps=4, batch_size=4, warmup_steps=1, checkpoint_every=2)
        config["evaluate"].update(max_new_tokens=8)
        config["gates"] = {"floors": {"exact_match": 0.0}, "quantization_loss": {"nf4": 1.0, "int8": 1.0}}

    project.edit("params.yaml", params)
    project.edit("recipes/assistant.yaml", recipe)
    return project
