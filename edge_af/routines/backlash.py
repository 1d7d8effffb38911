"""What readings of defocus along up and down runs say of the axis: scale, backlash, drift.

A motor that drives an axis through a gap g carries it by the play operator of hysteresis: with the
motor at m, the axis stands in [m, m + g] and moves only when pushed to an end of that (Brokate &
Sprekels, Hysteresis and Phase Transitions, 1996, ch. 2). Readings against counted position are then
a loop whose flanks lie g apart.

All functions here are pure. Positions are um as the axis was told to count; defocus is true um.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_af.calibration import CalibrationError, Measured

Floats = NDArray[np.float64]

RELIABLE_UM = 8.0
"""Readings beyond this are left out: at the ends of the scale a model draws them inwards."""

_HUBER_UM = 0.25
"""Residuals count squared up to this, by their size beyond (Huber 1964): about what good readings
scatter by."""

_OUTLIER_UM = 1.5
_ROUNDS = 8
_GAPS = 48
_GOLDEN = (math.sqrt(5) - 1) / 2
_NARROWINGS = 14

_ALIKE = 3.0
"""Neighbouring readings err alike: that many count as one."""

_SLAB_EDGE_UM = 0.8
_SLAB_FADES_UM = 12.0
_SLAB_PROVEN = 1.6
"""By what factor the misfit must fall before a specimen is taken for a thick one."""

_FEWEST = 12
_SPAN_UM = 6.0
_SOUND_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Loop:
    """A fitted loop.

    `scale` is true um per counted um, negative where the axis runs against its count; `gap_um` is
    in counted um; `zero_um` is where the axis, counted by its position after a run upwards, stands
    where the model reads 0, at `time_s`; `drift_um_per_s` is that of the reading. `thick` says that
    the specimen shifts readings towards 0 on both sides, which makes the scale less certain.
    """

    scale: Measured
    gap_um: Measured
    zero_um: float
    time_s: float
    drift_um_per_s: float
    thick: bool
    scatter_um: float

    def defocus_um(self, axis_um: Floats, times_s: Floats) -> Floats:
        """Return the defocus at axis positions and times, both (n,), by the straight line."""
        drifted_um = self.drift_um_per_s * (times_s - self.time_s)
        return np.asarray(self.scale.value * (axis_um - self.zero_um) + drifted_um)


def play(counted_um: Floats, gap_um: float) -> Floats:
    """Return where the axis stands at each of a run of motor positions (n,).

    Counted so that it is the motor's own position after a run upwards. The first position is taken
    as the end of a run downwards that had taken up the gap.
    """
    axis_um = np.empty_like(counted_um)
    at_um = counted_um[0] + gap_um if len(counted_um) else 0.0
    for index, motor_um in enumerate(counted_um.tolist()):
        at_um = min(max(at_um, motor_um), motor_um + gap_um)
        axis_um[index] = at_um
    return axis_um


def fit_loop(counted_um: Floats, times_s: Floats, defocus_um: Floats) -> Loop:
    """Fit scale, gap, zero and drift to readings (n,) in the order taken; NaN is no reading.

    The first must come after a run downwards that took up the gap. For a given gap the rest is
    linear and solved by robust least squares; the gap is searched. Readings of a thick specimen are
    shifted towards 0, for its nearest detail is what is seen: where the data ask for it, such a
    shift is fitted too. Raises CalibrationError if the readings are too few or make no loop.
    """
    kept = np.isfinite(defocus_um) & (np.abs(defocus_um) <= RELIABLE_UM)
    read_um = defocus_um[kept]
    if len(read_um) < _FEWEST or np.ptp(read_um) < _SPAN_UM:
        span_um = float(np.ptp(read_um)) if len(read_um) else 0.0
        raise CalibrationError(
            f"only {len(read_um)} readings over {span_um:.1f} um of defocus are of use, and "
            f"{_FEWEST} over {_SPAN_UM:g} um are needed; choose a field with more in it, or start "
            "nearer to the focus"
        )
    time_s = float(times_s[kept].mean())
    data = _Data(counted_um, kept, times_s[kept] - time_s, read_um)
    thin = _search(data, slab=None)
    best, thick = thin, False
    slab = _slab(thin.design @ thin.solution)
    shifted = _search(data, slab)
    if thin.loss > _SLAB_PROVEN * shifted.loss and shifted.solution[3] > 0:
        best, thick = shifted, True
    residuals_um = read_um - best.design @ best.solution
    if np.mean(np.abs(residuals_um) <= _OUTLIER_UM) < _SOUND_SHARE:
        raise CalibrationError(
            "what the model reads does not follow the moves of the stage; choose a field with "
            "more in it, and a specimen like those the model knows"
        )
    return _loop(data, best, time_s, thick)


@dataclass(frozen=True, slots=True)
class _Data:
    counted_um: Floats
    kept: NDArray[np.bool_]
    times_s: Floats
    read_um: Floats

    def axis_um(self, gap_um: float) -> Floats:
        return play(self.counted_um, gap_um)[self.kept]

    @property
    def widest_um(self) -> float:
        """The widest gap that these runs can tell from no motion at all."""
        return float(np.ptp(self.counted_um)) * 0.9


@dataclass(frozen=True, slots=True)
class _Fit:
    gap_um: float
    design: Floats
    solution: Floats
    weights: Floats
    loss: float


def _slab(defocus_um: Floats) -> Floats:
    """Return the form of a thick specimen's shift: a step at focus that fades far from it."""
    fading = np.exp(-np.abs(defocus_um) / _SLAB_FADES_UM)
    return np.asarray(-np.tanh(defocus_um / _SLAB_EDGE_UM) * fading)


