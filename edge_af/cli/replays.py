"""Recorded stacks that a command works on."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_af.errors import UserError
from hw.stack import Stack, read_stacks

if TYPE_CHECKING:
    from edge_af.card import ModelCard

_ANY_UM_PER_PX = 1.0
"""For a sweep by sharpness, which asks for no scale."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Stacks with a pixel size each, and a note to the user on where that came from, if any."""

    stacks: list[Stack]
    note: str | None


def read_replay(path: Path, um_per_px: float | None, card: "ModelCard | None") -> Replay:
    """Read recorded stacks; a pixel size that is neither stated nor given is the model's own.

    Raises ImageError for what is missing, unreadable or inconsistent.
    """
    stacks = read_stacks(path, um_per_px)
    unknown = [stack.field for stack in stacks if stack.um_per_px is None]
    assumed = _ANY_UM_PER_PX if card is None else card.um_per_px
    note = None
    if unknown and card is not None:
        note = (
            f"note: {path} does not state its um per px; taken for the model's own, "
            f"{assumed:g} um/px: give --um-per-px if you know better"
        )
    return Replay(
        [stack if stack.um_per_px else replace(stack, um_per_px=assumed) for stack in stacks], note
    )


def pick_stack(stacks: list[Stack], field: str | None, start_um: float) -> Stack:
    """Return the field asked for, or else the one with a slice nearest to the start.

    Raises UserError if there is no such field, or `start_um` lies outside of it.
    """
    candidates = stacks if field is None else [one for one in stacks if one.field == field]
    if not candidates:
        names = ", ".join(one.field for one in stacks)
        raise UserError(f"there is no field {field!r}; choose one of: {names}")

    def distance_um(stack: Stack) -> float:
        return abs(stack.slices[stack.nearest(start_um)].z_um - start_um)

    inside = [one for one in candidates if _low_um(one) <= start_um <= _high_um(one)]
    if not inside:
        low_um, high_um = min(map(_low_um, candidates)), max(map(_high_um, candidates))
        raise UserError(
            f"--start-um {start_um:g} um is outside what was recorded, {low_um:g} um to "
            f"{high_um:g} um: choose a start inside"
        )
    return min(inside, key=distance_um)


def _low_um(stack: Stack) -> float:
    return stack.slices[0].z_um


def _high_um(stack: Stack) -> float:
    return stack.slices[-1].z_um
