"""Every command of the README runs, in a clean copy of the checkout that `make demo` set up."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from checkout import ROOT, clean_copy, require_index, run
from PIL import Image

from hw.virtual.imaging import transmission
from hw.virtual.optics import Optics, OtfBank
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor, SensorSettings

README = (ROOT / "README.md").read_text()

COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]

DRY = {
    "make test": "is what runs this test",
    "make model": "takes an hour",
}
"""Commands of which only `make -n` is run, and why."""

WORKSTATION = ("edge-af-train", "edge-af-convert")


@pytest.fixture(scope="module")
def first_demo(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A clean copy, and what the first `make demo` in it said: it sets up, then runs."""
    require_index()
    checkout = clean_copy(tmp_path_factory.mktemp("readme") / "edge-af")
    return checkout, run('make demo ARGS="--once --json --fields 2 --seed 7"', checkout)


@pytest.fixture(scope="module")
def checkout(first_demo: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """The copy that the first demo set up, with the stack that the README speaks of."""
    folder, demo = first_demo
    assert demo.returncode == 0, demo.stderr
    write_stack(folder / "my-stack")
    return folder


def write_stack(folder: Path) -> None:
    """Write a tissue seen by the reference microscope from -10 um to 10 um out of focus."""
    folder.mkdir()
    optics, shape_px = Optics(), (256, 384)
    specimen = draw_specimen(3, "tissue", shape_px, optics.um_per_px)
    bank, sensor = OtfBank(optics, shape_px), Sensor(SensorSettings(), shape_px, 3)
    for defocus_um in range(-10, 11):
        picture = transmission(specimen, bank, np.array([float(defocus_um)]))
        path = folder / f"tissue_defocus{1000 * defocus_um}.png"
        Image.fromarray(sensor.expose(picture)).save(path)


def require_success(command: str, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, f"{command}: {done.stderr}"
    assert "Traceback" not in done.stderr, command
    if "--json" in command:
        json.loads(done.stdout)


def test_first_make_demo_prints_json_and_nothing_else(
    first_demo: tuple[Path, subprocess.CompletedProcess[str]],
):
    _, demo = first_demo

    assert demo.returncode == 0, demo.stderr
    assert len(json.loads(demo.stdout)["fields"]) == 2
    assert "Setting up .venv" in demo.stderr


def test_commands_of_the_device_run(checkout: Path):
    commands = [
        command
        for command in COMMANDS
        if command not in DRY and not command.startswith(WORKSTATION)
    ]
    assert "make demo" in commands
    installed = f"{checkout / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"

    for command in commands:
        require_success(command, run(command, checkout, PATH=installed))


@pytest.mark.slow
def test_commands_of_the_workstation_run(tmp_path: Path):
    checkout = clean_copy(tmp_path / "edge-af")
    ours = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    for command in COMMANDS:
        if command.startswith(WORKSTATION):
            require_success(command, run(command, checkout, PATH=ours))


@pytest.mark.parametrize("command", DRY)
def test_targets_too_long_to_run_exist(command: str):
    assert command in COMMANDS
    done = run(command.replace("make", "make --dry-run", 1), ROOT)

    assert done.returncode == 0, done.stderr
    for script in re.findall(r"scripts/\w+\.sh", done.stdout):
        assert (ROOT / script).is_file()


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
