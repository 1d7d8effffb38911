"""A full z-stack."""

from edge_af.bench.classic.curve import vertex_um
from edge_af.bench.classic.rig import Rig
from edge_af.routines.ports import Attempt
from edge_af.routines.sweep import fault_of, measure, middle_um


def z_stack(rig: Rig) -> Attempt:
    """Take a frame every depth of field through the whole span, and go to the sharpest place.

    As Squid's and Micro-Manager's stacks do. Finer than their pitch: the middle of the peak, by the
    centroid of what stands above its flank, or a parabola where it is narrow.
    """
    start_um, pitch_um = rig.stage.position_um, rig.desk.settings.depth_of_field_um
    curve = measure(rig.desk, rig.span, pitch_um)
    fault = fault_of(curve, rig.stage.reachable, pitch_um)
    if fault is not None:
        return rig.desk.give_up(start_um, fault)
    middle = middle_um(curve)
    rig.stage.move_to_um(middle if middle not in curve else vertex_um(curve))
    return Attempt(True)
