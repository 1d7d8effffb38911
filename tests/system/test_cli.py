"""The commands as a user runs them: what they print where, and how they exit."""

import json
import os
import pty
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from convert.pack import pack
from edge_af.card import ModelCard
from edge_af.cli import main
from edge_af.model_file import read_model_file
from edge_af.shipped import SHIPPED_MODEL

REPOSITORY = Path(__file__).parents[2]
PADS = REPOSITORY.parent / "shared/data/stacks/pads"
COMMAND = (sys.executable, "-c", "import sys; from edge_af.cli import main; sys.exit(main())")
COMMANDS = (
    ["adapt"],
    ["bench"],
    ["bench", "faults"],
    ["bench", "focus"],
    ["bench", "latency"],
    ["calibrate"],
    ["collect"],
    ["config"],
    ["config", "check"],
    ["config", "default"],
    ["config", "show"],
    ["demo"],
    ["doctor"],
    ["focus"],
    ["history"],
    ["model"],
    ["model", "show"],
    ["replay"],
    [],
)
FIELD_KEYS = {
    "start_um",
    "end_um",
    "error_um",
    "frames",
    "moves",
    "time_s",
    "method",
    "outcome",
    "empty",
    "crashed",
}

needs_pads = pytest.mark.skipif(not PADS.exists(), reason=f"the recorded stack {PADS} is absent")


@pytest.fixture
def stack(tmp_path) -> Path:
    """A field of fine detail, blurred with distance from 0 um, whose files state no um per px."""
    folder = tmp_path / "stack"
    folder.mkdir()
    write_field(folder, "a", range(-6, 7))
    return folder


def write_field(folder: Path, name: str, z_um) -> None:
    pixels = np.random.default_rng(3).integers(60, 196, (96, 128, 3), np.uint8)
    for z in z_um:
        blurred = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(0.3 + abs(z) / 3))
        blurred.save(folder / f"{name}_{z}.png")


@pytest.fixture
def refused(capfd):
    """Run a command that must be refused as the user's mistake; return the one line it says."""

    def run(*arguments) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        printed = capfd.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("edge-af: ")
        assert printed.err.endswith("\n")
        assert printed.err.count("\n") == 1
        return printed.err

    return run


def run_command(*arguments, **settings) -> subprocess.CompletedProcess:
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings
    return subprocess.run(
        [*COMMAND, *arguments], cwd=REPOSITORY, timeout=120, check=False, **settings
    )


# --- demo


def test_demo_prints_one_json_document_and_nothing_else(stack, packed_model):
    done = run_command(
        "demo", "--once", "--json", "--replay", stack, "--model", packed_model, "--um-per-px", "0.3"
    )
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert set(document) == {"fields", "summary"}
    assert [field["start_um"] for field in document["fields"]] == list(range(-6, 7))
    for field in document["fields"]:
        assert set(field) >= FIELD_KEYS
        assert field["end_um"] == field["error_um"]
    assert document["summary"]["fields"] == 13


def test_demo_sweeps_a_recorded_stack_to_its_sharpest_slice(stack, capfd):
    assert main(["demo", "--once", "--json", "--replay", str(stack), "--no-model"]) == 0
    printed = capfd.readouterr()
    fields = json.loads(printed.out)["fields"]
    assert {(field["end_um"], field["method"]) for field in fields} == {(0.0, "sweep")}
    assert printed.err == ""  # a sweep needs no um per px, so there is nothing to note


def test_demo_says_that_it_took_the_models_pixel_size(stack, packed_model, capfd):
    main(["demo", "--fields", "1", "--replay", str(stack), "--model", str(packed_model)])
    printed = capfd.readouterr()
    assert printed.err.count("\n") == 1
    assert "0.35 um/px" in printed.err
    assert "--um-per-px" in printed.err


def test_demo_for_a_reader_has_a_line_for_each_field_and_a_summary(stack, capfd):
    assert main(["demo", "--fields", "3", "--replay", str(stack), "--no-model"]) == 0
    printed = capfd.readouterr()
    head, *lines = printed.out.splitlines()
    assert head.split("  ")[0] == "start um"
    assert [line.split()[0] for line in lines[:3]] == ["-6.00", "-5.00", "-4.00"]
    assert all("focused" in line for line in lines[:3])
    assert lines[3] == "Summary"
    assert printed.err == ""


