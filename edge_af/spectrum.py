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
    """The input transform of a spectral network, prepared once for a tile size and a grid."""

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
        self._across = min(math.ceil(edges[-1]), tile_px // 2 + 1)
        self._window = _window(tile_px)
        self._bins, self._starts, self._counts = _cells(tile_px, edges, sectors, self._across)
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
        bins = self._transformed(tile)
        parts = bins.view(np.float32)
        features = np.empty((CHANNELS, len(self._starts)), np.float32)
        np.add.reduceat(parts * parts, 2 * self._starts, axis=1, out=features[:3])
        products, conjugate = np.empty_like(bins), bins.conj()
        for pair, (a, b) in enumerate(PAIRS):
            np.multiply(bins[a], conjugate[b], out=products[pair])
        cross = np.add.reduceat(products, self._starts, axis=1)
        features[3::2], features[IMAGINARY] = cross.real, cross.imag
        features /= self._counts
        power = features[:3] + np.float32(1e-12)
        np.log(power, out=features[:3])
        first, second = [a for a, _ in PAIRS], [b for _, b in PAIRS]
        scale = 1 / np.sqrt(power[first] * power[second])
        features[3::2] *= scale
        features[IMAGINARY] *= scale
        return np.ascontiguousarray(features.T).reshape(self.shape)

    def _transformed(self, tile: NDArray[np.uint8]) -> NDArray[np.complex64]:
        """Return the windowed transform of each colour's log intensity at the bins, 3 x bins.

        With its usual norm NumPy multiplies by a whole number, and so works in double, three times
        slower; `_window` makes up for the other.
        """
        log = self._log.take(np.ascontiguousarray(tile.transpose(2, 0, 1)))
        log -= log.mean(axis=(1, 2), keepdims=True)
        log *= self._window
        across = np.fft.rfft(log, axis=2, norm="forward")[:, :, : self._across]
        whole = np.fft.fft(across, axis=1, norm="forward")
        return np.asarray(whole.reshape(3, -1).take(self._bins, axis=1), np.complex64)


def _window(tile_px: int) -> NDArray[np.float32]:
    """Return a Hann window of unit energy, times the number of pixels."""
    window = np.hanning(tile_px + 1)[:-1]
    window *= tile_px / np.sqrt((window**2).sum())
    return np.outer(window, window).astype(np.float32)


def _cells(
    tile_px: int, ring_edges: NDArray[np.float64], sectors: int, columns: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Sort the half-plane bins by polar cell: bin indices, each cell's start, each cell's count.

    An index is that into the first `columns` of a half-plane transform, tile_px x `columns`.
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
    return row * columns + column, starts, counts.astype(np.float32)
