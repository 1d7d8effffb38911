"""`edge-af doctor` on the machine that runs the tests, whatever it is."""

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "import sys; from edge_af.cli import main; sys.exit(main())")
ALWAYS = {"board", "system", "kernel", "python", "groups", "camera", "gpio", "serial"} | {
    *("model", "runtime", "power", "temperature", "memory", "disk", "clock", "timing")
}


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "doctor", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def examined() -> subprocess.CompletedProcess[str]:
    return doctor("--json")


def test_json_is_all_there_is_and_the_exit_code_says_whether_anything_failed(
    examined: subprocess.CompletedProcess[str],
):
    document = json.loads(examined.stdout)
    statuses = [finding["status"] for finding in document["findings"]]

    assert examined.stderr == ""
    assert document["summary"] == {name: statuses.count(name) for name in ("ok", "warn", "fail")}
    assert examined.returncode == (1 if "fail" in statuses else 0)


def test_every_point_is_examined_and_what_is_not_well_has_a_cure(
    examined: subprocess.CompletedProcess[str],
):
    findings = json.loads(examined.stdout)["findings"]

    assert {finding["name"] for finding in findings} >= ALWAYS
    for finding in findings:
        assert (finding["cure"] is None) == (finding["status"] == "ok"), finding
        assert "the check broke" not in finding["found"]


def test_it_knows_this_machine(examined: subprocess.CompletedProcess[str]):
    found = {one["name"]: one["found"] for one in json.loads(examined.stdout)["findings"]}

    assert platform.release() in found["kernel"]
    assert platform.python_version() in found["python"]
    assert "XNNPACK" in found["runtime"]


def test_a_reader_gets_a_line_for_each_point_and_a_damaged_model_fails(tmp_path: Path):
    damaged = tmp_path / "my.tflite"
    damaged.write_bytes(b"\x1c\0\0\0TFL3")

    done = doctor("--model", str(damaged))

    assert done.returncode == 1
    assert done.stderr == ""
    *lines, summary = done.stdout.splitlines()
    marked = [line for line in lines if line.split()[0] in ("ok", "warn", "fail")]
    cures = [line for line in lines if line.split()[0] == "cure:"]
    assert len(marked) + len(cures) == len(lines)
    (failed,) = (line for line in marked if line.split()[1] == "model")
    assert failed.startswith("fail")
    assert str(damaged) in failed
    assert summary.endswith("fail")
