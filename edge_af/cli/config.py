"""`edge-af config`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from edge_af.cli.options import ConfigFile, Json
from edge_af.errors import UserError


def check(config: ConfigFile = None, as_json: Json = False) -> int:
    """Name every mistake in the settings: of the file, and of the environment.

    Exit code 0: the service would start with them. Exit code 1: it would not. Exit code 2: there is
    no such file, or it is no TOML.
    """
    from edge_af.cli.figures import print_json
    from edge_af.config import DEFAULT_PATH

    path = config or DEFAULT_PATH
    faults = list(_faults(path))
    if as_json:
        print_json({"file": str(path), "faults": faults})
    else:
        sys.stdout.writelines(f"{fault}\n" for fault in faults or [f"{path}: no mistakes"])
    return 1 if faults else 0


def _faults(path: Path) -> Iterator[str]:
    """Yield what is wrong: with the values, or else with what they say of other things."""
    from edge_af.config import ConfigError, read_config
    from edge_af.corrected import corrected
    from edge_af.hardware import parts
    from edge_af.model_file import read_model_file
    from edge_af.state_file import read_state

    try:
        config = read_config(path)
    except ConfigError as error:
        yield from error.faults
        return
    try:
        parts(corrected(config, read_state(config.state_folder).calibration))  # connects nothing
    except UserError as error:
        yield f"{path}: {error}"
    try:
        if config.model is not None:
            read_model_file(config.model)
    except UserError as error:
        yield f"{path}: model: {error}"


def show(config: ConfigFile = None, as_json: Json = False) -> int:
    """Print the settings in force, and where each of them comes from.

    That is the file, a variable of the environment, the latest calibration, or the default.
    """
    from edge_af.cli.figures import print_json
    from edge_af.config import DEFAULT_PATH, read_given
    from edge_af.configuring.in_force import in_force, in_force_toml
    from edge_af.state_file import read_state

    path = config or DEFAULT_PATH
    given = read_given(path)
    settings = in_force(given, read_state(given.config.state_folder).calibration)
    if as_json:
        shown = {
            ".".join(one.names): {"value": one.value, "origin": one.origin} for one in settings
        }
        print_json({"file": str(path), "settings": shown})
    else:
        sys.stdout.write(f"# The settings in force: {path}\n\n{in_force_toml(settings)}")
    return 0


def default() -> int:
    """Print a complete file of settings to begin with, each of them explained.

    Any one setting can also come from the environment, as EDGE_AF_FOCUS__TOLERANCE_UM=0.3.
    """
    from edge_af.config import Config
    from edge_af.configuring.template import default_toml

    sys.stdout.write(default_toml(Config))
    return 0