def test_demo_on_virtual_fields_repeats_with_its_seed(capfd):
    runs = []
    for _ in range(2):
        main(["demo", "--fields", "1", "--seed", "3", "--no-model", "--json"])
        runs.append(json.loads(capfd.readouterr().out)["fields"][0])
    assert runs[0] == runs[1]
    assert 0 < abs(runs[0]["start_um"]) <= 12


def test_demo_without_once_goes_round_a_recorded_stack(stack, capfd):
    assert main(["demo", "--fields", "14", "--replay", str(stack), "--no-model", "--json"]) == 0
    starts_um = [field["start_um"] for field in json.loads(capfd.readouterr().out)["fields"]]
    assert starts_um == [*range(-6, 7), -6]


def test_ctrl_c_ends_the_endless_demo_with_its_summary(stack):
    with started("demo", "--replay", stack, "--no-model") as demo:
        assert "start um" in demo.stdout.readline()
        assert "focused" in demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (0, "")
    assert "Summary\n" in out


def test_ctrl_c_ends_the_json_document_whole_with_progress_on_the_terminal(stack):
    terminal, end = pty.openpty()
    with started("demo", "--replay", stack, "--no-model", "--json", stderr=end) as demo:
        os.close(end)
        progress = b""
        while b"sweep" not in progress:
            progress += os.read(terminal, 1000)
        demo.send_signal(signal.SIGINT)
        out, _ = demo.communicate(timeout=60)
    os.close(terminal)
    document = json.loads(out)
    assert demo.returncode == 0
    assert document["summary"]["fields"] == len(document["fields"]) >= 1


def test_ctrl_c_cuts_short_what_had_an_end(stack):
    fields = ("--fields", "1000000")
    with started("demo", "--replay", stack, "--no-model", *fields) as demo:
        demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "")
    assert "Summary\n" in out


def started(*arguments, stderr=subprocess.PIPE) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # A shell's background jobs, and what they start, ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


# --- focus


def test_focus_ends_at_the_sharpest_slice(stack, capfd):
    arguments = ["focus", "--replay", str(stack), "--start-um", "4.4", "--no-model"]
    assert main([*arguments, "--json"]) == 0
    printed = capfd.readouterr()
    result = json.loads(printed.out)
    assert (result["start_um"], result["end_um"], result["outcome"]) == (4.0, 0.0, "focused")
    assert printed.err == ""
    assert main(arguments) == 0
    assert "sweep" in capfd.readouterr().out


def test_focus_that_finds_nothing_exits_with_1_back_where_it_was(tmp_path, capfd):
    for z in range(5):
        Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / f"a_{z}.png")
    arguments = ("focus", "--replay", str(tmp_path), "--start-um", "3", "--no-model", "--json")
    assert main(arguments) == 1
    result = json.loads(capfd.readouterr().out)
    assert (result["outcome"], result["method"], result["end_um"]) == ("abstained", "none", 3.0)


