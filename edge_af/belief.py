"""What is believed of where the focus lies on the stage axis.

A distribution over the focus position, on a fine grid. Each look multiplies in where it puts the
focus; not knowing how the gears lie, or time passing, spreads it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edge_af.place import Place
from edge_af.scale import DefocusScale
from hw.stage import Range

GRID_UM = 0.05

DOUBT = 0.02
"""Weight of an even spread mixed into every look: no single answer may rule a place out."""

_LEAST_SIGMA_UM = 2 * GRID_UM
"""A narrower peak would fall between the places of the grid."""

_BEYOND = 0.05
"""Share of the end class's density that goes to places beyond: it answers for them too."""

_PEAK = 0.1
"""A peak is where the probability reaches this share of its height."""


class Belief:
    """A probability for each place of the focus.

    `focus_um` are the places, float64 (n,), in um on the stage axis; `probability` (n,) sums to 1.
    """

    def __init__(self, over: Range) -> None:
        """Start out believing nothing: all places in `over` alike."""
        count = max(2, round((over.high_um - over.low_um) / GRID_UM) + 1)
        self.focus_um: NDArray[np.float64] = np.linspace(over.low_um, over.high_um, count)
        self.probability: NDArray[np.float64] = np.full(count, 1 / count)

    def look(
        self,
        position_um: float,
        scale: DefocusScale,
        place: Place,
        slack_um: float = 0.0,
    ) -> None:
        """Take in a defocus, within or at the ends of `scale`, seen at a stage position.

        `slack_um` is how far the axis may stand above the counted position, the gap of the gears
        not being taken up: any such distance is as likely as another.
        """
        defocus_um = position_um - self.focus_um
        if slack_um > GRID_UM:
            likelihood = _averaged_above(scale, place, defocus_um, slack_um)
        else:
            likelihood = _density_per_um(scale, place, defocus_um + slack_um / 2)
        self._set(self.probability * likelihood)

    def spread(self, sigma_um: float) -> None:
        """Blur by `sigma_um`: what drift and play may have changed since the last look."""
        reach = int(4 * sigma_um / GRID_UM)
        if reach:  # less would be lost on this grid
            offsets_um = GRID_UM * np.arange(-reach, reach + 1)
            kernel = np.exp(-0.5 * (offsets_um / sigma_um) ** 2)
            padded = np.pad(self.probability, reach, mode="edge")
            self._set(np.convolve(padded, kernel, mode="valid"))

    @property
    def best_um(self) -> float:
        """The centroid of the highest peak.

        Not the mean of the whole: between two peaks, one for each sign of the defocus, there is
        nothing to see, and the doubt in the tails draws the mean to the middle.
        """
        top = int(np.argmax(self.probability))
        low = np.flatnonzero(self.probability < _PEAK * self.probability[top])
        first = int(low[low < top].max(initial=-1)) + 1
        end = int(low[low > top].min(initial=len(self.probability)))
        weights = self.probability[first:end]
        return float(weights @ self.focus_um[first:end] / weights.sum())

    def within(self, centre_um: float, reach_um: float) -> float:
        """Return the probability that the focus lies within `reach_um` of `centre_um`."""
        near = np.abs(self.focus_um - centre_um) <= reach_um
        return float(self.probability[near].sum())

    def _set(self, weights: NDArray[np.float64]) -> None:
        self.probability = weights / weights.sum()


def _density_per_um(
    scale: DefocusScale, place: Place, defocus_um: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the probability density of defocus values after a look: normal, with DOUBT."""
    ends = scale.range
    sigma_um = max(place.sigma_um, _LEAST_SIGMA_UM)
    off = (defocus_um - place.defocus_um) / sigma_um
    density = np.exp(-0.5 * off**2) / (sigma_um * math.sqrt(2 * math.pi))
    low, *_, high = scale.ascending
    for beyond, end in ((defocus_um < ends.low_um, low), (defocus_um > ends.high_um, high)):
        if beyond.any():
            density[beyond] = _BEYOND * _mean_density(
                place.defocus_um, sigma_um, scale.bins_um[end]
            )
    even = 1 / (ends.high_um - ends.low_um)
    return np.asarray((1 - DOUBT) * density + DOUBT * even)


def _mean_density(middle_um: float, sigma_um: float, over_um: tuple[float, float]) -> float:
    """Return the mean over an interval of the density of a normal distribution."""
    low, high = ((end_um - middle_um) / (sigma_um * math.sqrt(2)) for end_um in over_um)
    return (math.erf(high) - math.erf(low)) / 2 / (over_um[1] - over_um[0])


def _averaged_above(
    scale: DefocusScale, place: Place, defocus_um: NDArray[np.float64], reach_um: float
) -> NDArray[np.float64]:
    """Return the mean density from each defocus to `reach_um` above it, by the integral's ends.

    The defocus values descend evenly, by less than `reach_um`.
    """
    apart_um = float(defocus_um[0] - defocus_um[1])
    whole, rest = divmod(reach_um / apart_um, 1)
    count, more = len(defocus_um), int(whole) + 1
    fine_um = defocus_um[0] + apart_um * (more - np.arange(count + more))
    density = _density_per_um(scale, place, fine_um)
    area = np.zeros(count + more)
    np.cumsum((density[1:] + density[:-1]) * (apart_um / 2), out=area[1:])
    # Of the integral from the highest; `reach_um` above a defocus lies between two of its places.
    above = rest * area[:count] + (1 - rest) * area[1 : count + 1]
    return np.asarray((area[more:] - above) / reach_um)
