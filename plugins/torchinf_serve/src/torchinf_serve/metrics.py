"""What the server counts, in the words of Prometheus.

Predictions are counted thousands of times a second, so the hot path adds to plain
numbers of the event loop's thread, without a lock or a label looked up; they become
Prometheus' own types only when somebody asks for them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


class Histogram:
    """Values by size; one thread adds to it.

    Args:
        bounds: upper end of each bucket, ascending; a last one without end is added.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count a value, several times where it is that of a whole batch."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        """How many values were added."""
        return sum(self.counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Upper end as a text and how many values are below it, as Prometheus wants them."""
        rising, made = 0, []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            rising += count
            made.append((bound, float(rising)))
        return made


class ModelMetrics:
    """What is counted for one model.

    Attributes:
        queued, computed, total: seconds of a prediction until it is begun, in the
            model, and in all.
        rows: items in one call of the model.
        outcomes: ``ok``, ``failed``, ``refused``, ``left`` (the client went before
            its turn) → how many predictions ended so.
        waiting: tells how many wait now.
    """

    __slots__ = ("computed", "loads", "outcomes", "queued", "rows", "total", "waiting")

    def __init__(self) -> None:
        self.queued = Histogram(SECONDS)
        self.computed = Histogram(SECONDS)
        self.total = Histogram(SECONDS)
        self.rows = Histogram(ROWS)
        self.loads = Histogram(SECONDS)
        self.outcomes: dict[str, int] = {}
        self.waiting: Callable[[], int] = int

    def ended(self, outcome: str, times: int = 1) -> None:
        """Count predictions that ended so."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + times


class Metrics(Collector):
    """All figures of one server process, on a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._models: dict[str, ModelMetrics] = {}
        self._requests: dict[tuple[str, str, str], Histogram] = {}
        self._jobs: dict[tuple[str, str], Histogram] = {}
        self._bytes: dict[str, int] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._queue = 0
        self._loaded: Callable[[], int] = int
        self._registry.register(self)

    def model(self, name: str) -> ModelMetrics:
        """What is counted for a model, for those who add to it often."""
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = ModelMetrics()
        return found

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """An answered request.

        Args:
            method: ``GET``, ``POST``, …
            route: as the server declares it, such as ``/models/{name}/predict``;
                never the path itself, which clients can make up without end.
            status: of the answer.
            seconds: from its first byte to its last.
        """
        key = (method, route, str(status))
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = Histogram(SECONDS)
        found.add(seconds)

    def job_finished(
        self, source: str, outcome: str, size: int, seconds: float, failure: str = ""
    ) -> None:
        """A download that ended.

        Args:
            source: name of the source.
            outcome: ``done``, ``failed``, ``cancelled`` or ``interrupted``.
            size: bytes that were fetched.
            seconds: it ran.
            failure: name of the error's type.
        """
        found = self._jobs.setdefault((source, outcome), Histogram(LONG))
        found.add(seconds)
        self._bytes[source] = self._bytes.get(source, 0) + size
        if failure:
            key = (source, failure)
            self._failures[key] = self._failures.get(key, 0) + 1

    def queue(self, depth: int) -> None:
        """How many downloads wait now."""
        self._queue = depth

    def watch_loaded(self, tell: Callable[[], int]) -> None:
        """Have ``tell`` asked how many models are in memory."""
        self._loaded = tell

    def render(self) -> tuple[bytes, str]:
        """The text that Prometheus reads, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def collect(self) -> Iterator[Metric]:
        """Everything, as prometheus_client's types."""
        yield from self._of_requests()
        yield from self._of_downloads()
        yield from self._of_models()

    # INSIDE

    def _of_requests(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(
            "torchinf_request_seconds",
            "Time from a request to the end of its answer.",
            labels=("method", "route", "status"),
        )
        for key, histogram in list(self._requests.items()):
            family.add_metric(key, histogram.buckets(), histogram.total)
        yield family

    def _of_downloads(self) -> Iterator[Metric]:
        runs = HistogramMetricFamily(
            "torchinf_download_seconds",
            "Time a download ran.",
            labels=("source", "outcome"),
        )
        for key, histogram in list(self._jobs.items()):
            runs.add_metric(key, histogram.buckets(), histogram.total)
        yield runs
        size = CounterMetricFamily(
            "torchinf_download_bytes", "Bytes fetched by downloads.", labels=("source",)
        )
        for source, count in list(self._bytes.items()):
            size.add_metric((source,), count)
        yield size
        failures = CounterMetricFamily(
            "torchinf_download_failures",
            "Downloads that failed, by the type of the error.",
            labels=("source", "type"),
        )
        for key, count in list(self._failures.items()):
            failures.add_metric(key, count)
        yield failures
        yield GaugeMetricFamily(
            "torchinf_download_queue", "Downloads that wait.", value=self._queue
        )

    def _of_models(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            "torchinf_prediction_seconds",
            "Time of a prediction by stage: queue, compute, total.",
            labels=("model", "stage"),
        )
        rows = HistogramMetricFamily(
            "torchinf_batch_rows", "Items in one call of a model.", labels=("model",)
        )
        loads = HistogramMetricFamily(
            "torchinf_model_load_seconds", "Time to load a model and warm it up.", labels=("model",)
        )
        ends = CounterMetricFamily(
            "torchinf_predictions", "Predictions by how they ended.", labels=("model", "outcome")
        )
        waiting = GaugeMetricFamily(
            "torchinf_prediction_queue", "Predictions that wait.", labels=("model",)
        )
        for name, model in list(self._models.items()):
            for stage, histogram in (
                ("queue", model.queued),
                ("compute", model.computed),
                ("total", model.total),
            ):
                stages.add_metric((name, stage), histogram.buckets(), histogram.total)
            rows.add_metric((name,), model.rows.buckets(), model.rows.total)
            loads.add_metric((name,), model.loads.buckets(), model.loads.total)
            for outcome, count in list(model.outcomes.items()):
                ends.add_metric((name, outcome), count)
            waiting.add_metric((name,), model.waiting())
        yield from (stages, rows, loads, ends, waiting)
        yield GaugeMetricFamily("torchinf_models_loaded", "Models in memory.", value=self._loaded())
