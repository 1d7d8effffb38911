"""The checks of `edge-af doctor`, on the files that a Pi 4, a Pi 5 and a PC show."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from firmware.grbl import GrblFirmware
from firmware.pty_port import PtyPort
from firmware.sangaboard import NewSangaboard, OldSangaboard
from firmware.sangaboard_core import SangaboardCore
from hypothesis import given
from hypothesis import strategies as st
from serial.tools.list_ports_common import ListPortInfo

from edge_af.doctor import base, camera, gpio, health, model, serial_ports
from edge_af.doctor.examine import examine, guarded
from edge_af.doctor.finding import Finding, Status, ok
from edge_af.doctor.system import System
from edge_af.doctor.throttling import throttling
from edge_af.shipped import SHIPPED_MODEL
from hw.clock import WallClock

PI_4 = "Raspberry Pi 4 Model B Rev 1.4"
PI_5 = "Raspberry Pi 5 Model B Rev 1.0"
NOBODY = 65534
BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
MEMINFO = "MemTotal:  {total} kB\nMemFree:  1000 kB\nMemAvailable:  {free} kB\n"


class Machine(System):
    """A file system that a test fills."""

    def put(self, name: str, text: str) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def install(self, command: str, script: str) -> None:
        self.put(f"/usr/bin/{command}", f"#!/bin/sh\n{script}\n").chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may enter too, as those of pytest may not be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def pc(open_folder: Path) -> Machine:
    machine = Machine(open_folder)
    machine.put("/etc/os-release", BOOKWORM)
    machine.put("/proc/sys/kernel/osrelease", "6.1.0-40-amd64\n")
    machine.put("/proc/meminfo", MEMINFO.format(total=16_000_000, free=9_000_000))
    return machine


@pytest.fixture(params=[PI_4, PI_5])
def pi(pc: Machine, request: pytest.FixtureRequest) -> Machine:
    pc.put("/proc/device-tree/model", f"{request.param}\0")
    pc.put("/sys/class/thermal/thermal_zone0/temp", "47712\n")
    pc.install("vcgencmd", "echo throttled=0x0")
    pc.install("timedatectl", "echo yes")
    return pc


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may do everything, so what it may not must be tried as somebody else."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = findings
    return finding


# --- the base


def test_board_names_the_pi_without_the_zero_of_its_device_tree(pi: Machine):
    finding = only(base.board(pi))

    assert finding.found in (PI_4, PI_5)
    assert finding.status == Status.OK


def test_other_machines_are_no_fault(pc: Machine):
    for check in (base.board, camera.camera, gpio.chip, health.power):
        finding = only(check(pc))
        assert finding.status == Status.OK
        assert "not a Raspberry Pi" in finding.found


@pytest.mark.parametrize(
    ("release", "status"),
    [
        (BOOKWORM, Status.OK),
        ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n', Status.OK),
        ("ID=debian\nPRETTY_NAME=sid\n", Status.OK),  # has no VERSION_ID
        ('PRETTY_NAME="Ubuntu 9.9"\nVERSION_ID="9.9"\nID=ubuntu\n', Status.OK),
        ('PRETTY_NAME="Raspbian 11"\nVERSION_ID="11"\nID=raspbian\n', Status.FAIL),
    ],
)
def test_debian_before_12_is_too_old(pc: Machine, release: str, status: Status):
    pc.put("/etc/os-release", release)

    assert only(base.operating_system(pc)).status == status


def test_kernel_is_that_of_the_machine(pc: Machine):
    assert only(base.kernel(pc)).found.startswith("6.1.0-40-amd64")


def test_groups_that_the_user_is_not_in_are_named(pi: Machine):
    mine = os.getegid()
    pi.put("/etc/group", f"root:x:4001:\ndialout:x:{mine}:\ngpio:x:4002:pi\nvideo:x:4003:pi\n")

    with as_nobody():
        finding = only(base.groups(pi))

    assert finding.status == Status.WARN
    assert "gpio and video" in finding.found
    assert finding.cure is not None
    assert "usermod -aG gpio,video $USER" in finding.cure


def test_a_pc_asks_for_no_group_of_a_pi(pc: Machine):
    pc.put("/etc/group", f"dialout:x:{os.getegid()}:\nvideo:x:4003:\n")

    with as_nobody():
        assert only(base.groups(pc)).status == Status.OK


# --- health


@pytest.mark.parametrize(
    ("said", "status", "words"),
    [
        ("throttled=0x0", Status.OK, ["never"]),
        ("throttled=0x50005", Status.FAIL, ["now: under-voltage, throttled", "since boot: under"]),
        ("throttled=0x50000", Status.WARN, ["since boot: under-voltage, throttled"]),
        ("throttled=0x80008", Status.WARN, ["now: soft temperature limit"]),
        ("throttled=0x20002", Status.WARN, ["now: frequency capped"]),
    ],
)
def test_power_decodes_what_the_firmware_says(
    pi: Machine, said: str, status: Status, words: list[str]
):
    pi.install("vcgencmd", f'test "$1" = get_throttled && echo {said}')

    finding = only(health.power(pi))

    assert finding.status == status
    assert all(word in finding.found for word in words)
    assert (finding.cure is None) == (status == Status.OK)


def test_heat_is_cured_otherwise_than_a_weak_supply(pi: Machine):
    pi.install("vcgencmd", "echo throttled=0xe000e")
    heat = only(health.power(pi)).cure
    pi.install("vcgencmd", "echo throttled=0x10000")
    supply = only(health.power(pi)).cure

    assert "cool" in str(heat)
    assert "supply" in str(supply)


@given(bits=st.integers(0, 0xF) | st.integers(0, 0xF).map(lambda bits: bits << 16))
def test_power_is_fine_only_without_any_flag(bits: int):
    assert (health.judged(throttling(hex(bits))).status == Status.OK) == (bits == 0)


@pytest.mark.parametrize(("alarm", "status"), [("0", Status.OK), ("1", Status.FAIL)])
def test_power_asks_the_kernel_where_vcgencmd_may_not(pi: Machine, alarm: str, status: Status):
    pi.install("vcgencmd", "echo Can\\'t open device file: /dev/vcio >&2; exit 255")
    pi.put("/sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    pi.put("/sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    pi.put("/sys/class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")

    assert only(health.power(pi)).status == status


def test_power_that_nobody_tells_is_a_warning_with_the_reason(pi: Machine):
    pi.install("vcgencmd", "echo Can\\'t open device file: /dev/vcio >&2; exit 255")

    finding = only(health.power(pi))

    assert finding.status == Status.WARN
    assert "Can't open device file: /dev/vcio" in finding.found


@pytest.mark.parametrize(("milli_c", "status"), [("79900", Status.OK), ("80100", Status.WARN)])
def test_the_hottest_zone_counts(pi: Machine, milli_c: str, status: Status):
    pi.put("/sys/class/thermal/thermal_zone1/temp", milli_c)

    finding = only(health.temperature(pi))

    assert finding.status == status
    assert finding.found.startswith("80 °C")


@pytest.mark.parametrize(("free_mb", "status"), [(249, Status.WARN), (250, Status.OK)])
def test_memory_that_is_available_counts_not_what_is_unused(
    pc: Machine, free_mb: int, status: Status
):
    pc.put("/proc/meminfo", MEMINFO.format(total=512 * 1024, free=free_mb * 1024))

    assert only(health.memory(pc)).status == status


def test_disk_looks_at_where_a_folder_will_be_made(tmp_path: Path):
    finding = only(health.disk("disk", tmp_path / "not" / "yet"))

    assert finding.status != Status.FAIL
    assert str(tmp_path / "not" / "yet") in finding.found


def test_a_folder_that_cannot_be_written_fails(open_folder: Path):
    sealed = open_folder / "sealed"
    sealed.mkdir(mode=0o555)

    with as_nobody():
        finding = only(health.disk("disk", sealed / "state"))

    assert finding.status == Status.FAIL
    assert "cannot be written" in finding.found


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("echo yes", Status.OK),
        ("echo no", Status.WARN),
        ("echo no bus here >&2; exit 1", Status.WARN),
    ],
)
def test_clock_is_right_once_synchronised(pc: Machine, script: str, status: Status):
    pc.install("timedatectl", script)

    assert only(health.clock(pc)).status == status


def test_clock_without_systemd_cannot_be_told(pc: Machine):
    finding = only(health.clock(pc))

    assert finding.status == Status.WARN
    assert "not installed" in finding.found


# --- camera


def ended(code: int, out: str = "", err: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, out, err)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment of the system's Python that sees what apt installed."""
    (tmp_path / "pyvenv.cfg").write_text(
        "home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.11.2\n"
    )
    return tmp_path


