"""Who may ask over the network, as pure decisions.

A name that is not this machine's own is refused, or a page elsewhere could point its own name at
us (DNS rebinding); so is a request that a page of another origin sends (CSRF). There are no
cookies: a browser adds nothing to a request that a foreign page could make use of.
"""

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from edge_af.errors import UserError

_LEAST_TOKEN = 16
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is turned away: the status code of the answer, the error and the cure."""

    status: int
    error: str
    cure: str


class Access:
    """Knows the token, and the names of this machine."""

    def __init__(self, token: str, hosts: Iterable[str]) -> None:
        """Ask for `token`; `hosts` are names of this machine, without ports."""
        self._token = token.encode()
        self._hosts = frozenset(host.lower() for host in hosts)

    def refuses_place(self, headers: Mapping[str, str]) -> Refusal | None:
        """Judge by what name a request comes, and from what page. Names of `headers` are lower."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return Refusal(
                403,
                f"{host or 'an empty Host'} is not a name of this machine",
                "use its IP address, or add the name to hosts in [server]",
            )
        origin = headers.get("origin")
        if origin is not None and not _same_origin(origin, host):
            return Refusal(403, f"a page of {origin} asked", "open the page of this machine itself")
        return None

    def refuses_person(self, headers: Mapping[str, str]) -> Refusal | None:
        """Judge whether a request brings the token. It is compared in constant time."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token):
            return None
        return Refusal(
            401,
            "no token, or a wrong one",
            "send the header `Authorization: Bearer TOKEN`; the log of the service says which file "
            "holds it",
        )

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name = parts.hostname or ""
            _ = parts.port  # raises if it is no number
        except ValueError:
            return False
        if parts.netloc != host or parts.username is not None:
            return False
        if name.removesuffix(".") in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # an attacker's name is never a number


def own_names() -> frozenset[str]:
    """Return the names that this machine goes by without being told."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, f"{name}.local"})


def kept_token(path: Path) -> str:
    """Return the token in `path`; where there is none yet, make one that its owner alone can read.

    Raises UserError.
    """
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        return _made_token(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the token in {path}: {error}") from error
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise UserError(
            f"the token in {path} is not {_LEAST_TOKEN} or more plain characters on one line; "
            "remove the file, and a new one is made"
        )
    return token


def _made_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, _NEW, 0o600), "w") as file:
            file.write(f"{token}\n")
    except OSError as error:
        raise UserError(f"cannot make a token in {path}: {error.strerror}") from error
    return token


def _same_origin(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")
