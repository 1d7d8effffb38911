"""What a Pi's firmware says of its supply and its cooling."""

from dataclasses import dataclass

_NAMES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
UNDER_VOLTAGE = _NAMES[0]
_SINCE_BOOT_BIT = 16


@dataclass(frozen=True, slots=True)
class Throttling:
    """What holds the processor back now, and what has since boot, by name; `bits` is all of it."""

    bits: int
    now: tuple[str, ...]
    before: tuple[str, ...]


def throttling(told: str) -> Throttling:
    """Return what `vcgencmd get_throttled` told. Raises ValueError for anything else.

    Bits 0 to 3 are of now, 16 to 19 the same since boot
    (raspberrypi.com/documentation/computers/os.html#get_throttled).
    """
    bits = int(told.strip().removeprefix("throttled="), 16)

    def names(first_bit: int) -> tuple[str, ...]:
        return tuple(name for bit, name in enumerate(_NAMES, first_bit) if bits >> bit & 1)

    return Throttling(bits, names(0), names(_SINCE_BOOT_BIT))
