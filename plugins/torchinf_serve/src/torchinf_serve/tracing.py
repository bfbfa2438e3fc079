"""Spans of OpenTelemetry where it is installed and set up; else nothing, at no cost.

Only its API is used: which exporter the spans go to is for whoever starts the server,
for example ``opentelemetry-instrument torchinf serve``.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any


class Tracing:
    """Asked once, when the server starts, whether anybody records spans."""

    def __init__(self) -> None:
        self._trace: Any = None
        self._tracer: Any = None
        self._propagate: Any = None
        if find_spec("opentelemetry") is None:
            return
        try:
            trace = import_module("opentelemetry.trace")
            propagate = import_module("opentelemetry.propagate")
        except ImportError:
            return
        provider = trace.get_tracer_provider()
        # The API alone gives a stand-in, whose spans nobody records.
        if type(provider).__name__ in ("ProxyTracerProvider", "NoOpTracerProvider"):
            return
        self._trace, self._propagate = trace, propagate
        self._tracer = provider.get_tracer("torchinf_serve")

    @property
    def active(self) -> bool:
        """True when somebody records spans."""
        return self._tracer is not None

    def begin(self, name: str, headers: list[tuple[bytes, bytes]], **attributes: Any) -> Any:
        """Begin a span below the one that the request's headers name; None where inactive.

        Args:
            name: of the span.
            headers: of the request, as ASGI has them.
            attributes: texts and numbers.
        """
        if self._tracer is None:
            return None
        carrier = {
            key.decode("latin-1"): value.decode("latin-1")
            for key, value in headers
            if key in (b"traceparent", b"tracestate", b"baggage")
        }
        context = self._propagate.extract(carrier)
        kind = self._trace.SpanKind.SERVER
        return self._tracer.start_span(name, context=context, kind=kind, attributes=attributes)

    def end(
        self, span: Any, attributes: Mapping[str, Any], error: BaseException | None = None
    ) -> None:
        """End a span that :meth:`begin` gave.

        Args:
            span: or None.
            attributes: what became known meanwhile.
            error: that it ended with.
        """
        if span is None:
            return
        span.set_attributes(attributes)
        if error is not None:
            span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
        span.end()
