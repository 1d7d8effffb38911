"""Which of the recorded stacks show the same place."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_af.errors import UserError
from hw.stack import Stack, read_stacks

_FRAME_AGAIN = re.compile(r" frame \d+$")
"""How `edge-af collect` calls the frames that it took again at every place, in the same file."""


@dataclass(frozen=True, slots=True)
class Field:
    """One place on a specimen, and its stacks: more than one if each slice was taken again."""

    name: str
    stacks: tuple[Stack, ...]


def read_fields(paths: Sequence[Path], um_per_px: float | None) -> list[Field]:
    """Find the fields in what `hw.stack.read_stacks` reads, and name them by file and field.

    Raises ImageError as it does, and UserError for a path that is given twice.
    """
    fields = []
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path} is given twice: each stack counts once")
        seen.add(path.resolve())
        places: dict[str, list[Stack]] = defaultdict(list)
        for stack in read_stacks(path, um_per_px):
            places[_FRAME_AGAIN.sub("", stack.field)].append(stack)
        for place, stacks in places.items():
            name = path.name if len(places) == 1 else f"{path.name}: {place}"
            fields.append(Field(name, tuple(stacks)))
    return fields
