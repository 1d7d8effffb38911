"""What `edge-af bench latency` says, against arithmetic and the kernel's other account."""

import resource

import pytest

from edge_af.bench.latency import Timing, load, look_latency, resident_mb
from edge_af.errors import ModelError


def test_percentiles_are_those_of_the_samples_in_ms():
    timing = Timing.of([0.001 * n for n in range(101)])  # 0 to 100 ms, evenly
    assert timing == Timing(*map(pytest.approx, (50.0, 95.0, 99.0, 100.0)))


def test_one_sample_is_all_its_percentiles():
    assert Timing.of([0.002]) == Timing(2.0, 2.0, 2.0, 2.0)


def test_a_look_is_timed_stage_by_stage(packed_model):
    classifier, load_ms = load(packed_model, threads=1)
    result = look_latency(classifier, range(9), warm_up=4)
    assert load_ms > 0
    assert (result.runs, result.frame_px) == (5, (480, 640))
    assert result.tiles == 12  # the most that are taken; 300 tiles of 32 px lie in the frame
    stages = (result.preprocess_ms, result.invoke_ms, result.decode_ms)
    assert result.total_ms.max <= sum(stage.max for stage in stages) * (1 + 1e-9)
    assert all(result.total_ms.median >= stage.median > 0 for stage in stages)
    assert 0 < result.invoke_tile_ms.max <= result.invoke_ms.max


def test_resident_memory_is_what_the_kernel_says_elsewhere():
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 20 < resident_mb() <= most_mb * 1.01


def test_resident_memory_is_read_in_kib(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmRSS:\t  250000 kB\nThreads:\t1\n")
    assert resident_mb(status) == 256.0
    assert resident_mb(tmp_path / "absent") is None


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "absent.tflite", threads=1)
