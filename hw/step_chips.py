"""What the chips of STEP/DIR drivers ask of their signals."""

from dataclasses import dataclass
from typing import Final, Literal

ChipName = Literal["A4988", "DRV8825", "TMC2209"]


@dataclass(frozen=True, slots=True)
class ChipTiming:
    """Minimum times, in s, and the microsteps that its mode pins can set."""

    high_s: float
    """STEP high, and then low, for one step; together they exceed the hold time of DIR."""
    low_s: float
    direction_setup_s: float
    """DIR unchanged before STEP rises."""
    wake_s: float
    """From ENABLE, or from the sleep that some boards tie to it, to the first step."""
    microsteps: tuple[int, ...]


CHIPS: Final[dict[ChipName, ChipTiming]] = {
    # Allegro, A4988 data sheet, Rev. 5, figure 1: tA, tB, tC; 1 ms after sleep; hold tD 200 ns.
    "A4988": ChipTiming(1e-6, 1e-6, 200e-9, 1e-3, (1, 2, 4, 8, 16)),
    # Texas Instruments, DRV8825, SLVSA73F, timing requirements: tWH, tWL, tSU, tWAKE; hold
    # tH 650 ns.
    "DRV8825": ChipTiming(1.9e-6, 1.9e-6, 650e-9, 1.7e-3, (1, 2, 4, 8, 16, 32)),
    # Trinamic, TMC2209 data sheet, Rev. 1.09, STEP/DIR timing: tSH, tSL, tDSU; hold tDSH
    # 20 ns. Nothing is said of ENN to STEP; 1 ms lets the current come up. Microsteps by MS1 and
    # MS2, without UART.
    "TMC2209": ChipTiming(100e-9, 100e-9, 20e-9, 1e-3, (8, 16, 32, 64)),
}
