"""Fixtures that run one suite over every kind of hardware."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from rigs_gpio import GPIO_RIGS
from rigs_sangaboard import SANGABOARD_RIGS
from rigs_serial import SERIAL_RIGS
from stages import RIGS, Rig

ALL_RIGS = RIGS | GPIO_RIGS | SERIAL_RIGS | SANGABOARD_RIGS


@pytest.fixture(params=ALL_RIGS.values(), ids=ALL_RIGS.keys())
def make_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Rig]:
    """Make a fresh rig at each call."""
    return partial(request.param, tmp_path)


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()