def test_cameras_are_named(environment: Path):
    finding = camera.camera_finding(ended(0, '["imx477", "ov5647"]\n'), environment)

    assert finding == ok("camera", "imx477, ov5647")


def test_no_camera_on_a_pi_fails(environment: Path):
    finding = camera.camera_finding(ended(0, "[]\n"), environment)

    assert finding.status == Status.FAIL
    assert "ribbon cable" in str(finding.cure)


@pytest.mark.parametrize(
    ("error", "settings", "cure"),
    [
        ("ModuleNotFoundError: No module named 'picamera2'", {}, "apt install python3-picamera2"),
        (
            "ModuleNotFoundError: No module named 'libcamera'",
            {"include-system-site-packages = true": "include-system-site-packages = false"},
            "/usr/bin/python3 -m venv --clear --system-site-packages",
        ),
        (
            "ModuleNotFoundError: No module named 'libcamera._libcamera'",
            {"home = /usr/bin": "home = /home/pi/.pyenv/versions/3.12.1/bin"},
            "/usr/bin/python3 -m venv --clear --system-site-packages",
        ),
        (
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. "
            "Expected 96 from C header, got 88 from PyObject",
            {},
            "pip install --force-reinstall simplejpeg",
        ),
    ],
)
def test_each_reason_why_the_camera_cannot_be_imported_has_its_cure(
    environment: Path, error: str, settings: dict[str, str], cure: str
):
    text = (environment / "pyvenv.cfg").read_text()
    for old, new in settings.items():
        text = text.replace(old, new)
    (environment / "pyvenv.cfg").write_text(text)

    finding = camera.camera_finding(ended(1, "", f"Traceback ...\n{error}\n"), environment)

    assert finding.status == Status.FAIL
    assert error.split(":")[0] in finding.found
    assert cure in str(finding.cure)