def test_focus_takes_the_field_recorded_nearest_the_start_and_says_so(stack, capfd):
    write_field(stack, "b", [-2.5, 0, 2.5, 5.5])
    arguments = ["focus", "--replay", str(stack), "--no-model", "--json"]
    assert main([*arguments, "--start-um", "2.6"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["field"] == "b"
    assert "'b'" in printed.err
    assert main([*arguments, "--start-um", "2.6", "--field", "a"]) == 0
    printed = capfd.readouterr()
    assert json.loads(printed.out)["field"] == "a"
    assert printed.err == ""


def test_focus_names_the_fields_there_are(stack, refused):
    write_field(stack, "b", [0, 1])
    line = refused("focus", "--replay", stack, "--start-um", 0, "--field", "c", "--no-model")
    assert "'c'" in line
    assert line.endswith("a, b\n")


def test_focus_names_the_range_that_was_recorded(stack, refused):
    line = refused("focus", "--replay", stack, "--start-um", 6.5, "--no-model")
    assert "--start-um 6.5 um" in line
    assert "-6 um to 6 um" in line


# --- model show


def test_model_show_prints_the_card(packed_model, capfd):
    assert main(["model", "show", str(packed_model), "--json"]) == 0
    printed = capfd.readouterr()
    assert ModelCard.from_json(printed.out.encode()) == read_model_file(packed_model).card
    assert printed.err == ""
    assert main(["model", "show", str(packed_model)]) == 0
    shown = capfd.readouterr().out
    for said in ("tiny", "41, class ", "-12.5 um to 12.5 um", "0.35 um", "mae um"):
        assert said in shown


# --- mistakes


@pytest.fixture(params=["tiny", "shipped"])
def whole_model(request) -> Path:
    return SHIPPED_MODEL if request.param == "shipped" else request.getfixturevalue("packed_model")


def test_fifty_corruptions_are_refused_in_one_line(whole_model, tmp_path, refused):
    corrupt = list(corruptions(whole_model))
    assert len(corrupt) == 50
    path = tmp_path / "corrupt.tflite"
    for content in corrupt:
        path.write_bytes(content)
        assert str(path) in refused("model", "show", path)


@pytest.mark.parametrize(
    "command",
    [
        ("demo", "--once", "--json", "--model"),
        ("focus", "--replay", "absent", "--start-um", "0", "--model"),
        ("bench", "latency", "--model"),
        ("model", "show"),
    ],
    ids=" ".join,
)
def test_no_command_takes_a_corrupt_model(packed_model, tmp_path, refused, command):
    path = tmp_path / "corrupt.tflite"
    cut_short, *_, other_classes = corruptions(packed_model)
    path.write_bytes(cut_short)
    assert str(path) in refused(*command, path)
    # This one gets as far as the runtime, which greets on its first model in a process.
    path.write_bytes(other_classes)
    done = run_command(*command, path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"edge-af: {path}: ")


def corruptions(model: Path):
    whole, card = model.read_bytes(), read_model_file(model).card
    rng = np.random.default_rng(50)
    for size in rng.integers(1, len(whole), 20).tolist():
        yield whole[:size]
    for bit in rng.integers(0, 8 * len(whole), 23).tolist():
        yield whole[: bit // 8] + bytes([whole[bit // 8] ^ 1 << bit % 8]) + whole[bit // 8 + 1 :]
    yield b""
    yield b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield whole + b"\0"
    yield bytes(len(whole))
    for count in (40, 20, 2):
        fewer = {"labels": card.labels[:count], "bins_um": card.bins_um[:count]}
        yield pack(whole, ModelCard.model_validate(card.model_dump() | fewer))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["focus", "--start-um", "nan"], "nan is not from -100,000 to 100,000 um"),
        (["focus", "--start-um", "inf"], "inf is not from"),
        (["focus", "--start-um", "far"], "--start-um"),
        (["focus"], "--start-um"),
        (["focus", "--start-um", "0", "--um-per-px", "nan"], "nan is not from 0.005 to 20 um/px"),
        (["focus", "--start-um", "0", "--um-per-px", "0"], "--um-per-px"),
        (["focus", "--start-um", "0", "--model", "m", "--no-model"], "exclude each other"),
    ],
)
def test_bad_options_of_focus(stack, refused, arguments, named):
    assert named in refused(*arguments, "--replay", stack)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "Missing command"),
        (["model"], "Missing command"),
        (["model", "show"], "FILE"),
        (["dmo"], "'demo'"),
        (["demo", "--fields", "0"], "0 is not from 1 to 1,000,000 fields"),
        (["demo", "--fields", "-3"], "--fields"),
        (["demo", "--fields", "nan"], "--fields"),
        (["demo", "--fields", "9" * 30], "1,000,000 fields"),
        (["demo", "--seed", "-1"], "-1 is not from 0"),
        (["demo", "--sede", "1"], "--seed"),
        (["demo", "extra"], "extra"),
        (["bench", "latency", "--threads", "0"], "1 to 64 threads"),
        (["bench", "latency", "--threads", "65"], "1 to 64 threads"),
        (["bench", "latency", "--runs", "0"], "1 to 1,000,000 runs"),
        (["bench", "latency", "--warm-up", "-1"], "0 to 10,000 runs"),
        (["bench", "focus", "--fields", "0"], "1 to 100,000 fields"),
        (["bench", "faults", "--workers", "0"], "1 to 256 processes"),
    ],
)
def test_bad_options(refused, arguments, named):
    line = refused(*arguments)
    assert named in line
    assert "--help" in line


