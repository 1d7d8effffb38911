"""The model, its card, and the runtime that executes it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge_af.doctor.finding import Finding, fail, ok, warn

_DELEGATE_CREATED = "XNNPACK delegate"
"""What LiteRT writes to standard error when it hands a graph to XNNPACK; it has no call for it."""
_INSTALL = "pip install --force-reinstall ai-edge-litert"
_TIMEOUT_S = 60


def model_and_runtime(path: Path | None) -> Iterator[Finding]:
    """Check the model at `path`, the one that ships if it is None, and what runs it."""
    from edge_af.errors import ModelError
    from edge_af.head import Head, head_beside
    from edge_af.shipped import read_model

    try:
        model = read_model(path)
    except ModelError as error:
        yield fail("model", str(error), "copy the file again, or leave --model out")
        return
    card = model.card
    yield ok("model", f"{card.name}: {len(card.labels)} classes, {card.um_per_px:g} um/px, sealed")
    head = head_beside(model.path)
    if head.exists():
        try:
            Head.read(head).card_with(model)
        except ModelError as error:
            cure = "run edge-af adapt again, or edge-af adapt --revert"
            yield fail("head", str(error), cure)
        else:
            yield ok("head", f"{head.name}: adapted to this instrument, fits the model")
    yield runtime_finding(_try(model.path))


def _try(path: Path) -> "subprocess.CompletedProcess[str]":
    package_folder = Path(__file__).parents[2]  # on the module path of `-m`, wherever this runs
    return subprocess.run(
        [sys.executable, "-m", "edge_af.doctor.trial", str(path.resolve())],
        cwd=package_folder,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def runtime_finding(trial: "subprocess.CompletedProcess[str]") -> Finding:
    """Judge by how `edge_af.doctor.trial` ended, and by what the runtime said meanwhile."""
    if trial.returncode < 0:
        ended = signal.Signals(-trial.returncode).name
        return fail("runtime", f"it crashes on this processor ({ended})", _INSTALL)
    if trial.returncode > 0:
        said = trial.stderr.strip().splitlines() or ["it says nothing"]
        return fail("runtime", f"the model does not run: {said[-1]}", _INSTALL)
    runtime = trial.stdout.strip()
    found = f"{runtime} {_version(runtime)}"
    if runtime != "ai-edge-litert":
        return warn("runtime", f"{found}: some 15 times slower on this model", _INSTALL)
    if _DELEGATE_CREATED not in trial.stderr:
        return warn("runtime", f"{found} without XNNPACK: slow", _INSTALL)
    return ok("runtime", f"{found} with XNNPACK")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"