def test_a_pi_without_picamera2_is_told_where_it_comes_from(pi: Machine):
    finding = only(camera.camera(pi))  # imports with this very Python

    assert finding.status == Status.FAIL
    assert "No module named 'picamera2'" in finding.found
    assert "apt install python3-picamera2" in str(finding.cure)


# --- model


def test_a_damaged_model_fails_with_the_reason(tmp_path: Path):
    (tmp_path / "my.tflite").write_bytes(b"\x1c\0\0\0TFL3 and so on")

    finding = only(model.model_and_runtime(tmp_path / "my.tflite"))

    assert (finding.name, finding.status) == ("model", Status.FAIL)
    assert "my.tflite" in finding.found


def test_the_model_that_ships_runs_with_xnnpack():
    found, runtime = model.model_and_runtime(None)

    assert (found.name, found.status) == ("model", Status.OK)
    assert "41 classes" in found.found
    assert (runtime.name, runtime.status) == ("runtime", Status.OK)
    assert runtime.found.startswith("ai-edge-litert 2.")
    assert runtime.found.endswith("with XNNPACK")


def test_a_damaged_head_fails_beside_a_model_that_runs(open_folder: Path):
    shutil.copy(SHIPPED_MODEL, open_folder / "my.tflite")
    (open_folder / "my.head").write_text("{}\n")

    _, head, runtime = model.model_and_runtime(open_folder / "my.tflite")

    assert (head.name, head.status) == ("head", Status.FAIL)
    assert "adapt --revert" in str(head.cure)
    assert runtime.status == Status.OK


@pytest.mark.parametrize(
    ("trial", "status", "words"),
    [
        (ended(0, "ai-edge-litert\n", ""), Status.WARN, "without XNNPACK"),
        (
            ended(0, "tflite-runtime\n", "INFO: Created TensorFlow Lite XNNPACK delegate"),
            Status.WARN,
            "slower",
        ),
        (ended(1, "", "no runtime for .tflite models; install one"), Status.FAIL, "no runtime"),
        (ended(-4, "", ""), Status.FAIL, "SIGILL"),
    ],
)
def test_a_runtime_that_is_slow_or_dead_is_found_out(
    trial: subprocess.CompletedProcess[str], status: Status, words: str
):
    finding = model.runtime_finding(trial)

    assert finding.status == status
    assert words in finding.found
    assert finding.cure is not None


# --- GPIO