def _search(data: _Data, slab: Floats | None) -> _Fit:
    """Return the fit at the gap of least loss: on a grid, then by golden section about its best."""
    grid_um = np.linspace(0.0, data.widest_um, _GAPS)
    pitch_um = float(grid_um[1])
    best_um = float(min(grid_um, key=lambda gap_um: _fit(data, float(gap_um), slab).loss))
    low_um, high_um = max(best_um - pitch_um, 0.0), best_um + pitch_um
    for _ in range(_NARROWINGS):
        width_um = _GOLDEN * (high_um - low_um)
        left, right = (_fit(data, gap, slab) for gap in (high_um - width_um, low_um + width_um))
        if left.loss <= right.loss:
            high_um = right.gap_um
        else:
            low_um = left.gap_um
    return _fit(data, (low_um + high_um) / 2, slab)


def _fit(data: _Data, gap_um: float, slab: Floats | None) -> _Fit:
    """Solve for scale, zero, drift and slab by iteratively reweighted least squares.

    Huber's weights, and once those have come near, none for an outlier.
    """
    columns = [data.axis_um(gap_um), np.ones_like(data.read_um), data.times_s]
    design = np.stack(columns if slab is None else [*columns, slab], axis=1)
    weights = np.ones_like(data.read_um)
    for round_ in range(_ROUNDS):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(design * root[:, None], data.read_um * root, rcond=None)[0]
        off = np.abs(data.read_um - design @ solution) / _HUBER_UM
        weights = 1 / np.maximum(off, 1.0)
        if round_ >= _ROUNDS // 2:
            weights[off > _OUTLIER_UM / _HUBER_UM] = 0.0
    off = np.minimum(off, _OUTLIER_UM / _HUBER_UM)
    loss = float(np.where(off <= 1, off**2 / 2, off - 0.5).sum())
    return _Fit(gap_um, design, solution, weights, loss)


def _loop(data: _Data, fit: _Fit, time_s: float, thick: bool) -> Loop:
    scale, constant_um, drift_um_per_s = (float(value) for value in fit.solution[:3])
    residuals_um = data.read_um - fit.design @ fit.solution
    scatter_um = float(np.sqrt(np.average(residuals_um**2, weights=fit.weights)))
    nudge_um = 1e-3
    by_gap = scale * (data.axis_um(fit.gap_um + nudge_um) - data.axis_um(fit.gap_um)) / nudge_um
    jacobian = np.column_stack([fit.design, by_gap])
    information = jacobian.T @ (jacobian * fit.weights[:, None])
    covariance = _ALIKE * max(scatter_um, 0.03) ** 2 * np.linalg.pinv(information)
    sigma = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return Loop(
        scale=Measured(value=scale, uncertainty=float(sigma[0])),
        gap_um=Measured(value=fit.gap_um, uncertainty=float(sigma[-1])),
        zero_um=-constant_um / scale if scale else math.nan,
        time_s=time_s,
        drift_um_per_s=drift_um_per_s,
        thick=thick,
        scatter_um=scatter_um,
    )
