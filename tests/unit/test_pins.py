"""The libraries behind the pins: lgpio and rpi-lgpio run for real, on a chip that is not there."""

import ast
import importlib
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_pins import DATA_SHEETS, ChipWitness, Edge, RotorWitness

import hw
from hw.clock import WallClock
from hw.pins import PinError, open_pins
from hw.pins_lgpio import LgpioPins
from hw.pins_rpi import RpiPins
from hw.stage import StageFault
from hw.step_dir import StepDir, StepDirSettings

TESTS = Path(__file__).parents[1]
HW = Path(hw.__file__).parent


def has(module):
    return importlib.util.find_spec(module) is not None


needs_lgpio = pytest.mark.skipif(not has("lgpio"), reason="needs lgpio: pip install lgpio")
needs_rpi = pytest.mark.skipif(
    not (has("lgpio") and has("RPi")), reason="needs rpi-lgpio: pip install rpi-lgpio"
)
BACKENDS = [
    pytest.param("lgpio", marks=needs_lgpio),
    pytest.param("RPi.GPIO", marks=needs_rpi),
]


# Run for real


@pytest.fixture(scope="session")
def chip(tmp_path_factory):
    """A library that, preloaded, is a GPIO chip to whoever asks the kernel for one."""
    compiler = shutil.which("cc")
    if (
        sys.platform != "linux"
        or compiler is None
        or not Path("/usr/include/linux/gpio.h").exists()
    ):
        pytest.skip("needs Linux, a C compiler and linux/gpio.h to make a GPIO chip")
    library = tmp_path_factory.mktemp("chip") / "chip.so"
    source = TESTS / "fake_gpiochip.c"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, source, "-ldl"],
        check=True,
    )
    return library


def on_chip(chip, log, arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ
        | {
            "LD_PRELOAD": str(chip),
            "GPIO_LOG": str(log),
            "PYTHONPATH": str(TESTS.parent),
            # What rpi-lgpio would find on a Pi 5.
            "RPI_LGPIO_REVISION": "d04170",
            "RPI_LGPIO_CHIP": "4",
        },
        cwd=log.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["at once", "decelerate", "four-phase"])
def test_what_the_kernel_was_told_is_what_was_counted(chip, tmp_path, kind, backend):
    log = tmp_path / "log"
    done = on_chip(chip, log, [str(TESTS / "gpio_moves.py"), kind, backend])
    assert done.returncode == 0, done.stderr
    *stops, counted = done.stdout.splitlines()
    assert len(stops) == 4
    levels = {}
    if kind == "four-phase":
        witness = RotorWitness((5, 6, 13, 19))
        released = {}  # by the kernel, for it goes coil by coil, which would look like a step
    else:
        minima = DATA_SHEETS["DRV8825"]
        if backend == "lgpio":  # whose thread may be late, on this machine, by more than a pulse
            minima = minima._replace(high_s=0, low_s=0)
        witness = ChipWitness(20, 21, 16, minima)
        released = {16: True, 20: False}
    for line in log.read_text().splitlines():
        time_ns, pin, level = map(int, line.split())
        if levels.get(pin) != bool(level):
            levels[pin] = bool(level)
            witness(Edge(time_ns * 1e-9, pin, bool(level)))
    assert witness.count == pytest.approx(int(counted))
    assert witness.faults == []
    assert levels | released == levels
    if kind != "decelerate":
        for stop in stops:
            stopped_s, ended_s = (int(time_ns) * 1e-9 for time_ns in stop.split())
            assert sum(stopped_s < step_s < ended_s for step_s in witness.steps_s) <= 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pin_in_use_is_named_with_the_cure(chip, tmp_path, backend):
    program = (
        "import lgpio\n"
        "from hw.clock import WallClock\n"
        "from hw.pins import PinError, open_pins\n"
        "lgpio.gpio_claim_output(lgpio.gpiochip_open(4), 21)\n"
        f"with open_pins({backend!r}, WallClock()) as pins:\n"
        "    try:\n"
        "        pins.claim_outputs({21: False})\n"
        "    except PinError as error:\n"
        "        print(error)\n"
    )
    done = on_chip(chip, tmp_path / "log", ["-c", program])
    assert done.returncode == 0, done.stderr
    assert "GPIO 21" in done.stdout
    assert "busy" in done.stdout.lower()
    assert "no other program" in done.stdout


