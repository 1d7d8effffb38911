"""The Pi camera: picamera2 and libcamera as this Python sees them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_af.doctor.finding import Finding, fail, ok
from edge_af.doctor.system import System

# In a process of its own: libcamera writes logs, may hang on a broken sensor, and holds the camera.
_LIST_CAMERAS = """\
import json
from picamera2 import Picamera2
print(json.dumps([info["Model"] for info in Picamera2.global_camera_info()]))
"""
_TIMEOUT_S = 30
_INSTALL = "sudo apt install python3-picamera2"
_CABLE = (
    "turn the Pi off, seat the ribbon cable again (contacts to contacts), and try: "
    "rpicam-hello --list-cameras"
)


def camera(system: System) -> Iterator[Finding]:
    """Check that picamera2 can be imported from here and sees a camera."""
    if not system.is_pi:
        yield ok("camera", "does not apply: not a Raspberry Pi")
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LIST_CAMERAS],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield fail("camera", f"libcamera does not answer within {_TIMEOUT_S} s", _CABLE)
        return
    yield camera_finding(done, Path(sys.prefix))


def camera_finding(listing: "subprocess.CompletedProcess[str]", prefix: Path) -> Finding:
    """Judge by what importing picamera2 and listing the cameras said.

    `prefix` is the folder of the environment that it was imported from.
    """
    if listing.returncode == 0:
        models = json.loads(listing.stdout.strip().splitlines()[-1])
        if models:
            return ok("camera", ", ".join(models))
        return fail("camera", "picamera2 works, but sees no camera", _CABLE)
    said = (listing.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return fail("camera", f"picamera2 cannot be used from here: {said}", _cure(said, prefix))


def _cure(said: str, prefix: Path) -> str:
    if "numpy" in said and "size changed" in said:
        # Debian builds simplejpeg for numpy 1, and this environment has numpy 2.
        return "pip install --force-reinstall simplejpeg"
    if _sees_system_packages(prefix):
        return _INSTALL
    return (
        f"{_INSTALL}, and make this environment again so that it sees it: "
        f"/usr/bin/python3 -m venv --clear --system-site-packages {prefix}"
    )


def _sees_system_packages(prefix: Path) -> bool:
    """Tell whether packages that apt installs can be imported below `prefix`."""
    settings = prefix / "pyvenv.cfg"
    if not settings.exists():
        return prefix == Path("/usr")
    lines = settings.read_text().splitlines()
    return {"home = /usr/bin", "include-system-site-packages = true"} <= set(lines)
