"""Defocus in the names of classes, folders and files.

- `class -7`: a class by its number, counted from 0 in focus
- `-4.25um`, `zoff-4.25um`: micrometres
- `defocus-450`, `-450nm`: nanometres, as in the data set of Jiang et al. 2018
"""

import re

_NUMBER = r"(?P<number>[+-]?\d+(?:\.\d+)?)"
_CLASS = re.compile(r"(?:class[ _]?)?(?P<number>[+-]?\d+)", re.IGNORECASE)
_DEFOCUS = (  # and how many of the unit make 1 um
    (re.compile(rf"(?:zoff|defocus|z)?[ _=]?{_NUMBER} ?[uµμ]m", re.IGNORECASE), 1.0),
    (re.compile(rf"defocus[ _=]?{_NUMBER}(?: ?nm)?", re.IGNORECASE), 1e3),
    (re.compile(rf"{_NUMBER} ?nm", re.IGNORECASE), 1e3),
)


def class_number(name: str) -> int | None:
    """Return N of a name like `class N`, or of a bare integer; None for any other."""
    match = _CLASS.fullmatch(name.strip())
    return int(match["number"]) if match else None


def defocus_um(name: str) -> float | None:
    """Return the defocus in um that a whole name states; None for any other."""
    for pattern, units_per_um in _DEFOCUS:
        if match := pattern.fullmatch(name.strip()):
            return float(match["number"]) / units_per_um
    return None


def defocus_at_end_um(stem: str) -> float | None:
    """Return the defocus in um that a file's name, without its suffix, ends in; None if none."""
    for pattern, units_per_um in _DEFOCUS:
        if match := re.search(rf"(?:^|[^0-9a-z])(?:{pattern.pattern})$", stem, re.IGNORECASE):
            return float(match["number"]) / units_per_um
    return None
