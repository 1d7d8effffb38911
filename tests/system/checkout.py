"""A clean copy of this checkout, and commands run in it as a user would."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_LEFT_BEHIND = shutil.ignore_patterns(
    *(".git", ".venv*", ".machines", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info"),
    *("build", "runs"),
)
_PIP_DRY_RUN = [
    *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"),
    *("--quiet", "--disable-pip-version-check"),
]


def clean_copy(to: Path) -> Path:
    """Copy what a fresh clone would have."""
    return shutil.copytree(ROOT, to, ignore=_LEFT_BEHIND)


def run(
    command: str | Sequence[str], folder: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command line in `folder`, with nothing of the make and the venv that run the tests."""
    ours = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON", "PYTHONPATH", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        command,
        cwd=folder,
        env=kept | environment,
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def pip_dry_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Let pip resolve an installation without making it."""
    require_index()
    return run([*_PIP_DRY_RUN, *arguments], folder)


def require_index() -> None:
    """Skip the test where no package index answers."""
    if not _index_answers():
        pytest.skip("needs a package index to install from, and none answers")


@cache
def _index_answers() -> bool:
    probe = [*_PIP_DRY_RUN, "--retries=0", "--timeout=15", "--no-deps", "rich"]
    return run(probe, ROOT).returncode == 0
