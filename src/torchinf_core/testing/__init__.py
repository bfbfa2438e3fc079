"""A loopback hub with programmable faults, for tests, demos and plugin authors.

::

    from torchinf_core.testing import Hub, faults

    with Hub() as hub:
        url = hub.add("/model.onnx", content)
        hub.fail("/model.onnx", faults.cut(0.5), faults.status(503).repeat(2))
        ...
        assert hub.bytes_sent("/model.onnx") < 1.1 * len(content)

:mod:`~torchinf_core.testing.huggingface` and :mod:`~torchinf_core.testing.github`
let it speak the protocols of those hubs.

``SourceConformance`` and ``RuntimeConformance`` are the kit that a plugin's tests
subclass; see :mod:`torchinf_core.conformance`.  With :func:`forward` a real server on
this machine answers for the source's.
"""

from torchinf_core.conformance import (
    Conformance,
    NotChecked,
    RuntimeConformance,
    SourceConformance,
)
from torchinf_core.testing import faults
from torchinf_core.testing.faults import Fault
from torchinf_core.testing.forwarding import forward
from torchinf_core.testing.hub import Hub
from torchinf_core.testing.messages import Reply, Request, Resource, plain, serve
from torchinf_core.testing.server import Exchange
from torchinf_core.testing.tls import Certificate, have_openssl

__all__ = [
    "Certificate",
    "Conformance",
    "Exchange",
    "Fault",
    "Hub",
    "NotChecked",
    "Reply",
    "Request",
    "Resource",
    "RuntimeConformance",
    "SourceConformance",
    "faults",
    "forward",
    "have_openssl",
    "plain",
    "serve",
]
