"""What networks look at. Without Keras, which processes that only prepare tiles need not load."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pixels:
    """The network looks at RGB tiles of any size: tile_px x tile_px x 3, 0 to 255."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The network looks at polar spectra: rings x sectors x channels, 0 to 255.

    Ring edges ascend, in cycles per tile; `edge_af.spectrum` says what the channels are.
    """

    ring_edges: tuple[float, ...]
    sectors: int
