"""What Prometheus may ask: https://prometheus.io/docs/practices/naming."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric

from edge_af.instrument import State
from edge_af.service.models import Event, FocusAnswer, Job, Status

MEDIA_TYPE = CONTENT_TYPE_LATEST
_FOCUS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Metrics:
    """Counts what events tell, and asks for the rest when it is read."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(status))
        self._jobs = Counter(
            "edge_af_jobs", "Commands that have ended.", ("kind", "state"), registry=self._registry
        )
        self._focuses = Counter(
            "edge_af_focuses", "Focus commands.", ("outcome", "method"), registry=self._registry
        )
        self._focus_s = Histogram(
            "edge_af_focus_seconds", "Time of a focus.", buckets=_FOCUS_S, registry=self._registry
        )

    def count(self, event: Event) -> None:
        """Take an event into account. A job must not come twice with its end."""
        job = event.data
        if not isinstance(job, Job) or not job.ended:
            return
        self._jobs.labels(job.kind, job.state).inc()
        if job.kind == "focus" and job.result is not None:
            answer = FocusAnswer.model_validate(job.result)
            self._focuses.labels(answer.outcome, answer.method).inc()
            self._focus_s.observe(answer.time_s)

    def text(self) -> bytes:
        """Return all of it in Prometheus' format, of MEDIA_TYPE."""
        return generate_latest(self._registry)


class _Gauges:
    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def describe(self) -> Iterator[Metric]:
        """Keep the registry from asking for values when this is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield what the instrument says now; what it does not know is left out."""
        status = self._status()
        yield InfoMetricFamily(
            "edge_af", "Software.", {"version": status.version, "model": status.model or ""}
        )
        state = StateSetMetricFamily("edge_af_state", "What the instrument does.", labels=())
        state.add_metric((), {one.value: one is status.state for one in State})
        yield state
        for name, meaning, value in (
            ("position_micrometers", "Counted stage position.", status.position_um),
            ("position_trusted", "Whether the count is right.", status.trusted),
            ("tracking", "Whether it holds the focus.", status.tracking),
            ("calibrated", "Whether it was measured.", status.calibrated),
            ("fault", "Whether there is a fault.", status.fault is not None),
            ("frames_per_second", "Frames taken.", status.frames_per_s),
            ("processor_celsius", "Temperature.", status.temperature_c),
            ("throttled", "Complaints of the Pi's firmware.", len(status.throttled)),
            ("uptime_seconds", "Since the service started.", status.uptime_s),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"edge_af_{name}", meaning, float(value))
