"""What a Raspberry Pi installs is fetched for it here: wheels for 64-bit Arm, and nothing else."""

import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from checkout import ROOT, require_index, run
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

# Python and glibc of Raspberry Pi OS on Debian 12 and 13.
RASPBERRY_PI_OS = {"3.11": 36, "3.13": 41}

# What has no wheel there, and comes by apt from Raspberry Pi OS (plain Debian has neither).
BY_APT = {
    "3.11": {},
    "3.13": {
        "lgpio": "python3-lgpio",
        "rpi-lgpio": "python3-rpi-lgpio",
        "simplejpeg": "python3-simplejpeg",
    },
}


def device(python: str) -> dict[str, str]:
    """Return what markers say on the device: pip evaluates them for the machine it runs on."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": "aarch64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.2",
        "python_version": python,
        "sys_platform": "linux",
    }


def applies(requirement: Requirement, python: str, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate(device(python) | {"extra": extra}) for extra in extras | {""}
    )


def project() -> list[Requirement]:
    """What the device install and the Pi extra ask for, wherever it applies."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line)
        for line in [*table["dependencies"], *table["optional-dependencies"]["pi"]]
    ]


def metadata(wheel: Path) -> list[Requirement]:
    """What a wheel itself requires."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    return [Requirement(line) for line in headers.get_all("Requires-Dist", [])]


def unmet(wheels: dict[str, Path], wanted: list[Requirement], python: str) -> set[str]:
    """Return what is required, by `wanted` and by what that requires, and not among the wheels."""
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name not in wheels:
            missing.add(str(requirement))
            continue
        _, version, _, _ = parse_wheel_filename(wheels[name].name)
        if not requirement.specifier.contains(version, prereleases=True):
            missing.add(f"{requirement}, but there is {version}")
        for extra in {"", *requirement.extras} - {extra for key, extra in seen if key == name}:
            seen.add((name, extra))
            wanted += [
                needed for needed in metadata(wheels[name]) if applies(needed, python, {extra})
            ]
    return missing


@pytest.mark.parametrize("python", RASPBERRY_PI_OS)
def test_a_device_install_is_wheels_and_named_apt_packages(tmp_path: Path, python: str):
    require_index()
    wanted = [requirement for requirement in project() if applies(requirement, python, set())]
    left_out = {requirement.name for requirement in project()} - {each.name for each in wanted}
    assert left_out == BY_APT[python].keys()

    done = run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", f"--python-version={python}", f"--dest={tmp_path}"),
            *(
                f"--platform=manylinux_2_{minor}_aarch64"
                for minor in range(17, RASPBERRY_PI_OS[python] + 1)
            ),
            "--platform=manylinux2014_aarch64",
            *(f"{each.name}{each.specifier}" for each in wanted),
        ],
        ROOT,
    )

    assert done.returncode == 0, done.stderr
    wheels = {parse_wheel_filename(path.name)[0]: path for path in tmp_path.iterdir()}
    # pip took the markers of what we require for those of this machine: look again for the Pi.
    assert unmet(wheels, wanted, python) == set()
    native = {name for name, path in wheels.items() if not path.stem.endswith("-none-any")}
    assert {"ai-edge-litert", "numpy", "pillow"} <= native
    assert all(wheels[name].stem.endswith("aarch64") for name in native)
    if "lgpio" in wheels:  # 0.0.0.2 is an empty file that reserved the name
        assert parse_wheel_filename(wheels["lgpio"].name)[1] >= Version("0.2")


def test_what_a_marker_hides_from_this_machine_is_found_missing(tmp_path: Path):
    def wheel(name: str, *requires: str) -> Path:
        path = tmp_path / f"{name}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            lines = ["Name: " + name, *(f"Requires-Dist: {each}" for each in requires)]
            archive.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))
        return path

    wheels = {
        "one": wheel("one", "two[fast]>=1", 'arm-only; platform_machine == "aarch64"'),
        "two": wheel("two", 'quick; extra == "fast"', 'slow; extra == "slow"', "one<1"),
    }
    assert unmet(wheels, [Requirement("one")], "3.13") == {
        'arm-only; platform_machine == "aarch64"',
        'quick; extra == "fast"',
        "one<1, but there is 1.0",
    }
