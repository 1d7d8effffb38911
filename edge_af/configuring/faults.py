"""What is wrong with settings, each fault with its place and the cure."""

import difflib
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_af.configuring.schema import Names, kinds, tables_in


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `names` say where, and may lead to a table, or be empty for all of it."""

    names: Names
    says: str


def faults_of(error: ValidationError, root: type[BaseModel]) -> list[Fault]:
    """Return all faults that pydantic found in the settings of `root`."""
    return [_fault(root, details) for details in error.errors(include_url=False)]


def _fault(root: type[BaseModel], details: ErrorDetails) -> Fault:
    table, names = _resolved(root, details["loc"])
    return Fault(names, _says(table, ".".join(names), names, details))


def _says(table: type[BaseModel], where: str, names: Names, details: ErrorDetails) -> str:
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(names[-1], table.model_fields, 1)
        known = f"did you mean {near[0]}?" if near else f"known: {', '.join(table.model_fields)}"
        return f"there is no setting {where}; {known}"
    if details["type"] == "union_tag_not_found":
        return f"{where}.kind is missing"
    if details["type"] == "union_tag_invalid":
        context = details["ctx"]
        return f"there is no {where}.kind '{context['tag']}'; known: {context['expected_tags']}"
    if details["type"] == "missing":
        return f"{where} is missing"
    message = details["msg"].removeprefix("Value error, ")
    if not where or isinstance(details["input"], dict):
        return f"{where}: {message}".removeprefix(": ")
    return f"{where} = {details['input']!r}: {message[0].lower()}{message[1:]}"


def _resolved(
    table: type[BaseModel], location: tuple[int | str, ...]
) -> tuple[type[BaseModel], Names]:
    """Return the table that a fault lies in, and its path without the kinds that lead there."""
    names: list[str] = []
    tables = [table]
    for part in map(str, location):
        of_kind = [one for one in tables if part in kinds(one)]
        if of_kind and of_kind != [table]:
            (table,) = of_kind
            continue
        names.append(part)
        field = table.model_fields.get(part)
        tables = tables_in(field.annotation) if field else []
        if len(tables) == 1:
            (table,) = tables
    return table, tuple(names)
