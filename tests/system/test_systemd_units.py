"""What systemd says of the unit and its drop-ins, and what comes with them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import ROOT, run

from edge_af.config import read_config
from hw.grbl_settings import GrblSettings

SYSTEMD = ROOT / "systemd"
DROP_INS = sorted(path.name for path in SYSTEMD.glob("*.conf.example"))


def tool(name: str, package: str = "systemd") -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}: apt-get install {package}")
    return found


def placed(folder: Path, *drop_ins: str) -> Path:
    """Lay the unit out as installed, with a program that is there to be started."""
    unit = folder / "edge-af.service"
    text = (SYSTEMD / "edge-af.service").read_text()
    assert "ExecStart=/opt/edge-af/venv/bin/edge-af run\n" in text
    unit.write_text(text.replace("/opt/edge-af/venv/bin/edge-af", tool("true", "coreutils")))
    beside = folder / "edge-af.service.d"
    beside.mkdir()
    for name in drop_ins:
        shutil.copy(SYSTEMD / name, beside / name.removesuffix(".example"))
    return unit


def verify(unit: Path) -> str:
    """Return all that `systemd-analyze verify` prints; it ends with 0 even on unknown keys."""
    done = run([tool("systemd-analyze"), "verify", str(unit)], ROOT)
    return done.stdout + done.stderr


def exposure(unit: Path, threshold: float) -> subprocess.CompletedProcess[str]:
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager"]
    return run([*command, f"--threshold={threshold * 10:.0f}", str(unit)], ROOT)


@pytest.mark.parametrize("drop_in", [None, *DROP_INS])
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path, drop_in: str | None):
    assert verify(placed(tmp_path, *[drop_in] if drop_in else [])) == ""


def test_a_misspelt_key_would_be_noticed(tmp_path: Path):
    unit = placed(tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))

    assert "WatchDogSec" in verify(unit)


@pytest.mark.parametrize("drop_in", [None, *DROP_INS])
def test_exposure_is_two_or_better(tmp_path: Path, drop_in: str | None):
    unit = placed(tmp_path, *[drop_in] if drop_in else [])

    done = exposure(unit, 2.0)

    assert done.returncode == 0, done.stdout + done.stderr
    assert exposure(unit, 0.5).returncode != 0  # the threshold is one


def test_udev_understands_the_rules():
    udevadm = tool("udevadm", "udev")
    if "verify" not in run([udevadm, "--help"], ROOT).stdout:
        pytest.skip("needs `udevadm verify`, which systemd has from 254 on")

    done = run([udevadm, "verify", str(SYSTEMD / "70-edge-af.rules")], ROOT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_user_and_its_groups_are_made_where_there_are_none(tmp_path: Path):
    folder = tmp_path / "etc/sysusers.d"
    folder.mkdir(parents=True)
    shutil.copy(SYSTEMD / "sysusers.conf", folder / "edge-af.conf")

    done = run([tool("systemd-sysusers"), f"--root={tmp_path}"], ROOT)

    if "Operation not permitted" in done.stderr:
        pytest.skip("needs root: systemd-sysusers may not write its files")
    assert done.returncode == 0, done.stderr
    passwd = (tmp_path / "etc/passwd").read_text().splitlines()
    (user,) = (line.split(":") for line in passwd if line.startswith("edge-af:"))
    assert user[5] == "/var/lib/edge-af"
    assert user[6].endswith("/nologin")
    unit = (SYSTEMD / "edge-af.service").read_text()
    (wanted,) = (line for line in unit.splitlines() if line.startswith("SupplementaryGroups="))
    made = {line.split(":")[0] for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert set(wanted.partition("=")[2].split()) <= made


def test_first_settings_are_a_virtual_microscope():
    config = read_config(SYSTEMD / "config.toml")

    assert config.virtual is not None


def test_first_settings_uncommented_are_a_real_microscope(tmp_path: Path):
    _, virtual, examples = (SYSTEMD / "config.toml").read_text().partition("[virtual]\n")
    assert virtual
    path = tmp_path / "config.toml"
    path.write_text(re.sub("^# ", "", examples, flags=re.MULTILINE))

    config = read_config(path)

    assert isinstance(config.stage, GrblSettings)
    assert config.camera is not None
    assert config.guard.soft_high_um == 500


@pytest.mark.parametrize("option", [[], ["--uninstall"]])
def test_without_root_nothing_is_touched(option: list[str]):
    away = ["setpriv", "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []

    done = run([*away, str(ROOT / "scripts/install.sh"), *option], ROOT)

    assert done.returncode == 1
    assert done.stderr == ("edge-af: this needs root: sudo make install, or sudo make uninstall\n")
