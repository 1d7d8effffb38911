"""What an instrument has learnt about itself, and must know again after a restart."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_af.calibration import Calibration
from edge_af.errors import UserError
from edge_af.files import write_atomically

_NAME = "state.json"


class State(BaseModel):
    """The content of a state file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    calibration: Calibration | None = None


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the state folder {folder}: {error.strerror}") from error
    write_atomically(folder / _NAME, state.model_dump_json(indent=1).encode())
