"""How fast the virtual microscope renders 640 x 480 frames on one core: at least 30 a second.

Run by hand: python -m tests.bench.bench_virtual
"""

import os
import time
from statistics import median

from rich.console import Console
from rich.table import Table

from hw.virtual.clock import SimulatedClock
from hw.virtual.microscope import VirtualMicroscope

FRAMES = 100
STEP_UM = 0.5
REACH_UM = 10.0
SEEDS = (1, 2, 3)


def frame_times_s(microscope: VirtualMicroscope, step_um: float) -> tuple[list[float], list[float]]:
    """Time FRAMES fresh frames, wall clock and CPU; move by `step_um` before each, to and fro."""
    wall_s, cpu_s = [], []
    with microscope.camera as camera, microscope.stage as stage:
        camera.frame()
        start_um = stage.position_um
        for _ in range(FRAMES):
            if step_um:
                if abs(stage.position_um + step_um - start_um) > REACH_UM:
                    step_um = -step_um
                stage.move_to_um(stage.position_um + step_um)
            wall, cpu = time.perf_counter(), time.process_time()
            camera.frame(after_s=stage.settled_at_s)
            wall_s.append(time.perf_counter() - wall)
            cpu_s.append(time.process_time() - cpu)
    return wall_s, cpu_s


def main() -> None:
    """Print a table of median rates. CPU time tells the rate of a core that does nothing else."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    table = Table("specimen", "planes", "step, um", "frames/s", "frames/CPU s", "slowest, CPU ms")
    for kind in ("tissue", "smear"):
        for seed in SEEDS:
            for step_um in (0.0, STEP_UM):  # at rest there is still thermal drift
                microscope = VirtualMicroscope(SimulatedClock(), seed, kind=kind, defocus_um=2.0)
                planes = len(microscope.scene.specimen.planes_um)
                wall_s, cpu_s = frame_times_s(microscope, step_um)
                table.add_row(
                    f"{kind} {seed}",
                    str(planes),
                    f"{step_um:g}",
                    f"{1 / median(wall_s):.0f}",
                    f"{1 / median(cpu_s):.0f}",
                    f"{1e3 * max(cpu_s):.0f}",
                )
    Console().print(table)


if __name__ == "__main__":
    main()