def test_bad_models(tmp_path, refused):
    assert "no such file" in refused("model", "show", tmp_path / "absent.tflite")
    assert "a folder" in refused("model", "show", tmp_path)
    picture = tmp_path / "picture.tflite"
    Image.new("RGB", (32, 32)).save(picture, format="PNG")
    assert "not a .tflite model" in refused("model", "show", picture)


def test_a_model_without_a_card(tmp_path, tiny_tflite, refused):
    path = tmp_path / "bare.tflite"
    path.write_bytes(tiny_tflite)
    assert "edge-af-convert" in refused("model", "show", path)


def test_bad_stacks(tmp_path, stack, refused):
    def demo(folder: Path) -> str:
        return refused("demo", "--once", "--json", "--no-model", "--replay", folder)

    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no images" in demo(empty)
    assert "does not exist" in demo(tmp_path / "absent")
    Image.new("RGB", (20, 30)).save(stack / "a_7.png")
    assert "20 x 30 px" in demo(stack)
    assert "File name too long" in demo(tmp_path / ("x" * 300))


def test_a_slice_that_turns_out_to_be_damaged(stack, refused):
    damaged = stack / "a_0.png"
    damaged.write_bytes(damaged.read_bytes()[:4000])
    line = refused("demo", "--once", "--json", "--no-model", "--replay", stack)
    assert "a_0.png cannot be read" in line


def test_frames_too_small_for_the_model(tmp_path, packed_model, refused):
    for z in range(3):
        Image.new("RGB", (31, 40)).save(tmp_path / f"a_{z}.png")
    line = refused("focus", "--replay", tmp_path, "--start-um", 0, "--model", packed_model)
    assert "31 x 40 px" in line


def test_a_name_with_a_line_break_or_no_text_still_gets_one_line(tmp_path, refused):
    assert "no such file" in refused("model", "show", f"{tmp_path}/two\nlines")
    assert "no such file" in refused("model", "show", os.fsdecode(b"\xff.tflite"))


def test_a_reader_that_goes_away_is_not_an_error_to_speak_of(packed_model, stack):
    for arguments in (
        ("model", "show", packed_model, "--json"),
        ("model", "show", packed_model),
        ("demo", "--no-model", "--replay", stack),
        ("--help",),
    ):
        reading, writing = os.pipe()
        os.close(reading)
        done = run_command(*arguments, stdout=writing)
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_that_cannot_be_written_is_said(packed_model):
    with Path("/dev/full").open("w") as full:
        done = run_command("model", "show", packed_model, "--json", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "edge-af: cannot write the output: No space left on device\n"


# --- help, version, completion


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(command, capfd):
    assert main([*command, "--help"]) == 0
    assert f"Example: {' '.join(['edge-af', *command])}" in capfd.readouterr().out


def test_help_loads_nothing_heavy():
    heavy = {"numpy", "PIL", "pydantic", "rich", "ai_edge_litert", "hw.virtual"}
    program = (
        "import sys; from edge_af.cli import main; main(['--help']); "
        f"sys.exit(', '.join({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.stderr == b"\n"
    assert b"Example" in done.stdout


def test_version():
    done = run_command("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"edge-af {version('edge-af')}\n", "")


def test_the_shell_completes_commands():
    request = {
        "_EDGE_AF_COMPLETE": "complete_bash",
        "COMP_WORDS": "edge-af de",
        "COMP_CWORD": "1",
    }
    assert run_command(env=os.environ | request).stdout.split() == ["demo"]


# --- with the model that ships


def test_demo_of_the_installation():
    done = run_command("demo", "--once", "--json", "--fields", "6", "--seed", "7")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert len(document["fields"]) == 6
    assert document["summary"]["crashes"] == 0


@needs_pads
def test_a_real_stack_is_focused_from_every_recorded_start():
    done = run_command("demo", "--once", "--json", "--replay", PADS)
    fields = json.loads(done.stdout)["fields"]
    assert done.returncode == 0
    assert len(fields) == 22
    assert [field["end_um"] for field in fields] == [0.0] * 22
    assert "um/px" in done.stderr
