"""`edge-af config` and `edge-af history`, and the page of the settings."""

import csv
import io
import json
import os
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import TypeAdapter
from test_config import CALIBRATION, PI

from edge_af.cli import main
from edge_af.config import Config, read_config
from edge_af.configuring.schema import all_settings, kinds, meanings, tables_in
from edge_af.configuring.template import default_toml, toml_value
from edge_af.journal import Journal
from edge_af.journal_file import Entry
from edge_af.state_file import State, write_state

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("EDGE_AF_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path):
    """Write settings, whose state is kept in `tmp_path`, and return the file."""

    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(f'state_folder = "{tmp_path}"\n{text}')
        return path

    return write


@pytest.fixture
def edge_af(capfd):
    """Run a command in this process; return its exit code, output and complaints."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        return code, *capfd.readouterr()

    return run


# --- check


def test_settings_without_a_mistake(edge_af, config):
    path = config("[virtual]\n")
    assert edge_af("config", "check", "--config", path) == (0, f"{path}: no mistakes\n", "")
    code, out, _ = edge_af("config", "check", "--json", "--config", path)
    assert (code, json.loads(out)) == (0, {"file": str(path), "faults": []})


def test_every_mistake_is_named(edge_af, config, monkeypatch):
    wrong = PI.replace("step_um", "stepum").replace("= 10\n", '= "ten"\n')
    path = config(f"{wrong}[gard]\n[focus]\na = 1\n")
    monkeypatch.setenv("EDGE_AF_GUARD__BACKLASH_UM", "wide")
    monkeypatch.setenv("EDGE_AF_FOCUS_CERTAINTY", "0.9")
    code, out, err = edge_af("config", "check", "--config", path)
    assert (code, err) == (1, "")
    for says in (
        f"{path}: camera.magnification = 'ten': input should be a valid number",
        f"{path}: stage.step_um is missing",
        f"{path}: there is no setting stage.stepum; did you mean step_um?",
        f"{path}: there is no setting gard; did you mean guard?",
        f"{path}: there is no setting focus.a; known: tolerance_um",
        "EDGE_AF_GUARD__BACKLASH_UM: guard.backlash_um = 'wide': input should be a valid number",
        "the environment has EDGE_AF_FOCUS_CERTAINTY, which is no setting; did you mean "
        "EDGE_AF_FOCUS__CERTAINTY?",
    ):
        assert sum(line.startswith(says) for line in out.splitlines()) == 1, says
    assert out.count("\n") == 7
    code, out, _ = edge_af("config", "check", "--json", "--config", path)
    assert (code, len(json.loads(out)["faults"])) == (1, 7)


def test_any_other_command_names_the_first_mistake(edge_af, config):
    path = config("[virtual]\nsede = 1\ndefocus = 2\n")
    code, out, err = edge_af("focus", "--config", path)
    assert (code, out) == (2, "")
    assert "virtual.sede; did you mean seed? (and 1 more: see `edge-af config check`)" in err


def test_what_the_settings_say_of_other_things_is_checked_too(edge_af, config, tmp_path):
    path = config(
        f'model = "{tmp_path}/none.tflite"\n[virtual]\n[guard]\nsoft_low_um = 1\nsoft_high_um = 2\n'
    )
    code, out, _ = edge_af("config", "check", "--config", path)
    assert code == 1
    limits, model = out.splitlines()
    assert "soft limits from 1 um to 2 um leave no room" in limits
    assert f"{tmp_path}/none.tflite" in model
    (tmp_path / "state.json").write_text("{")
    _, out, _ = edge_af("config", "check", "--config", config("[virtual]\n"))
    assert "state.json is damaged" in out


def test_what_is_no_file_of_settings(edge_af, config, tmp_path):
    for path, says in (
        (tmp_path / "absent.toml", "`edge-af config default` prints one"),
        (config("[virtual"), "is not TOML"),
    ):
        code, out, err = edge_af("config", "check", "--config", path)
        assert (code, out) == (2, "")
        assert says in err


# --- show


def test_every_setting_in_force_with_its_origin(edge_af, config, monkeypatch, tmp_path):
    path = config(PI)
    write_state(tmp_path, State(calibration=CALIBRATION))
    monkeypatch.setenv("EDGE_AF_FOCUS__TOLERANCE_UM", "0.3")
    monkeypatch.setenv("EDGE_AF_CAMERA__FRAME_PX", "[640, 480]")
    code, out, err = edge_af("config", "show", "--json", "--config", path)
    assert (code, err) == (0, "")
    shown = json.loads(out)["settings"]
    measured = "calibration of 2026-01-02 00:00 UTC"
    for name, value, origin in (
        ("focus.tolerance_um", 0.3, "EDGE_AF_FOCUS__TOLERANCE_UM"),
        ("camera.frame_px", [640, 480], "EDGE_AF_CAMERA__FRAME_PX"),
        ("focus.certainty", 0.93, "default"),
        ("stage.kind", "grbl", "file"),
        ("stage.rate_um_per_s", 100.0, "file"),
        ("stage.step_um", 0.0625, measured),
        ("stage.reversed", True, measured),
        ("guard.backlash_um", 2.5, measured),
        ("camera.exposure_us", None, "default"),
        ("state_folder", str(tmp_path), "file"),
    ):
        assert shown[name] == {"value": value, "origin": origin}


def test_what_is_shown_can_be_read_again(edge_af, config, tmp_path):
    for text in (PI, "[virtual]\nseed = 4\n[history]\nkeep_rows = 500\n"):
        path = config(text)
        code, out, _ = edge_af("config", "show", "--config", path)
        assert code == 0
        again = tmp_path / "again.toml"
        again.write_text(out)
        bounded = {"sweep_reach_um", "travel_budget_um"}  # as this one was never calibrated
        assert "travel_budget_um = 100.0                # not calibrated" in out
        exclude = {"focus": bounded}
        assert read_config(again).model_dump(exclude=exclude) == read_config(path).model_dump(
            exclude=exclude
        )


# --- default


def uncommented(text, title, number=0):
    """The settings of one of the tables of that title, each with its `#` taken away."""
    found, inside = [], False
    for line in text.splitlines():
        bare = line.removeprefix("#")
        if bare.startswith("[") and not line.startswith("# "):
            inside = bare == f"[{title}]"
            if inside:
                found.append([])
        elif inside and " = " in bare and not line.startswith("# "):
            found[-1].append(bare)
    return tomllib.loads("\n".join(found[number]))


TABLES = [
    ((name,), number, table)
    for name, field in Config.model_fields.items()
    for number, table in enumerate(tables_in(field.annotation))
]
TABLES += [
    ((*names, name), 0, inner)
    for names, _, table in TABLES
    for name, field in table.model_fields.items()
    for inner in tables_in(field.annotation)
]


def test_the_default_file_is_valid_and_says_what_holds_without_it(edge_af, tmp_path):
    code, out, err = edge_af("config", "default")
    assert (code, err) == (0, "")
    path = tmp_path / "config.toml"
    path.write_text(f'state_folder = "{tmp_path}"\n{out}')
    assert edge_af("config", "check", "--config", path)[:2] == (0, f"{path}: no mistakes\n")
    config = read_config(path)
    assert (config.camera.kind, config.stage.kind, config.virtual) == ("picamera", "step_dir", None)
    assert config.focus == type(config.focus)()
    assert config.guard == type(config.guard)()
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("names", "number", "table"), TABLES, ids=lambda value: getattr(value, "__name__", None)
)
def test_every_setting_is_there_explained_with_its_default_or_an_example(names, number, table):
    shown = uncommented(default_toml(Config), ".".join(names), number)
    plain = {n: f for n, f in table.model_fields.items() if not tables_in(f.annotation)}
    assert set(shown) == set(plain)
    assert set(meanings(table)) == set(table.model_fields)
    for name, field in plain.items():
        takes = TypeAdapter(Annotated[field.annotation, name, *field.metadata])
        value = takes.validate_python(shown[name])
        if not field.is_required() and field.default is not None and not field.default_factory:
            assert value == field.default
    if "kind" in plain:
        assert shown["kind"] == kinds(table)[0]


def test_all_kinds_of_stage_can_be_taken_as_they_stand():
    text = default_toml(Config)
    camera = uncommented(text, "camera")
    seen = []
    for number in range(4):
        stage = uncommented(text, "stage", number)
        config = Config.model_validate({"camera": camera, "stage": stage})
        seen.append(config.stage.kind)
    assert seen == ["step_dir", "four_phase", "grbl", "sangaboard"]
    stage = uncommented(text, "stage") | {"end_stop": uncommented(text, "stage.end_stop")}
    assert Config.model_validate({"camera": camera, "stage": stage}).stage.end_stop.pin == 4
    assert Config.model_validate({"virtual": uncommented(text, "virtual")}).virtual.seed == 1


def test_the_page_shows_the_default_file_as_it_is():
    page = (ROOT / "docs" / "settings.md").read_text()
    shown = page.split("```toml\n")[1].split("```")[0]
    assert shown == default_toml(Config), (
        "docs/settings.md is stale: edge-af config default | sed -i -e '/^```toml$/,/^```$/{//!d}' "
        "-e '/^```toml$/r /dev/stdin' docs/settings.md"
    )


@pytest.mark.parametrize("value", ['a "b" \\ \n\t\x7f é \U0001f52c', True, 3, -0.25, 1e-9, 1e22])
def test_values_survive_toml(value):
    text = toml_value([value, [value]])
    assert tomllib.loads(f"a = {text}")["a"] == [value, [value]]


def test_no_two_settings_share_a_variable_of_the_environment():
    names = set(all_settings(Config))
    assert len({"__".join(one).upper() for one in names}) == len(names) > 80


# --- history


NOW = datetime.now(UTC)


@pytest.fixture
def kept(config, tmp_path):
    """Settings, and a history of 30 focuses a minute apart, of which two found none, and a move."""
    path = config("[virtual]\n")
    with Journal(tmp_path) as journal:
        for number in range(30):
            journal.add(
                Entry(
                    at=NOW - timedelta(minutes=30 - number),
                    kind="focus",
                    outcome="abstained" if number in (4, 5) else "focused",
                    end_um=number / 4,
                    note="with, comma" if number == 4 else "",
                )
            )
        journal.add(Entry(at=NOW, kind="move", outcome="done", start_um=1.0, end_um=2.0))
    return path


def test_history_shows_the_latest_last(edge_af, kept):
    code, out, err = edge_af("history", "--config", kept)
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head.split() == [
        *("time", "kind", "outcome", "start", "um", "end", "um", "method", "frames", "moves"),
        *("time", "s", "note"),
    ]
    assert len(lines) == 20
    local = NOW.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    assert lines[-1].split() == [*local.split(), "move", "done", "1.00", "2.00"]


def test_history_as_json(edge_af, kept):
    code, out, _ = edge_af("history", "--json", "--config", kept)
    entries = json.loads(out)["entries"]
    assert (code, len(entries)) == (0, 31)
    assert set(entries[0]) == set(Entry.model_fields)
    assert datetime.fromisoformat(entries[-1]["at"]) == NOW.replace(
        microsecond=NOW.microsecond // 1000 * 1000
    )


def test_history_of_the_last_minutes(edge_af, kept):
    began = datetime.now(UTC)
    _, out, _ = edge_af("history", "--json", "--config", kept, "--since", "10m")
    ended = datetime.now(UTC)
    shown = [datetime.fromisoformat(entry["at"]) for entry in json.loads(out)["entries"]]
    _, out, _ = edge_af("history", "--json", "--config", kept)
    all_of_them = [datetime.fromisoformat(entry["at"]) for entry in json.loads(out)["entries"]]
    assert all(at >= began - timedelta(minutes=10) for at in shown)
    assert all(at in shown for at in all_of_them if at >= ended - timedelta(minutes=10))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--since", "2w", "--limit", "7"), 7),
        (("--since", (NOW - timedelta(minutes=5, seconds=1)).isoformat()), 6),
        (("--since", f"{NOW.astimezone() + timedelta(hours=1):%Y-%m-%dT%H:%M}"), 0),
        (("--kind", "move"), 1),
        (("--kind", "fault"), 0),
    ],
)
def test_history_is_narrowed_down(edge_af, kept, options, count):
    code, out, _ = edge_af("history", "--json", "--config", kept, *options)
    assert (code, len(json.loads(out)["entries"])) == (0, count)


def test_history_as_csv(edge_af, kept, tmp_path):
    code, out, err = edge_af("history", "--csv", "-", "--config", kept)
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == list(Entry.model_fields)
    assert (len(rows), rows[4]["note"], rows[4]["end_um"]) == (31, "with, comma", "1.0")
    file = tmp_path / "week.csv"
    assert edge_af("history", "--csv", file, "--config", kept) == (0, "", "")
    assert file.read_text() == out


def test_history_as_a_plot(edge_af, kept):
    code, out, _ = edge_af("history", "--plot", "--config", kept)
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split()[0] == "7.25"
    assert lines[1].endswith("*")
    assert lines[12].lstrip().startswith("0.00 |*")
    marks = "".join(line.partition("|")[2] for line in lines[1:13])
    assert (marks.count("*"), marks.count("x")) == (28, 2)
    _, out, _ = edge_af("history", "--plot", "--kind", "fault", "--config", kept)
    assert out == "nothing to plot\n"


def test_history_that_is_not_there_or_damaged(edge_af, config, tmp_path):
    path = config("[virtual]\n")
    code, out, err = edge_af("history", "--json", "--config", path)
    assert (code, json.loads(out)) == (0, {"entries": []})
    assert "there is no" in err
    (tmp_path / "history.sqlite").write_bytes(b"no database at all" * 100)
    code, out, err = edge_af("history", "--config", path)
    assert (code, out) == (1, "")
    assert "the service puts it aside" in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--since", "yesterday"), "is no time: give a date such as"),
        (("--since", "999999w"), "is no time: give a date such as"),
        (("--kind", "fokus"), "fokus"),
        (("--limit", "0"), "0 is not from 1 to"),
        (("--plot", "--json"), "give one of them"),
    ],
)
def test_history_refuses_what_makes_no_sense(edge_af, kept, options, says):
    code, out, err = edge_af("history", "--config", kept, *options)
    assert (code, out) == (2, "")
    assert says in err


# --- completion


def test_the_shell_can_be_taught_to_complete(tmp_path):
    command = "import sys; from edge_af.cli import main; sys.exit(main())"
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SHELL": "/bin/bash"}

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", command, *arguments],
            cwd=ROOT,
            env=home | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert "--install-completion" in run("--help").stdout
    done = run("--install-completion", "bash")
    assert done.returncode == 0, done.stderr
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_EDGE_AF_COMPLETE" in script.read_text()
    for words, expected in (("edge-af hi", "history"), ("edge-af config d", "default")):
        done = run(
            _EDGE_AF_COMPLETE="complete_bash",
            COMP_WORDS=words,
            COMP_CWORD=str(words.count(" ")),
        )
        assert done.stdout.split() == [expected]
