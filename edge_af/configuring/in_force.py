"""The settings in force: each value, and where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from edge_af.calibration import Calibration
from edge_af.config import Given
from edge_af.configuring.environment import variable
from edge_af.configuring.schema import Names
from edge_af.configuring.template import toml_value
from edge_af.corrected import corrected


@dataclass(frozen=True, slots=True)
class InForce:
    """A setting, and its value in TOML's terms; None if it is not set."""

    names: Names
    value: Any
    origin: str


def in_force(given: Given, calibration: Calibration | None) -> list[InForce]:
    """Return all settings of the instrument that is described, as `corrected` uses them."""
    if calibration is None:
        corrector = "not calibrated"
    else:
        corrector = f"calibration of {calibration.made_at:%Y-%m-%d %H:%M} UTC"
    before = dict(_values(given.config))
    settings = []
    for names, value in _values(corrected(given.config, calibration)):
        origin = corrector if value != before[names] else _origin(names, given)
        settings.append(InForce(names, value, origin))
    return settings


def in_force_toml(settings: list[InForce]) -> str:
    """Return settings as a file that is valid, with the origin of each as a comment."""
    lines: list[str] = []
    table: Names = ()
    for one in sorted(settings, key=lambda one: len(one.names) > 1):  # those of no table first
        if one.names[:-1] != table:
            table = one.names[:-1]
            lines += ["", f"[{'.'.join(table)}]"]
        name = one.names[-1]
        if one.value is None:
            lines.append(f"# {name} is not set")
        else:
            lines.append(f"{f'{name} = {toml_value(one.value)}':39} # {one.origin}")
    return "\n".join(lines).strip() + "\n"


def _values(table: BaseModel, above: Names = ()) -> Iterator[tuple[Names, Any]]:
    """Yield the values of a table, and then those of the tables in it."""
    values = {(*above, name): getattr(table, name) for name in type(table).model_fields}
    for names, value in values.items():
        if not isinstance(value, BaseModel):
            yield names, _plain(value)
    for names, value in values.items():
        if isinstance(value, BaseModel):
            yield from _values(value, names)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _origin(names: Names, given: Given) -> str:
    if names in given.in_environment:
        return variable(names)
    table: Any = given.in_file
    for name in names:
        if not isinstance(table, dict) or name not in table:
            return "default"
        table = table[name]
    return "file"
