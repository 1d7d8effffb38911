"""What the port uses exists in the picamera2 that is released: its source is fetched and read."""

import ast
import importlib.util
import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from hw.camera import CameraError
from hw.picamera_port import Picamera2Port, open_picamera2
from hw.pixel_pitch import Size

HW = Path(__file__).parents[2] / "hw"
PORT = HW / "picamera_port.py"
DRIVER = [*HW.glob("picamera*.py"), HW / "exposure.py", HW / "sensor_time.py"]

# libcamera's names come from tables in its own source, which no package index has: these are in
# src/libcamera/control_ids_core.yaml, control_ids_draft.yaml (NoiseReductionMode) and
# property_ids_core.yaml (UnitCellSize) of raspberrypi/libcamera, as of 2026-04-29 (26bfadc).
LIBCAMERA = {
    "AeEnable",
    "AeState",
    "AnalogueGain",
    "AwbEnable",
    "ColourGains",
    "ExposureTime",
    "FrameDurationLimits",
    "NoiseReductionMode",
    "ScalerCrop",
    "SensorTimestamp",
    "Sharpness",
    "UnitCellSize",
}
# picamera2 itself is not for reading these, only for passing them on.
NOT_IN_PICAMERA2 = {"AeEnable", "AeState", "AwbEnable", "ColourGains", "Sharpness", "UnitCellSize"}


