"""The service that a command talks to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_af.errors import UserError

if TYPE_CHECKING:
    from edge_af.client import Microscope

Where = Annotated[
    str | None,
    typer.Option(
        "--service",
        metavar="WHERE",
        help="Socket or address (http://HOST:PORT) of the service, in place of this machine's own.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="Holds the token that an address asks for."),
]


def microscope(where: str | None, token_file: Path | None) -> "Microscope":
    """Return the microscope whose service listens there. Raises ServiceError, UserError."""
    from edge_af.client import connect

    return connect(where, _token(token_file))


def microscope_if_any(where: str | None, token_file: Path | None) -> "Microscope | None":
    """Return the microscope whose service listens; None if there is none and none was named."""
    if where is None:
        from edge_af.server.settings import sockets_to_try

        if not any(path.exists() for path in sockets_to_try()):
            return None  # as on most days: no need to load what talks to one
    from edge_af.client_line import NoServiceError

    try:
        return microscope(where, token_file)
    except NoServiceError:
        if where is None:
            return None
        raise


def _token(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the token in {path}: {error}") from error