def put_chips(machine: Machine, chips: dict[str, str]) -> None:
    """Lay out chips, by name and label, as gpiolib does in sysfs."""
    for base_line, (name, label) in enumerate(chips.items(), start=512):
        device = machine.path(f"/sys/devices/platform/soc/{label}")
        (device / name).mkdir(parents=True)
        listed = device / "gpio" / f"gpiochip{base_line}"
        listed.mkdir(parents=True)
        (listed / "label").write_text(f"{label}\n")
        (listed / "device").symlink_to(device)
        by_class = machine.path(f"/sys/class/gpio/gpiochip{base_line}")
        by_class.parent.mkdir(parents=True, exist_ok=True)
        by_class.symlink_to(listed)
        machine.put(f"/dev/{name}", "")


@pytest.mark.parametrize(
    ("chips", "header"),
    [
        ({"gpiochip0": "pinctrl-bcm2711", "gpiochip1": "raspberrypi-exp-gpio"}, "gpiochip0"),
        ({"gpiochip0": "gpio-brcmstb@107d508500", "gpiochip4": "pinctrl-rp1"}, "gpiochip4"),
        ({"gpiochip0": "pinctrl-rp1", "gpiochip10": "gpio-brcmstb@107d508500"}, "gpiochip0"),
        ({"gpiochip11": "gpio-brcmstb@107d508500", "gpiochip15": "pinctrl-rp1"}, "gpiochip15"),
    ],
    ids=["Pi 4", "Pi 5, 6.6.20", "Pi 5, 6.6.47", "Pi 5, 6.12"],
)
def test_the_chip_of_the_header_is_found_by_its_label(
    pi: Machine, chips: dict[str, str], header: str
):
    put_chips(pi, chips)

    assert only(gpio.chip(pi)) == ok("gpio", f"/dev/{header} ({chips[header]})")


def test_a_chip_that_the_user_may_not_open_names_the_group(pi: Machine):
    put_chips(pi, {"gpiochip0": "pinctrl-rp1"})
    pi.path("/dev/gpiochip0").chmod(0o000)

    with as_nobody():
        finding = only(gpio.chip(pi))

    assert finding.status == Status.WARN
    assert "usermod -aG gpio" in str(finding.cure)


def test_a_pi_without_its_chip_says_which_it_has(pi: Machine):
    put_chips(pi, {"gpiochip1": "raspberrypi-exp-gpio"})

    finding = only(gpio.chip(pi))

    assert finding.status == Status.WARN
    assert "gpiochip1 (raspberrypi-exp-gpio)" in finding.found


