"""Moves and stops on the GPIO chip of this machine, in a process of its own for test_pins.py.

Arguments: the kind of stage, and the library. Prints when each stop was told and when its move
ended, in ns, and last what the stage counted.
"""

import sys
import threading
import time

from hw.clock import WallClock
from hw.four_phase import FourPhase, FourPhaseSettings
from hw.stage import StageStopped
from hw.step_dir import StepDirSettings, step_dir

STEP_UM = 0.25
COMMON = {
    "step_um": STEP_UM,
    "top_speed_steps_per_s": 1000,
    "acceleration_steps_per_s2": 20_000,
}


def main(kind: str, backend: str) -> None:
    if kind == "four-phase":
        coils = FourPhaseSettings(coil_pins=(5, 6, 13, 19), pins=backend, release="never", **COMMON)
        stage = FourPhase(coils, WallClock())
    else:
        chip = StepDirSettings(
            chip="DRV8825",
            step_pin=20,
            direction_pin=21,
            enable_pin=16,
            pins=backend,
            on_stop=kind,
            end_stop={
                "pin": 26,
                "position_um": -999,
                "speed_steps_per_s": 100,
                "approach_steps_per_s": 10,
                "back_off_um": 1,
            },
            **COMMON,
        )
        stage = step_dir(chip, WallClock())
    with stage:
        for target_um in (20.0, 18.0, 18.25, -5.0):
            stage.move_to_um(target_um)
        for turn in range(4):
            stopped_ns = []

            def stop() -> None:
                stage.stop()
                stopped_ns.append(time.monotonic_ns())  # noqa: B023

            timer = threading.Timer(0.03 + 0.03 * turn, stop)
            timer.start()
            try:
                stage.move_to_um(400.0 if turn % 2 else -400.0)
            except StageStopped:
                ended_ns = time.monotonic_ns()
                timer.join()
                print(*stopped_ns, ended_ns)
    print(round(stage.position_um / STEP_UM))


if __name__ == "__main__":
    main(*sys.argv[1:])
