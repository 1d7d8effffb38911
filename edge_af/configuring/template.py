"""A complete file of settings, written from their models: it cannot go stale."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from edge_af.configuring.schema import choices, limits, meanings, purpose, tables_in

_WIDTH = 96
_ALWAYS = ("camera", "stage")
"""Tables without a default that are written out: the instrument in place of a [virtual] one."""

_HEAD = """\
# Settings of edge-af. A line that begins with # and a space explains, one that begins with # alone
# is a setting with its default, or an example where there is none: take the # away to change it.
# Settings without # are needed. `edge-af config check` names every mistake in this file, and
# `edge-af config show` says what is in force and why.
#
# Lengths are in um of the specimen plane, _px in pixels, _s in seconds. Any one setting can also
# come from the environment: EDGE_AF_FOCUS__TOLERANCE_UM=0.3 is tolerance_um of [focus].
"""


def default_toml(config: type[BaseModel]) -> str:
    """Return a file that is valid as it is: the first kind of each table, the others as comments.

    Every line that begins with `#` and no space can be put in force by taking that `#` away, in any
    one of the tables that share a name.
    """
    lines = [_HEAD]
    lines += _settings(config, active=True)
    for name, field in config.model_fields.items():
        for number, table in enumerate(tables_in(field.annotation)):
            needed = name in _ALWAYS and number == 0
            active = needed or field.default is not None
            lines += _table((name,), table, active=active, instead=number > 0)
    return "\n".join(lines).rstrip() + "\n"


def toml_value(value: Any) -> str:
    """Return a value as TOML: text, a number, a truth, or a list of them."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, bool | int | float):
        return repr(value).lower()
    # TOML's basic strings are JSON's, but for DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(
    names: Sequence[str], table: type[BaseModel], *, active: bool, instead: bool = False
) -> Iterator[str]:
    title = ".".join(names)
    yield from _wrapped(f"In place of the [{title}] above: " if instead else "", purpose(table))
    yield f"{'' if active else '#'}[{title}]"
    yield from _settings(table, active=active)
    for name, field in table.model_fields.items():
        for inner in tables_in(field.annotation):
            within = active and field.default is not None
            yield from _table((*names, name), inner, active=within)


def _settings(table: type[BaseModel], *, active: bool) -> Iterator[str]:
    meaning = meanings(table)
    fields = {
        name: one for name, one in table.model_fields.items() if not tables_in(one.annotation)
    }
    for name in sorted(fields, key=lambda name: name != "kind"):
        field = fields[name]
        needed = field.is_required() or name == "kind"
        unset = field.default is None
        state = "needed" if needed else "unset by default" if unset else ""
        says = ", ".join(filter(None, (state, limits(field))))
        yield from _wrapped(meaning[name], f" {says[:1].upper()}{says[1:]}." if says else "")
        mark = "" if active and needed else "#"
        yield f"{mark}{name} = {toml_value(_shown(name, field))}"
        yield ""


def _wrapped(*text: str) -> Iterator[str]:
    lines = textwrap.wrap("".join(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return (f"# {line}" for line in lines)


def _shown(name: str, field: FieldInfo) -> Any:
    """Return the default of a field, or else an example that it takes."""
    if name == "kind":
        return choices(field.annotation)[0]
    if field.default not in (PydanticUndefined, None):
        return field.default
    if not field.examples:
        raise ValueError(f"{name} has neither a default nor examples")
    return field.examples[0]
