"""What there is to set, as the models of the settings themselves say."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Names = tuple[str, ...]
"""Where a setting is: the names of its tables, and its own."""


def tables_in(annotation: object) -> list[type[BaseModel]]:
    """Return the tables that a field of this type can hold; none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in tables_in(part)]


def kinds(table: type[BaseModel]) -> tuple[str, ...]:
    """Return what `kind` may be in this table; empty if it has none."""
    field = table.model_fields.get("kind")
    return get_args(field.annotation) if field else ()


def all_settings(table: type[BaseModel], above: Names = ()) -> Iterator[Names]:
    """Yield every setting below `table`, of all kinds; some come several times."""
    for name, field in table.model_fields.items():
        below = tables_in(field.annotation)
        for inner in below:
            yield from all_settings(inner, (*above, name))
        if not below:
            yield (*above, name)


def purpose(table: type[BaseModel]) -> str:
    """Return the first sentence of the table's docstring."""
    first = " ".join(inspect.getdoc(table).split("\n\n")[0].split())  # type: ignore[union-attr]
    return first.split(". ")[0].rstrip(".") + "."


def meanings(table: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of every field that has one, inherited ones too; from the source.

    pydantic's `use_attribute_docstrings` would read the source at every start.
    """
    found: dict[str, str] = {}
    for parent in reversed(table.__mro__):
        if not issubclass(parent, BaseModel) or parent is BaseModel:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(parent))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in zip(definition.body, definition.body[1:], strict=False):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(meaning))),
                ):
                    found[name] = inspect.cleandoc(meaning)
    return found


def choices(annotation: object) -> tuple[str, ...]:
    """Return the words that a field of this type can hold; none if it is not such a field."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in choices(part))


def limits(field: FieldInfo) -> str:
    """Return in words what values a field takes; empty if its type says it all."""
    allowed = choices(field.annotation)
    if len(allowed) > 1:
        return "one of " + ", ".join(f'"{one}"' for one in allowed)
    low = high = ""
    for limit in field.metadata:
        match limit:
            case Ge(ge=number):
                low = f"from {number:,.12g}"
            case Gt(gt=number):
                low = f"above {number:,.12g}"
            case Le(le=number):
                high = f"to {number:,.12g}"
            case Lt(lt=number):
                high = f"to below {number:,.12g}"
    return " ".join(filter(None, (low, high)))
