"""What a check found out."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is: `FAIL` will not work, `WARN` may not, or only some motors need it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination; `cure` is what the user can do, None where all is well."""

    name: str
    status: Status
    found: str
    cure: str | None = None

    def __post_init__(self) -> None:
        # Programs say what is wrong in several lines.
        object.__setattr__(self, "found", " ".join(self.found.split()))


def ok(name: str, found: str) -> Finding:
    """Return a finding that needs no cure."""
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, cure: str) -> Finding:
    """Return a finding of something that may not work, or that only some motors need."""
    return Finding(name, Status.WARN, found, cure)


def fail(name: str, found: str, cure: str) -> Finding:
    """Return a finding of something that will not work."""
    return Finding(name, Status.FAIL, found, cure)
