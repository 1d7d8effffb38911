"""What an instrument has learnt about itself, and must know again after a restart."""

import os
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from edge_af.calibration import Calibration
from edge_af.errors import UserError
from edge_af.files import write_atomically

_NAME = "state.json"
_PLACE_NAME = "position.json"


class State(BaseModel):
    """The content of a state file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    calibration: Calibration | None = None


class Place(BaseModel):
    """Where the axis was counted to stand, and how much that is worth after a restart.

    `closed` says that the service was shut down in order with the axis at rest there, `boot` in
    which run of the machine. While the service runs it is not closed: after a crash or a power cut
    the position is a hint and no more.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    position_um: float
    trusted: bool
    closed: bool
    boot: str
    at: AwareDatetime

    def still_holds(self, keeps_place: bool) -> bool:
        """Tell whether the position may be trusted again.

        Only if it was trusted, the service ended in order, the machine has not been off since (so
        neither was the motor's supply, as a rule), and the axis keeps its place without current.
        """
        return keeps_place and self.trusted and self.closed and self.boot == boot_id() != ""


def boot_id() -> str:
    """Return what tells this run of the machine from others; empty where the system has none.

    https://docs.kernel.org/admin-guide/sysctl/kernel.html#random
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def default_folder() -> Path:
    """Return where state is kept if the settings do not say: systemd's folder, or the user's own.

    https://specifications.freedesktop.org/basedir-spec (XDG_STATE_HOME).
    """
    given = os.environ.get("STATE_DIRECTORY")
    if given:
        return Path(given.split(":")[0])
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "edge-af"


def read_state(folder: Path) -> State:
    """Return what was kept in `folder`; an empty state if nothing was.

    Raises UserError if the file cannot be read, or is damaged.
    """
    path = folder / _NAME
    try:
        return State.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return State()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(
            f"{path} is damaged ({error.errors()[0]['msg']}): remove it and run "
            "`edge-af calibrate` again"
        ) from error


def write_state(folder: Path, state: State) -> None:
    """Keep `state` in `folder`, made if need be. Raises UserError; the old state then stays."""
    _write(folder, _NAME, state)


def read_place(folder: Path) -> Place | None:
    """Return where the axis stood; None if that is not known, or the file is damaged.

    A file of its own: it is written more often than what cannot be had again.
    """
    try:
        return Place.model_validate_json((folder / _PLACE_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def write_place(folder: Path, place: Place) -> None:
    """Keep `place` in `folder`, made if need be. Raises UserError; the old one then stays."""
    _write(folder, _PLACE_NAME, place)


def _write(folder: Path, name: str, content: BaseModel) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the state folder {folder}: {error.strerror}") from error
    write_atomically(folder / name, content.model_dump_json(indent=1).encode())
