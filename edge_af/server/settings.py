"""Where the service listens."""

import ipaddress
import os
import socket
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_NAME = "edge-af.sock"
SYSTEM_SOCKET = Path("/run/edge-af") / _NAME


def default_socket() -> Path:
    """Return where the service listens if the settings do not say.

    systemd's folder for it, else the user's own (https://specifications.freedesktop.org/basedir-
    spec, XDG_RUNTIME_DIR), else that of the system.
    """
    given = os.environ.get("RUNTIME_DIRECTORY")
    if given:
        return Path(given.split(":")[0]) / _NAME
    return _users_socket() or SYSTEM_SOCKET


def sockets_to_try() -> list[Path]:
    """Return where a service may listen that this user can talk to, the likeliest first."""
    users = _users_socket()
    return [users, SYSTEM_SOCKET] if users else [SYSTEM_SOCKET]


def someone_listens(path: Path) -> bool:
    """Tell whether a process takes connections at `path`: one that was killed leaves its socket."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(1.0)
        try:
            line.connect(str(path))
        except OSError:
            return False
    return True


def _users_socket() -> Path | None:
    folder = os.environ.get("XDG_RUNTIME_DIR")
    return Path(folder) / "edge-af" / _NAME if folder else None


class ServerSettings(BaseModel):
    """The table [server]: a Unix socket always, a port of the network only if it is given."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    socket: Path = Field(default_factory=default_socket, examples=["/run/edge-af/edge-af.sock"])
    """Whoever may write to it, owner and group, may use the service: no token is asked there."""
    address: str = Field("127.0.0.1", min_length=1)
    """Where `port` listens; 0.0.0.0 is the whole network."""
    port: int | None = Field(None, ge=1, le=65535, examples=[8417])
    """Without it nothing listens on the network."""
    hosts: tuple[str, ...] = ()
    """Names by which browsers reach this machine, beside its own and its addresses."""
    token_file: Path | None = Field(None, examples=["/etc/edge-af/token"])
    """Holds the token that is asked on the network; made in the state folder if not given."""
    preview_clients: int = Field(8, ge=1, le=100)
    """How many may look at the preview at a time."""
    event_clients: int = Field(64, ge=1, le=1000)
    """How many may follow the events at a time."""
    preview_fps: float = Field(8.0, gt=0, le=30)
    """Frames a second of the preview, at most."""
    preview_width_px: int = Field(800, ge=64, le=4096)
    """Width of the preview; frames that are wider are made smaller."""

    @model_validator(mode="after")
    def _address_is_one(self) -> Self:
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            raise ValueError(
                f"address = {self.address!r} is not an IP address: give 127.0.0.1 for this machine "
                "alone, 0.0.0.0 for the whole network"
            ) from None
        return self
