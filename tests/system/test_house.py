"""What the device installs and imports, and what setting up says where it cannot."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from checkout import ROOT, clean_copy, pip_dry_run, run
from packaging.requirements import Requirement

WORKSTATION = ("tensorflow", "tf-keras", "keras", "torch", "scipy", "opencv", "matplotlib")

# Python and glibc of Raspberry Pi OS on Debian 12 and 13.
RASPBERRY_PI_OS = {"3.11": 36, "3.13": 41}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clean_copy(tmp_path_factory.mktemp("house") / "edge-af")


def resolved(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return name and file of everything that pip would install."""
    assert done.returncode == 0, done.stderr
    return {
        item["metadata"]["name"].lower(): item["download_info"]["url"]
        for item in json.loads(done.stdout)["install"]
    }


def test_device_install_pulls_no_workstation_library(checkout: Path):
    names = resolved(pip_dry_run(checkout, "--report=-", ".")).keys()

    assert {"edge-af", "ai-edge-litert", "numpy"} <= names
    assert [name for name in names if name.startswith(WORKSTATION)] == []


@pytest.mark.parametrize("python", RASPBERRY_PI_OS)
def test_raspberry_pi_needs_no_compiler(checkout: Path, python: str):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["pi"]]
    device = {"platform_machine": "aarch64", "python_version": python, "sys_platform": "linux"}
    # pip evaluates markers for the machine that it runs on, so they are evaluated here.
    requirements = [
        f"{requirement.name}{requirement.specifier}"
        for requirement in map(Requirement, wanted)
        if requirement.marker is None or requirement.marker.evaluate(device)
    ]
    platforms = [
        f"--platform=manylinux_2_{minor}_aarch64"
        for minor in range(17, RASPBERRY_PI_OS[python] + 1)
    ]

    done = pip_dry_run(
        checkout,
        "--report=-",
        "--only-binary=:all:",
        f"--python-version={python}",
        f"--target={checkout / 'none'}",
        *platforms,
        *requirements,
    )

    files = resolved(done)
    assert "aarch64" in files["ai-edge-litert"]
    assert ("lgpio" in files) == (python == "3.11")
    assert "0.0.0.2" not in files.get("lgpio", "")  # the stub that Python 3.13 would get


def test_nothing_on_the_device_imports_a_workstation_library():
    script = (
        "import importlib, pkgutil, sys, edge_af, hw\n"
        "for package in (edge_af, hw):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "print(*sys.modules)\n"
    )
    done = run([sys.executable, "-W", "error", "-c", script], ROOT)

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"edge_af.cli", "edge_af.routines.focus", "hw.virtual.microscope"} <= loaded
    assert {name for name in loaded if name.split(".")[0] in WORKSTATION} == set()


def test_set_up_names_the_package_that_the_system_lacks(checkout: Path, tmp_path: Path):
    # As on a Debian without python3-venv, which leaves ensurepip out.
    (tmp_path / "ensurepip.py").write_text("raise ImportError")

    done = run("make demo", checkout, PYTHONPATH=str(tmp_path))

    assert done.returncode != 0
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert len(said) == 1
    assert said[0].endswith("sudo apt-get install python3-venv")
    assert not (checkout / ".venv").exists()


def test_set_up_refuses_an_old_python(checkout: Path, tmp_path: Path):
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check answers there
    old.chmod(0o755)

    done = run("make demo", checkout, PYTHON=str(old))

    assert done.returncode != 0
    assert "python3.9 is not Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()
