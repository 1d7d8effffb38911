"""Single settings from the environment: EDGE_AF_FOCUS__TOLERANCE_UM=0.3 for focus.tolerance_um.

The value of a list is written as in TOML, and anything else as it is, without quotes. It comes
before that of the file. Variables that begin with EDGE_AF_ and name no setting are refused.
"""

import difflib
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from edge_af.configuring.schema import Names, all_settings

_PREFIX = "EDGE_AF_"


def variable(names: Names) -> str:
    """Return the environment variable of a setting."""
    return _PREFIX + "__".join(names).upper()


def from_environment(
    root: type[BaseModel], environment: Mapping[str, str]
) -> tuple[dict[Names, str], list[str]]:
    """Return the settings given there, as they are written, and a fault for each unknown one."""
    known = {variable(names): names for names in all_settings(root)}
    given: dict[Names, str] = {}
    faults: list[str] = []
    for name in sorted(environment):
        if name in known:
            given[known[name]] = environment[name]
        elif name.startswith(_PREFIX):
            near = difflib.get_close_matches(name, known, 1)
            cure = f"did you mean {near[0]}?" if near else "unset it"
            faults.append(f"the environment has {name}, which is no setting; {cure}")
    return given, faults


def put_in(given: Mapping[Names, str], content: dict[str, Any]) -> None:
    """Put the settings of the environment into the content of a file, in place."""
    for names, text in given.items():
        table: Any = content
        for name in names[:-1]:
            table = table.setdefault(name, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[names[-1]] = _value(text)


def _value(text: str) -> Any:
    if text.startswith("["):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text
