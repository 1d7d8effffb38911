"""What `edge-af bench latency` says, against arithmetic and the kernel's other account."""

import json
import resource

import pytest

from edge_af.bench.engines import engine
from edge_af.bench.latency import STAGES, Contender, measured, results
from edge_af.bench.limit import CEILING_MODEL, macs
from edge_af.bench.machine import health, machine, resident_mb
from edge_af.bench.start import imports_ms
from edge_af.bench.timing import Timing
from edge_af.cli.bench_latency_view import old_contenders
from edge_af.doctor.system import System
from edge_af.errors import ModelError, UserError
from edge_af.shipped import SHIPPED_MODEL


def test_percentiles_are_those_of_the_samples_in_ms():
    timing = Timing.of([0.001 * n for n in range(101)])  # 0 to 100 ms, evenly
    assert timing == Timing(*map(pytest.approx, (50.0, 95.0, 99.0, 100.0)))


def test_one_sample_is_all_its_percentiles():
    assert Timing.of([0.002]) == Timing(2.0, 2.0, 2.0, 2.0)


def test_contenders_are_timed_stage_by_stage(packed_model):
    contenders = [
        Contender(packed_model, "litert", threads=1, tiles=3),
        Contender(CEILING_MODEL, "litert", threads=1),
    ]
    measured(contenders, range(9), warm_up=4)
    looks, bare = results(contenders)
    assert len(contenders[0].totals_ms) == 5
    assert tuple(looks.stages) == STAGES
    assert looks.total_ms.max <= sum(stage.max for stage in looks.stages.values()) * (1 + 1e-9)
    assert all(looks.total_ms.p50 >= stage.p50 > 0 for stage in looks.stages.values())
    assert looks.load_ms > 0
    assert looks.first_look_ms > 0
    assert looks.model_ms.p50 > 0
    # Without a card there is nothing to look with.
    assert (bare.stages, bare.total_ms, bare.model_ms) == (None, None, None)
    assert min(looks.ratio, bare.ratio) == 1
    # It is the measure of the limit itself.
    assert bare.macs == 32 * 32 * 256 * 256
    assert 0 < bare.ceiling_share <= 1.5


def test_multiplications_are_counted_layer_by_layer():
    # Of a 1 x 1 convolution from 256 to 256 channels at 32 x 32 places.
    assert macs(CEILING_MODEL) == 67_108_864
    assert macs(SHIPPED_MODEL) > 1_000_000


def test_resident_memory_is_what_the_kernel_says_elsewhere():
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    assert 20 < resident_mb() <= most_mb * 1.01


def test_resident_memory_is_read_in_kib(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmRSS:\t  250000 kB\nThreads:\t1\n")
    assert resident_mb(status) == 256.0
    assert resident_mb(tmp_path / "absent") is None


def test_a_pi_says_how_warm_and_how_fast_it_is(tmp_path):
    zone = tmp_path / "sys/class/thermal/thermal_zone0/temp"
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    zone.parent.mkdir(parents=True)
    cpu.mkdir(parents=True)
    zone.write_text("61200\n")
    (cpu / "scaling_governor").write_text("ondemand\n")
    (cpu / "scaling_cur_freq").write_text("1800000\n")
    system = System(tmp_path)
    assert machine(system).governor == "ondemand"
    assert (health(system).temperature_c, health(system).clock_mhz) == (61.2, 1800)
    nothing = health(System(tmp_path / "absent"))
    assert (nothing.temperature_c, nothing.clock_mhz, nothing.throttled) == (None, None, None)


def test_imports_are_summed_by_package():
    log = """an unrelated line
import time: self [us] | cumulative | imported package
import time:       500 |        500 |   numpy.linalg
import time:      1200 |       1700 | numpy
import time:      2000 |       2000 |     edge_af.run
"""
    assert list(imports_ms(log).items()) == [("edge_af", 2.0), ("numpy", 1.7)]


def test_what_cannot_run_is_named(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        Contender(tmp_path / "absent.tflite", "litert", threads=1)
    with pytest.raises(UserError, match="there are litert"):
        engine(CEILING_MODEL, "tensorrt", 1)
    with pytest.raises(UserError, match="not installed"):
        engine(CEILING_MODEL, "tflite-runtime", 1)


def test_an_earlier_run_is_read_back_or_refused(tmp_path):
    path = tmp_path / "old.json"
    one = {"model": "a", "runtime": "litert", "threads": 1}
    path.write_text(json.dumps({"contenders": [one]}))
    assert old_contenders(path) == {("a", "litert", 1): one}
    for content in ("{", "[]", '{"contenders": [{}]}', '{"contenders": 3}'):
        path.write_text(content)
        with pytest.raises(UserError, match="not what `edge-af bench latency --json` prints"):
            old_contenders(path)
    with pytest.raises(UserError, match="no such file"):
        old_contenders(tmp_path / "absent.json")