@pytest.mark.skipif(any(Path("/dev").glob("gpiochip*")), reason="this machine has a GPIO chip")
def test_libraries_are_tried_for_real(
    pi: Machine, open_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(open_folder)  # lgpio leaves a pipe where it is imported
    finding, *_ = gpio.libraries(pi)

    assert finding.status == Status.WARN
    assert finding.cure is not None


# --- serial ports


def usb_port(path: Path) -> ListPortInfo:
    port = ListPortInfo(str(path))
    port.vid, port.pid, port.description = 0x1A86, 0x7523, "USB Serial"
    return port


class Parrot:
    """A device that sends back what it gets."""

    def reset(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def receive(self, code: int) -> None:
        self._send(bytes([code]))

    def tick(self, now_s: float) -> None:
        pass


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for silent boards no longer than those in memory take."""
    monkeypatch.setattr(serial_ports, "_BOOT_S", 0.3)
    monkeypatch.setattr(serial_ports, "_REPLY_S", 0.3)


@pytest.fixture(params=[True, False], ids=["reset", "not reset"])
def resets(request: pytest.FixtureRequest) -> bool:
    """Whether opening the port resets the board."""
    return bool(request.param)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("firmware", [OldSangaboard, NewSangaboard])
def test_a_sangaboard_says_its_name(tmp_path: Path, resets: bool, firmware: type[SangaboardCore]):
    board = firmware(WallClock())
    with PtyPort(board, tmp_path, reset_on_open=resets) as port:
        finding = serial_ports.port_finding(System(), usb_port(port.path), probe=True)

    assert finding.status == Status.OK
    assert board.banner in finding.found
    assert not any(board.motors)


@pytest.mark.usefixtures("impatient")
def test_a_grbl_board_says_its_version(tmp_path: Path, resets: bool):
    board = GrblFirmware()
    with PtyPort(board, tmp_path, reset_on_open=resets) as port:
        finding = serial_ports.port_finding(System(), usb_port(port.path), probe=True)

    assert finding.status == Status.OK
    assert "1.1" in finding.found
    assert board.pulses == 0


def test_a_port_goes_by_the_name_that_lasts(pc: Machine):
    device = pc.put("/dev/ttyUSB0", "")
    link = pc.path("/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0")
    link.parent.mkdir(parents=True)
    link.symlink_to("../../ttyUSB0")

    finding = serial_ports.port_finding(pc, usb_port(device), probe=False)

    assert finding.found.startswith(f"{link}: USB Serial, 1a86:7523")


def test_a_port_is_not_opened_without_leave(tmp_path: Path):
    with PtyPort(NewSangaboard(WallClock()), tmp_path) as port:
        finding = serial_ports.port_finding(System(), usb_port(port.path), probe=False)

        assert port.sent == []
    assert finding.status == Status.OK
    assert "--probe" in finding.found
    assert "1a86:7523" in finding.found


def test_a_uart_of_the_machine_itself_is_never_asked(tmp_path: Path):
    with PtyPort(NewSangaboard(WallClock()), tmp_path) as port:
        finding = serial_ports.port_finding(System(), ListPortInfo(str(port.path)), probe=True)

        assert port.sent == []
    assert finding.status == Status.OK


@pytest.mark.usefixtures("impatient")
def test_what_answers_in_no_known_way_is_a_warning(tmp_path: Path):
    with PtyPort(Parrot(), tmp_path) as port:
        finding = serial_ports.port_finding(System(), usb_port(port.path), probe=True)

    assert finding.status == Status.WARN
    assert "115200 baud" in finding.found


def test_a_board_unplugged_while_it_is_asked_is_a_warning(tmp_path: Path):
    with PtyPort(NewSangaboard(WallClock()), tmp_path) as port:
        port.unplug_at_byte = 5
        finding = serial_ports.port_finding(System(), usb_port(port.path), probe=True)

    assert finding.status == Status.WARN
    assert "lost" in finding.found


def test_a_port_that_the_user_may_not_open_names_the_group(open_folder: Path):
    port = open_folder / "ttyUSB0"
    port.touch(mode=0o600)

    with as_nobody():
        finding = serial_ports.port_finding(System(), usb_port(port), probe=True)

    if os.getuid() == 0:  # else the file is the user's own
        assert finding.status == Status.WARN
        assert "usermod -aG dialout" in str(finding.cure)


# --- the examination


def test_a_check_that_breaks_is_a_warning_with_the_reason(pc: Machine):
    pc.put("/proc/meminfo", "not as the kernel writes it\n")

    finding = only(guarded("memory", lambda: health.memory(pc)))

    assert (finding.name, finding.status) == ("memory", Status.WARN)
    assert "ValueError" in finding.found
    assert "\n" not in finding.found


def test_a_weak_pi_is_told_of_all_its_faults_at_once(pi: Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(pi.root)
    pi.install("vcgencmd", "echo throttled=0x50005")
    pi.install("timedatectl", "echo no")
    pi.put("/proc/meminfo", MEMINFO.format(total=400_000, free=90_000))

    findings = list(examine(pi))

    status = {finding.name: finding.status for finding in findings}
    assert {name for name, one in status.items() if one == Status.FAIL} == {"camera", "power"}
    assert {"memory", "clock", "gpio"} <= {
        name for name, one in status.items() if one == Status.WARN
    }
    assert not any("the check broke" in finding.found for finding in findings)


def test_a_machine_that_tells_nothing_is_examined_to_the_end(tmp_path: Path):
    findings = list(examine(System(tmp_path)))

    assert {"board", "system", "model", "memory", "timing"} <= {one.name for one in findings}
    assert not any(one.status == Status.FAIL for one in findings)


def test_a_check_that_breaks_keeps_what_it_had_found():
    def check() -> Iterator[Finding]:
        yield ok("half", "done")
        raise OSError(5, "Input/output error")

    first, second = guarded("half", check)

    assert first.status == Status.OK
    assert "Input/output error" in second.found


@given(text=st.text())
def test_what_was_found_is_one_line(text: str):
    assert len(ok("name", text).found.splitlines()) <= 1