@pytest.fixture(scope="session")
def released(request: pytest.FixtureRequest) -> Path:
    """The folder that the newest wheel of picamera2 unpacks to; `--cache-clear` fetches anew."""
    folder = request.config.cache.mkdir("picamera2")
    if not list(folder.glob("*.whl")):
        command = [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"),
            *("--retries=1", "--timeout=15", "--dest", str(folder), "picamera2"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and "connection" in done.stderr.lower():
            pytest.skip("needs a package index to fetch picamera2 from, and none answers")
        assert done.returncode == 0, done.stderr
    wheel = max(folder.glob("*.whl"))
    source = folder / wheel.stem
    if not source.exists():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(source)
    return source


def check_types(folder: Path, released: Path, cache: Path) -> str:
    """Let mypy hold the package `hw` in `folder` to the released picamera2; return what it says."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", f"--cache-dir={cache}"),
            *("--ignore-missing-imports", "--follow-imports=silent", "--check-untyped-defs"),
            *("--no-error-summary", "hw/picamera_port.py"),
        ],
        cwd=folder,
        env={"MYPYPATH": str(released)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_every_method_and_argument_exists(released, request):
    cache = request.config.cache.mkdir("picamera2") / "mypy"
    assert check_types(HW.parent, released, cache) == ""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("cancel_all_and_flush()", "cancel_everything()"),
        ("camera_properties.get", "camera_attributes.get"),
        ("capture_request(wait=False)", "capture_request(patience=False)"),
        ("get_result(timeout=timeout_s)", "get_result(seconds=timeout_s)"),
        ("buffer_count=", "buffers="),
        ("def make_array(self, name: str)", "def make_array(self, name: int)"),
    ],
)
def test_a_method_or_argument_that_does_not_exist_is_seen(
    released, request, tmp_path, right, wrong
):
    package = tmp_path / "hw"
    package.mkdir()
    for name in ("__init__", "camera", "errors", "pixel_pitch"):
        (package / f"{name}.py").write_bytes((HW / f"{name}.py").read_bytes())
    source = PORT.read_text()
    assert right in source
    (package / PORT.name).write_text(source.replace(right, wrong))
    cache = request.config.cache.mkdir("picamera2") / "mypy"
    assert "error:" in check_types(tmp_path, released, cache)


def parsed(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def keys(path: Path) -> set[str]:
    """Every string by which a file looks something up, or that it puts into a dict as a key."""
    found: list[ast.AST | None] = []
    for node in parsed(path):
        if isinstance(node, ast.Dict):
            found += node.keys
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) != "type":
            found.append(node.slice)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".get"):
            found.append(node.args[0])
    values = {node.value for node in found if isinstance(node, ast.Constant)}
    return {value for value in values if isinstance(value, str)}


def test_every_control_is_one_of_libcameras(released):
    used = {key for path in DRIVER for key in keys(path) if key[0].isupper()}
    assert used == LIBCAMERA
    source = "".join(path.read_text() for path in (released / "picamera2").rglob("*.py"))
    named = {name for name in used if re.search(rf"\b{name}\b", source)}
    assert named == LIBCAMERA - NOT_IN_PICAMERA2


def test_every_key_of_a_configuration_exists(released):
    used = {key for key in keys(PORT) if key[0].islower()}
    assert used == {"size", "format", "main", "sensor", "output_size"}
    literals = {
        node.value
        for node in parsed(released / "picamera2" / "picamera2.py")
        if isinstance(node, ast.Constant)
    }
    assert used <= literals


def test_the_stream_is_rgb_in_memory(released):
    (table,) = (
        ast.literal_eval(node.value)
        for node in parsed(released / "picamera2" / "request.py")
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FORMAT_TABLE"
    )
    (asked,) = re.findall(r'"format": "(\w+)"', PORT.read_text())
    assert table[asked] == "RGB"
    assert table["RGB888"] == "BGR"  # the trap


def test_picamera2_too_counts_the_exposure_back_from_the_stamp(released):
    (function,) = (
        node
        for node in parsed(released / "picamera2" / "picamera2.py")
        if isinstance(node, ast.FunctionDef) and node.name == "wait_for_timestamp_"
    )
    assert "md['SensorTimestamp'] - 1000 * md['ExposureTime']" in ast.unparse(function)


class Dispatcher:
    """Hands out picamera2's own jobs; stands where Picamera2, which needs a camera, would."""

    def __init__(self, released: Path) -> None:
        path = released / "picamera2" / "job.py"  # needs only the standard library
        spec = importlib.util.spec_from_file_location("picamera2_job", path)
        self._module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self._module)
        self.jobs = []
        self.on_cancel = lambda: None

    def capture_request(self, wait: bool):
        assert wait is False
        self.jobs.append(self._module.Job([lambda: (True, "frame")]))
        return self.jobs[-1]

    def cancel_all_and_flush(self) -> None:
        self.on_cancel()
        for job in self.jobs:
            job.cancel()
        self.jobs.clear()

    def finish(self) -> None:
        job = self.jobs.pop(0)
        assert job.execute()
        job.signal()


def test_a_wait_that_ends_leaves_no_job_behind_to_take_a_buffer(released):
    camera = Dispatcher(released)
    assert Picamera2Port(camera).capture(0.01) is None
    assert camera.jobs == []


def test_a_frame_that_comes_as_the_wait_ends_is_not_lost(released):
    camera = Dispatcher(released)
    camera.on_cancel = camera.finish
    assert Picamera2Port(camera).capture(0.01) == "frame"


def test_a_frame_that_comes_in_time_is_given(released):
    camera = Dispatcher(released)
    threading.Timer(0.05, camera.finish).start()
    assert Picamera2Port(camera).capture(60.0) == "frame"


@pytest.mark.skipif(
    importlib.util.find_spec("picamera2") is not None, reason="picamera2 is installed here"
)
def test_without_picamera2_the_cure_is_told():
    with pytest.raises(CameraError, match=r"python3-picamera2.*--system-site-packages"):
        open_picamera2(0, Size(640, 480), None, {})


def test_a_picamera2_built_for_another_numpy_is_told(tmp_path, monkeypatch):
    # What Debian 12's simplejpeg raises when numpy 2 is in the virtual environment.
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CameraError, match=r"numpy\.dtype size changed.*simplejpeg"):
        open_picamera2(0, Size(640, 480), None, {})


BUSY = """
        try:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        except RuntimeError as error:
            raise RuntimeError("Camera __init__ sequence did not complete.") from error
"""


@pytest.mark.parametrize(
    ("raises", "told"),
    [
        ("raise RuntimeError('No camera number 0 found')", r"ribbon cable.*No camera number 0"),
        ("[][0]", r"ribbon cable.*--list-cameras.*list index"),
        (BUSY, "in use by another program.*Device or resource busy"),
    ],
)
def test_a_camera_absent_or_busy_is_told(tmp_path, monkeypatch, raises, told):
    # The errors are those of Picamera2.__init__ and of libcamera's binding (py_main.cpp).
    (tmp_path / "picamera2.py").write_text(
        f"class Picamera2:\n    def __init__(self, number):\n        {raises}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match=told):
        open_picamera2(0, Size(640, 480), None, {})
    del sys.modules["picamera2"]
