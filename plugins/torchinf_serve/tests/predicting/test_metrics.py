"""What is counted, as Prometheus reads it."""

from __future__ import annotations

import importlib

from prometheus_client.parser import text_string_to_metric_families

from torchinf_serve.metrics import Histogram, Metrics
from torchinf_serve.tracing import Tracing


def read(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_predictions_are_counted_by_model_outcome_and_stage(toys, serve):
    toys.toy("toy")
    with serve(toys) as server, server.client() as client:
        for _ in range(3):
            server.predict("toy", [[1, 0, 0, 0]])
        server.predict("toy", [[666, 0, 0, 0]])
        found = read(client.get("/metrics").text)
    assert found["torchinf_predictions_total", ("ok", "toy")] == 3
    assert found["torchinf_predictions_total", ("failed", "toy")] == 1
    for stage in ("queue", "compute", "total"):
        assert found["torchinf_prediction_seconds_count", (stage, "toy")] == 4
    assert found["torchinf_batch_rows_bucket", ("1.0", "toy")] == 4
    assert found["torchinf_model_load_seconds_count", ("toy",)] == 1
    assert found["torchinf_models_loaded", ()] == 1
    assert found["torchinf_prediction_queue", ("toy",)] == 0


def test_requests_and_downloads_are_counted():
    metrics = Metrics()
    metrics.request("GET", "/models/available", 200, 0.003)
    metrics.request("GET", "/models/available", 200, 0.3)
    metrics.job_finished("url", "done", 1000, 2.0)
    metrics.job_finished("url", "failed", 24, 0.5, "NetworkError")
    metrics.queue(5)
    body, kind = metrics.render()
    assert kind.startswith("text/plain")
    found = read(body.decode())
    key = tuple(sorted(("/models/available", "200", "GET")))
    assert found["torchinf_request_seconds_count", key] == 2
    assert found["torchinf_request_seconds_sum", key] == 0.303
    assert found["torchinf_download_bytes_total", ("url",)] == 1024
    assert found["torchinf_download_failures_total", ("NetworkError", "url")] == 1
    assert found["torchinf_download_seconds_count", ("done", "url")] == 1
    assert found["torchinf_download_queue", ()] == 5


def test_a_value_on_a_bound_belongs_below_it():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 3.0):
        histogram.add(value)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == 6.0


def test_nothing_is_traced_where_nobody_records():
    tracing = Tracing()
    assert not tracing.active
    assert tracing.begin("predict", []) is None
    tracing.end(None, {})


def test_spans_join_the_trace_of_the_client(toys, serve, monkeypatch):
    import pytest

    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    simple = importlib.import_module("opentelemetry.sdk.trace.export")
    trace = importlib.import_module("opentelemetry.trace")
    memory = export.InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(simple.SimpleSpanProcessor(memory))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    toys.toy("toy")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with serve(toys) as server, server.client(headers={"traceparent": parent}) as client:
        client.post("/models/toy/predict", json={"inputs": [[1, 0, 0, 0]]})
        client.post("/models/toy/predict", json={"inputs": [[666, 0, 0, 0]]})
    good, bad = memory.get_finished_spans()
    assert f"{good.context.trace_id:032x}" == parent.split("-")[1]
    assert good.attributes["torchinf.model"] == "toy"
    assert good.attributes["torchinf.batch_rows"] == 1
    assert good.status.is_ok
    assert bad.status.status_code.name == "ERROR"
