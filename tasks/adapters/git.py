"""The commit that a night runs on."""

import subprocess
from pathlib import Path


def commit(root: Path) -> str:
    """HEAD's hash, with "-dirty" when tracked files differ from it; "unknown" outside a repository with commits."""
    head = git(root, "rev-parse", "HEAD")
    if head is None:
        return "unknown"
    return f"{head}-dirty" if git(root, "status", "--porcelain", "--untracked-files=no") else head


def git(root: Path, *args: str) -> str | None:
    """Output of a git command, or None where it does not apply."""
    done = subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
