"""How GRBL reads and prints numbers: in single precision, by its own routines."""

import math

import numpy as np

F = np.float32


def read_float(text: str) -> tuple[np.float32, int] | None:
    """Return a number from the start of `text` and its length, or None if there is none.

    As nuts_bolts.c of GRBL 1.1h: digits beyond the eighth are dropped, and the decimal point is
    applied by multiplications in single precision.
    """
    at = 1 if text[:1] in ("-", "+") else 0
    negative = text.startswith("-")
    whole = exponent = digits = 0
    decimal = False
    while at < len(text):
        if text[at].isdigit():
            digits += 1
            if digits <= 8:
                exponent -= decimal
                whole = whole * 10 + int(text[at])
            elif not decimal:
                exponent += 1
        elif text[at] == "." and not decimal:
            decimal = True
        else:
            break
        at += 1
    if not digits:
        return None
    value = F(whole)
    while exponent <= -2:
        value *= F(0.01)
        exponent += 2
    if exponent < 0:
        value *= F(0.1)
    for _ in range(exponent):
        value *= F(10)
    return (-value if negative else value), at


def print_float(value: np.float32, decimals: int) -> str:
    """Return what print.c of GRBL 1.1h prints, which adds a half and cuts."""
    sign = "-" if value < 0 else ""
    value = abs(value)
    for _ in range(decimals // 2):
        value *= F(100)
    if decimals % 2:
        value *= F(10)
    digits = str(int(value + F(0.5))).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}."


def to_steps(millimetres: np.float32, steps_per_mm: np.float32) -> int:
    """Return the nearest step, halves away from zero, as lroundf does."""
    product = float(F(millimetres) * F(steps_per_mm))
    return int(math.copysign(math.floor(abs(product) + 0.5), product))
