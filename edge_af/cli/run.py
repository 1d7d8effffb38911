"""How a command line ends, whichever of ours it is.

Exit codes: 0 done, 1 no focus found or something failed, 2 a mistake of the user's, 130
interrupted. What went wrong is one line on standard error.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence

import typer

from edge_af.errors import EdgeAfError, UserError
from hw.errors import HardwareError

_INTERRUPTED = 130


def run(app: typer.Typer, program: str, arguments: Sequence[str] | None = None) -> int:
    """Run a command line, `sys.argv` if no arguments are given, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files can be any bytes
    command = typer.main.get_command(app)
    try:
        code = command.main(arguments, prog_name=program, standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(program, _usage(error, program), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except (EdgeAfError, HardwareError) as error:
        return _complain(program, str(error), 2 if _is_users_mistake(error) else 1)
    except OSError as error:
        return _failed_system_call(program, error)
    return code or 0


def _complain(program: str, message: str, code: int) -> int:
    print(f"{program}: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def _usage(error: typer.TyperException, program: str) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else program
    return f"{error.format_message().rstrip('.')} (see: {command} --help)"


def _is_users_mistake(error: Exception) -> bool:
    from hw.images import ImageError  # brings numpy, as whatever raised it did

    # A slice of a recorded stack that turns out to be damaged comes as an error of the camera.
    return isinstance(error, UserError | ImageError) or isinstance(error.__cause__, ImageError)


def _failed_system_call(program: str, error: OSError) -> int:
    if error.filename is not None:
        return _complain(program, f"{error.filename}: {error.strerror}", 2)
    # Standard output failed. What is left in its buffer must not fail again at the exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno == errno.EPIPE:
        return 1
    return _complain(program, f"cannot write the output: {error.strerror}", 1)
