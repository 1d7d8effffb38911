"""The machine as checks see it: files and commands below a root folder."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class System:
    """A machine whose file system begins at `root`; paths are given as from `/`."""

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        """Return where the file `name` of that machine lies on this one."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """Return what a file says, None if there is no such file.

        Trailing zeros, as the device tree has them, and white space are taken off. Raises OSError
        where the file is there and cannot be read.
        """
        try:
            return self.path(name).read_text(errors="replace").rstrip("\0").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Return the files that match, in order of their names."""
        return sorted(self.root.glob(pattern.lstrip("/")))

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str] | None:
        """Run a program of that machine and return what it said; None if it is not installed.

        Raises subprocess.TimeoutExpired after 10 s.
        """
        folders = (str(self.path(folder)) for folder in ("/usr/bin", "/bin", "/usr/sbin"))
        program = shutil.which(command, path=os.pathsep.join(folders))
        if program is None:
            return None
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=10, check=False
        )

    @property
    def board(self) -> str | None:
        """Name of the board as its device tree has it; None on a machine without one, as a PC."""
        return self.text("/proc/device-tree/model")

    @property
    def is_pi(self) -> bool:
        """Whether this is a Raspberry Pi."""
        return (self.board or "").startswith("Raspberry Pi")
