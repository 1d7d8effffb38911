"""Versions, for what we write into files."""

import platform
from importlib.metadata import PackageNotFoundError, version

_TOOLS = ("edge-af", "numpy", "ai-edge-litert", "tflite-runtime")


def version_of(package: str) -> str | None:
    """Return the version of an installed package; None where it is not installed, or run bare."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def tool_versions() -> dict[str, str]:
    """Return what a decision may depend on: ours, Python's, the runtime's and the machine."""
    found = {package: version_of(package) for package in _TOOLS}
    kept = {package: version for package, version in found.items() if version}
    return kept | {"python": platform.python_version(), "machine": platform.machine()}