@needs_lgpio
def test_a_chip_of_another_kind_is_not_taken(chip, tmp_path):
    program = (
        "import hw.pins_lgpio\n"
        "from hw.clock import WallClock\n"
        "hw.pins_lgpio.CHIP_LABELS = ('pinctrl-bcm2711',)\n"
        "try:\n"
        "    hw.pins_lgpio.LgpioPins(WallClock()).__enter__()\n"
        "except hw.pins_lgpio.PinError as error:\n"
        "    print(error)\n"
    )
    done = on_chip(chip, tmp_path / "log", ["-c", program])
    assert done.returncode == 0, done.stderr
    assert "gpiochip0 (gpio-brcmstb), gpiochip4 (pinctrl-rp1)" in done.stdout


# Where there is no chip, or no library


@needs_lgpio
@pytest.mark.skipif(any(Path("/dev").glob("gpiochip*")), reason="this machine has a GPIO chip")
def test_without_a_chip_lgpio_says_what_is_missing():
    settings = StepDirSettings(chip="A4988", step_pin=20, direction_pin=21, step_um=0.1)
    stage = StepDir(settings, WallClock())
    with pytest.raises(StageFault, match=r"pinctrl-rp1.*none at all.*Raspberry Pi"), stage:
        pass


@needs_rpi
@pytest.mark.skipif(Path("/proc/device-tree/system").exists(), reason="this may be a Raspberry Pi")
def test_off_a_pi_rpi_gpio_says_so():
    with pytest.raises(PinError, match="Raspberry Pi"):
        RpiPins(WallClock()).__enter__()


@pytest.mark.parametrize(("backend", "module"), [("lgpio", "lgpio"), ("RPi.GPIO", "RPi.GPIO")])
def test_a_library_that_is_missing_is_named_with_the_cure(monkeypatch, backend, module):
    monkeypatch.setitem(sys.modules, module, None)  # as if not installed
    with pytest.raises(PinError, match=r"not installed; apt install python3-"):
        open_pins(backend, WallClock()).__enter__()


def test_the_backend_is_the_one_asked_for():
    assert isinstance(open_pins("lgpio", WallClock()), LgpioPins)
    assert isinstance(open_pins("RPi.GPIO", WallClock()), RpiPins)


# That every name used exists, with that signature


def uses(file, library):
    """Each attribute of `library`, or of `self._library`, in a file, and its calls."""
    tree = ast.parse((HW / file).read_text())
    for node in ast.walk(tree):
        call = node if isinstance(node, ast.Call) else None
        name = call.func if call else node
        if isinstance(name, ast.Attribute) and ast.unparse(name.value) == library:
            yield name.attr, call


def binds(signature, call):
    signature.bind(*call.args, **{keyword.arg: None for keyword in call.keywords})


@needs_lgpio
@pytest.mark.parametrize("file", ["pins_lgpio.py", "pulses_lgpio.py"])
def test_lgpio_has_what_is_used(file):
    lgpio = importlib.import_module("lgpio")
    used = list(uses(file, "self._lgpio"))
    assert sum(call is not None for _, call in used) >= 3
    for name, call in used:
        assert hasattr(lgpio, name)
        if call:
            binds(inspect.signature(getattr(lgpio, name)), call)


@needs_rpi
def test_rpi_lgpio_has_what_is_used():
    # Parsed, for it cannot be imported off a Pi.
    spec = importlib.util.find_spec("RPi")
    (folder,) = spec.submodule_search_locations
    tree = ast.parse((Path(folder) / "GPIO" / "__init__.py").read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    used = list(uses("pins_rpi.py", "self._gpio"))
    assert sum(call is not None for _, call in used) >= 6
    for name, call in used:
        if call:
            arguments = functions[name].args
            names = [argument.arg for argument in arguments.args]
            optional = len(arguments.defaults)
            parameters = [
                inspect.Parameter(
                    argument,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=None if place >= len(names) - optional else inspect.Parameter.empty,
                )
                for place, argument in enumerate(names)
            ]
            binds(inspect.Signature(parameters), call)
        else:
            assert name in constants | set(functions)
