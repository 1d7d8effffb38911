"""What quantisation cost, measured on held-out tiles through the device's own runtime."""

import numpy as np
from numpy.typing import NDArray

from convert.run_folder import HeldOut
from edge_af.scale import DefocusScale


def proof(
    float_probabilities: NDArray[np.float64],
    int8_probabilities: NDArray[np.float64],
    scale: DefocusScale,
    truth: HeldOut,
) -> dict[str, float]:
    """Return float against int8: shares as fractions, errors of the expected value in um.

    Over the tiles that hold something and lie on the scale.
    """
    outer = scale.range
    kept = truth.full & (np.abs(truth.defocus_um) <= max(-outer.low_um, outer.high_um))
    a, b, z_um = float_probabilities[kept], int8_probabilities[kept], truth.defocus_um[kept]
    classes = np.array([scale.index_of(float(value)) for value in z_um])
    a_um, b_um = scale.expected_um(a), scale.expected_um(b)
    return {
        "images": int(kept.sum()),
        "agreement": float((a.argmax(axis=1) == b.argmax(axis=1)).mean()),
        "top1_float": float((a.argmax(axis=1) == classes).mean()),
        "top1_int8": float((b.argmax(axis=1) == classes).mean()),
        "mae_float_um": float(np.abs(a_um - z_um).mean()),
        "mae_int8_um": float(np.abs(b_um - z_um).mean()),
        "max_shift_um": float(np.abs(a_um - b_um).max()),
    }
