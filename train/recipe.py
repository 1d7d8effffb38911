"""The input and the labels of the models that we train."""

import numpy as np

from edge_af.scale import PAPER41_LABELS, DefocusScale

TILE_PX = 128
UM_PER_PX = 0.35

LABELS = PAPER41_LABELS
SCALE = DefocusScale.paper41()

SECTORS = 8
RING_EDGES = (
    # Single rings near the centre, where a large defocus has all its signal; wider ones beyond.
    *(float(edge) for edge in range(1, 13)),
    *(float(edge) for edge in range(13, 33, 2)),
    *(float(edge) for edge in np.linspace(33, 64, 11)),
)
