"""What quantisation cost, measured on held-out tiles through the device's own runtime."""

from statistics import median

import numpy as np
from numpy.typing import NDArray

from convert.lite import Lite
from convert.run_folder import HeldOut
from edge_af.scale import DefocusScale

BEYOND_UM = 1.0
"""A wrong sign counts as a false direction only this far out of focus: nearer it does no harm."""

AGREEMENT = 0.95
"""Below this share of equal answers the report looks for the layer that hurts."""

_TIMED_RUNS = 20


def proof(
    float_probabilities: NDArray[np.float64],
    int8_probabilities: NDArray[np.float64],
    scale: DefocusScale,
    truth: HeldOut,
) -> dict[str, float]:
    """Return float against int8: shares as fractions, errors of the expected value in um.

    Over the tiles that hold something and lie on the scale.
    """
    kept = counted(scale, truth)
    a, b, z_um = float_probabilities[kept], int8_probabilities[kept], truth.defocus_um[kept]
    of_a, of_b = figures(a, scale, z_um), figures(b, scale, z_um)
    shift_um = np.abs(scale.expected_um(a) - scale.expected_um(b))
    return {
        "images": int(kept.sum()),
        "agreement": float((a.argmax(axis=1) == b.argmax(axis=1)).mean()),
        **{
            f"{name}_{kind}{unit}": of[name + unit]
            for name, unit in (("top1", ""), ("mae", "_um"), ("false_direction", ""))
            for kind, of in (("float", of_a), ("int8", of_b))
        },
        "drift_um": of_b["mae_um"] - of_a["mae_um"],
        "max_shift_um": float(shift_um.max()),
        "max_probability_difference": float(np.abs(a - b).max()),
    }


def counted(scale: DefocusScale, truth: HeldOut) -> NDArray[np.bool_]:
    """Return which tiles count: those that hold something and lie on the scale."""
    outer = scale.range
    return truth.full & (np.abs(truth.defocus_um) <= max(-outer.low_um, outer.high_um))


def figures(
    probabilities: NDArray[np.float64], scale: DefocusScale, defocus_um: NDArray[np.float64]
) -> dict[str, float]:
    """Return how good answers (n, k) are for tiles of known defocus (n,), in um."""
    classes = np.array([scale.index_of(float(value)) for value in defocus_um])
    said_um = scale.expected_um(probabilities)
    far = np.abs(defocus_um) > BEYOND_UM
    wrong_side = far & (np.sign(said_um) != np.sign(defocus_um))
    return {
        "top1": float((probabilities.argmax(axis=1) == classes).mean()),
        "mae_um": float(np.abs(said_um - defocus_um).mean()),
        "false_direction": float(wrong_side.sum() / max(far.sum(), 1)),
    }


def latency(float_content: bytes, int8_content: bytes) -> dict[str, float]:
    """Return the median time of a run of each on one thread here, in ms, and their ratio."""
    float_ms, int8_ms = (
        1e3 * median(Lite(content, threads=1).seconds(_TIMED_RUNS))
        for content in (float_content, int8_content)
    )
    return {
        "latency_float_ms": float_ms,
        "latency_int8_ms": int8_ms,
        "latency_ratio": int8_ms / float_ms,
    }
