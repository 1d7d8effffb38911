"""The classes, and the tile and pixel size, of the models that we train."""

from edge_af.scale import PAPER41_LABELS, DefocusScale

TILE_PX = 256
UM_PER_PX = 0.35

LABELS = PAPER41_LABELS
SCALE = DefocusScale.paper41()
