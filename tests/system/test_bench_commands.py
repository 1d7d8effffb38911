"""`edge-af bench`: what its commands count, and what they print."""

import json

from edge_af.cli import main


def test_bench_latency_counts_its_runs(packed_model, tmp_path, capfd):
    arguments = ["bench", "latency", "--model", str(packed_model), "--runs", "3", "--warm-up", "1"]
    assert main([*arguments, "--threads", "2", "--json"]) == 0
    printed = capfd.readouterr()
    document = json.loads(printed.out)
    assert (document["runs"], document["threads"], document["tiles"]) == (3, 2, 12)
    assert document["runtime"] == "litert"
    stages = ("acquire", "tile", "transform", "invoke", "decode", "decide")
    for name in (*stages, "total", "model", "bare_invoke"):
        timing = document[f"{name}_ms"]
        assert 0 < timing["p50"] <= timing["p95"] <= timing["p99"] <= timing["max"]
    assert printed.err == ""
    old = tmp_path / "old.json"
    old.write_text(printed.out)
    assert main([*arguments, "--threads", "2", "--compare", str(old), "--plot"]) == 0
    shown = capfd.readouterr().out
    for said in ("transform", "was p50", "total of each look"):
        assert said in shown


def test_bench_focus_compares_methods_on_the_same_fields(capfd):
    arguments = ["bench", "focus", "--fields", "1", "--method", "two_frame_difference"]
    assert main([*arguments, "--method", "single_shot", "--json"]) == 0
    printed = capfd.readouterr()
    document = json.loads(printed.out)
    assert [one["method"] for one in document["methods"]] == ["two_frame_difference", "single_shot"]
    keys = "success median_error_um p95_error_um median_frames median_moves median_time_s"
    for one in document["methods"]:
        assert {*keys.split(), "false_direction", "limit_hits", "crashes"} <= one.keys()
    starts = {(run["field"], run["start_um"]) for run in document["runs"]}
    assert len(document["runs"]) == 4  # each method on one field and on an empty one
    assert len(starts) == 2
    assert printed.err == ""
    assert main([*arguments, "--plot"]) == 0
    shown = capfd.readouterr().out
    for said in ("by field class", "by backlash", "success, %", "A two_frame_difference"):
        assert said in shown


def test_bench_faults_counts_its_injections(capfd):
    arguments = ["bench", "faults", "--injections", "2", "--fault", "black frames"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    (line,) = document["faults"]
    assert (line["fault"], line["injections"], line["holds"]) == ("black frames", 2, True)
    assert len(document["trials"]) == 2
    assert main(arguments) == 0
    assert "wrongly trusted" in capfd.readouterr().out


def test_bench_start_times_the_help_and_the_service(capfd):
    assert main(["bench", "start", "--runs", "1", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    timed = ("python_ms", "help_extra_ms", "ready_ms")
    assert all(document[name]["p50"] > 0 for name in timed)
    assert document["ready_ms"]["p50"] > document["help_extra_ms"]["p50"]
    slowest = list(document["imports_ms"].values())
    assert slowest == sorted(slowest, reverse=True)
    assert {"edge_af", "numpy", "fastapi", "pydantic"} <= document["imports_ms"].keys()
    assert main(["bench", "start", "--runs", "1"]) == 0
    assert "all others" in capfd.readouterr().out


def test_bench_start_says_why_the_service_did_not_come_up(capfd, monkeypatch):
    monkeypatch.setenv("EDGE_AF_FOCUS__CERTAINTY", "certain")
    assert main(["bench", "start", "--runs", "1"]) == 2
    said = capfd.readouterr().err
    assert "the service ended" in said
    assert "certainty" in said
    assert "Traceback" not in said
