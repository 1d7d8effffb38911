"""What made a model: programs, their versions, and the file that it came from."""

import hashlib
from pathlib import Path

from edge_af.versions import version_of

_TOOLS = {
    "edge-af": ("edge-af",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "keras": ("keras",),
    "tf-keras": ("tf-keras",),
    "ai-edge-litert": ("ai-edge-litert",),
}


def tool_versions() -> dict[str, str]:
    """Return the versions of what converts, as they are installed."""
    found = {
        tool: next(filter(None, map(version_of, packages)), None)
        for tool, packages in _TOOLS.items()
    }
    return {tool: version for tool, version in found.items() if version}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder by name."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()
