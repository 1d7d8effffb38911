"""Fixtures that run one suite over every kind of hardware."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from stages import RIGS, Rig


@pytest.fixture(params=RIGS.values(), ids=RIGS.keys())
def make_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Rig]:
    """Make a fresh rig at each call."""
    return partial(request.param, tmp_path)


@pytest.fixture
def rig(make_rig: Callable[[], Rig]) -> Rig:
    return make_rig()
