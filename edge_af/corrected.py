"""Settings put right by what calibration has found."""

from edge_af.calibration import Calibration, Measured
from edge_af.config import Config

_SURE = 2.0
"""So many uncertainties are put on top of what must not be underestimated."""


def told(config: Config, step_um: float, reversed: bool) -> Config:
    """Return `config` with its axis told another step and direction."""
    return _with_axis(config, {"step_um": step_um, "reversed": reversed})


def corrected(config: Config, calibration: Calibration | None) -> Config:
    """Return `config` as measured; without a calibration, a command may travel less."""
    if calibration is None:
        guard = config.guard
        focus = config.focus.within_budget(guard.uncalibrated_budget_um, guard.backlash_um)
        return config.model_copy(update={"focus": focus})
    axis: dict[str, object] = {"settle_s": _upper(calibration.settle_s)}
    if calibration.step_um is not None:
        axis |= {"step_um": calibration.step_um.value, "reversed": calibration.reversed}
    guard = config.guard.model_copy(update={"backlash_um": _upper(calibration.backlash_um)})
    focus, offset = config.focus, calibration.focus_offset_um
    if offset is not None and abs(offset.value) > _SURE * offset.uncertainty:
        focus = focus.model_copy(update={"model_zero_um": offset.value})
    return _with_axis(config, axis).model_copy(update={"guard": guard, "focus": focus})


def for_calibrating(config: Config, calibration: Calibration | None) -> Config:
    """Return `config` with its axis as far as it is known, and no backlash taken up by the guard.

    A loop over both flanks of the backlash is what measures it.
    """
    known = config if calibration is None else corrected(config, calibration)
    guard = config.guard.model_copy(update={"backlash_um": 0.0})
    return known.model_copy(update={"guard": guard, "focus": config.focus})


def _upper(measured: Measured) -> float:
    return max(0.0, measured.value) + _SURE * measured.uncertainty


def _with_axis(config: Config, axis: dict[str, object]) -> Config:
    name = "stage" if config.virtual is None else "virtual"
    return config.model_copy(update={name: getattr(config, name).model_copy(update=axis)})
