"""Where defocus shows: the polar power spectrum of a tile, and how its colours agree.

Blur acts on the spectrum, and its side shows in how the colours differ, so the network is given
both directly. Each colour's log intensity is windowed (Hann) and Fourier transformed; spectral
power and cross-spectra between colours are averaged over cells of a polar grid (a smoothed
periodogram: Daniell 1946). Orientation within a half plane suffices, the picture being real.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PAIRS = ((0, 1), (1, 2), (0, 2))
"""Colours whose cross-spectra are kept: red-green, green-blue, red-blue."""

CHANNELS = 3 + 2 * len(PAIRS)
"""Log power of red, green and blue; then real and imaginary coherence of each pair.

The coherence of colours a and b is <A conj(B)> / sqrt(<|A|^2> <|B|^2>). Of a frequency and its
mirror image the one towards +x counts, so a positive imaginary part says that b lies further along
it than a: right and down in the first half of the sectors, right and up in the second.
"""

IMAGINARY = slice(4, CHANNELS, 2)
"""The channels that hold imaginary parts: turned by half a turn, they change sign."""

_DARK_LEVEL = 4.0
"""Added to the 8-bit value before the logarithm, so that black stays finite."""

MIDDLE = 128.0
PER_DEVIATION = 32.0
"""The network is given MIDDLE + PER_DEVIATION * (value - mean) / std, in 8 bits: +-4 deviations."""


class PolarSpectrum:
    """The input transform of a spectral network, prepared once for a tile size and a grid.

    Not for two threads at once.
    """

    def __init__(
        self,
        tile_px: int,
        ring_edges: Sequence[float],
        sectors: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """`ring_edges` in cycles per tile, ascending.

        `mean` and `std` of each ring and channel over training tiles, rings * CHANNELS numbers,
        channels side by side.
        """
        rings = len(ring_edges) - 1
        self.shape = (rings, sectors, CHANNELS)
        self._log = np.log(np.arange(256, dtype=np.float32) + _DARK_LEVEL)
        edges = np.asarray(ring_edges)
        frequencies = min(math.ceil(edges[-1]), tile_px // 2 + 1)
        waves = _windowed_waves(tile_px, frequencies)
        self._across, self._down = waves[:, None].swapaxes(-1, -2), waves[None, :]
        # Element k of the one is as far from the tile's edge as that of the other.
        half = tile_px // 2
        self._near, self._far = slice(1, half + 1), slice(tile_px - 1, tile_px - 1 - half, -1)
        self._bins, self._starts, self._counts = _cells(tile_px, edges, sectors, frequencies)
        self._room = _Room(tile_px, half, frequencies, len(self._bins))
        gain = PER_DEVIATION / np.reshape(std, (rings, 1, CHANNELS))
        offset = MIDDLE - np.reshape(mean, (rings, 1, CHANNELS)) * gain
        self._gain, self._offset = gain.astype(np.float32), offset.astype(np.float32)

    def __call__(self, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return rings x sectors x CHANNELS, uint8, of one tile_px x tile_px x 3 uint8 tile."""
        features = self.raw(tile)
        features *= self._gain
        features += self._offset
        np.clip(features, 0, 255, out=features)
        np.rint(features, out=features)
        return features.astype(np.uint8)

    def raw(self, tile: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return rings x sectors x CHANNELS, float32: ln(power), and coherence from -1 to 1."""
        room = self._room
        real, imaginary, products, product = room.real, room.imaginary, room.products, room.product
        for colour in range(3):
            self._transform(tile[:, :, colour], real[colour], imaginary[colour])
            np.multiply(real[colour], real[colour], out=products[colour])
            products[colour] += np.multiply(imaginary[colour], imaginary[colour], out=product)
        for pair, (a, b) in enumerate(PAIRS):
            np.multiply(real[a], real[b], out=products[3 + 2 * pair])
            products[3 + 2 * pair] += np.multiply(imaginary[a], imaginary[b], out=product)
            np.multiply(imaginary[a], real[b], out=products[4 + 2 * pair])
            products[4 + 2 * pair] -= np.multiply(real[a], imaginary[b], out=product)
        features = np.add.reduceat(products, self._starts, axis=1)
        features /= self._counts
        power = features[:3] + np.float32(1e-12)
        np.log(power, out=features[:3])
        first, second = [a for a, _ in PAIRS], [b for _, b in PAIRS]
        scale = 1 / np.sqrt(power[first] * power[second])
        features[3::2] *= scale
        features[IMAGINARY] *= scale
        return np.ascontiguousarray(features.T).reshape(self.shape)

    def _transform(
        self, pixels: NDArray[np.uint8], real: NDArray[np.float32], imaginary: NDArray[np.float32]
    ) -> None:
        """Write the windowed transform of one colour's log intensity at the bins.

        By matrix products over the even and the odd part of the tile in each direction, a quarter
        of the work of a whole one: that is several times faster than numpy's FFT, which does
        single precision in double.
        """
        room, near, far = self._room, self._near, self._far
        log = self._log.take(pixels, out=room.log, mode="clip")
        log -= log.mean(dtype=np.float64).astype(np.float32)
        _sum_and_difference(log[near], log[far], room.down)
        # Even and odd across, even and odd down, row, column.
        _sum_and_difference(room.down[..., near], room.down[..., far], room.across)
        np.matmul(room.across, self._across, out=room.half_done)
        np.matmul(self._down, room.half_done, out=room.done)
        (cos_cos, cos_sin), (sin_cos, sin_sin) = room.done
        # exp(-i(x + y)) = cos x cos y - sin x sin y - i (sin x cos y + cos x sin y); with -y for y
        # the second half of each array.
        _sum_and_difference(cos_cos, sin_sin, room.signed[::-1])
        room.signed.reshape(-1).take(self._bins, out=real, mode="clip")
        _sum_and_difference(sin_cos, cos_sin, room.signed)
        room.signed.reshape(-1).take(self._bins, out=imaginary, mode="clip")
        np.negative(imaginary, out=imaginary)


class _Room:
    """Where a transform keeps what lies between its steps: asking for it anew takes longer."""

    def __init__(self, tile_px: int, half: int, frequencies: int, bins: int) -> None:
        def room(*shape: int) -> NDArray[np.float32]:
            return np.empty(shape, np.float32)

        self.log = room(tile_px, tile_px)
        self.down, self.across = room(2, half, tile_px), room(2, 2, half, half)
        self.half_done = room(2, 2, half, frequencies)
        self.done = room(2, 2, frequencies, frequencies)
        self.signed = room(2, frequencies, frequencies)
        self.real, self.imaginary = room(3, bins), room(3, bins)
        self.products, self.product = room(CHANNELS, bins), room(bins)


def _sum_and_difference(
    one: NDArray[np.float32], other: NDArray[np.float32], into: NDArray[np.float32]
) -> None:
    np.add(one, other, out=into[0])
    np.subtract(one, other, out=into[1])


def _windowed_waves(tile_px: int, frequencies: int) -> NDArray[np.float32]:
    """Return cosines and sines under a Hann window of unit energy, for one half of a tile.

    2 x frequencies x tile_px // 2. The window is zero at the tile's first pixel; where the tile is
    even its middle one is its own mirror image, and counts half.
    """
    half = tile_px // 2
    window = np.hanning(tile_px + 1)[:-1]
    window /= np.sqrt((window**2).sum())
    place = np.arange(1, half + 1)
    weight = window[place]
    if 2 * half == tile_px:
        weight[-1] /= 2
    phase = 2 * np.pi / tile_px * np.arange(frequencies)[:, None] * place
    return np.stack((weight * np.cos(phase), weight * np.sin(phase))).astype(np.float32)


def _cells(
    tile_px: int, ring_edges: NDArray[np.float64], sectors: int, frequencies: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Sort the half-plane bins by polar cell: bin indices, each cell's start, each cell's count.

    An index is that into an array 2 x `frequencies` x `frequencies`: fy from 0 up, then from 0
    down; fy; fx.
    A cell that holds no bin, as some next to the centre do, borrows the bin nearest to its middle.
    """
    fy = np.fft.fftfreq(tile_px, 1 / tile_px)[:, None]
    fx = np.fft.rfftfreq(tile_px, 1 / tile_px)[None, :]
    radius = np.hypot(fy, fx).ravel()
    angle = np.mod(np.arctan2(fy, fx), np.pi).ravel()
    # The columns at zero and at Nyquist hold each frequency twice. Kept is the half that lies on
    # the side of its sector: the other has the opposite sign in its imaginary part.
    redundant = ((fx == 0) | (2 * fx == tile_px)) & (fy > 0)
    usable = (radius >= ring_edges[0]) & (radius < ring_edges[-1]) & ~redundant.ravel()
    ring = np.digitize(radius, ring_edges) - 1
    sector = np.minimum((angle / np.pi * sectors).astype(int), sectors - 1)
    groups = []
    for cell_ring in range(len(ring_edges) - 1):
        for cell_sector in range(sectors):
            members = np.flatnonzero(usable & (ring == cell_ring) & (sector == cell_sector))
            if not members.size:
                middle_radius = (ring_edges[cell_ring] + ring_edges[cell_ring + 1]) / 2
                middle_angle = (cell_sector + 0.5) * np.pi / sectors
                apart = np.abs(
                    radius * np.exp(2j * angle) - middle_radius * np.exp(2j * middle_angle)
                )
                members = np.array([np.argmin(np.where(usable, apart, np.inf))])
            groups.append(members)
    counts = np.array([len(group) for group in groups])
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    row, column = np.divmod(np.concatenate(groups), fx.size)
    down = fy.ravel()[row]
    bins = ((down < 0) * frequencies + np.abs(down)) * frequencies + column
    return bins.astype(np.intp), starts, counts.astype(np.float32)
