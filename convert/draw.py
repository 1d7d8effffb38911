"""Which tiles fix the integer ranges, and which judge."""

import numpy as np
from numpy.typing import NDArray


def drawn_evenly(classes: NDArray[np.intp], count: int, seed: int = 0) -> NDArray[np.intp]:
    """Return the indices of `count` tiles, as evenly over `classes` (n,) as there are tiles."""
    rng = np.random.default_rng(seed)
    queues = [
        list(rng.permutation(np.flatnonzero(classes == label))) for label in np.unique(classes)
    ]
    chosen: list[int] = []
    while len(chosen) < min(count, len(classes)):
        for queue in queues:
            if queue:
                chosen.append(int(queue.pop()))
    return np.array(chosen[:count])
