"""The plugins keep the contract of every plugin; what their wrappers do, the other tests show."""

import torchinf_audit
import torchinf_mirror

from torchinf_core.testing import Conformance


class TestAudit(Conformance):
    """The wrapper of fetch."""

    plugin = torchinf_audit


class TestMirror(Conformance):
    """The wrapper of resolve."""

    plugin = torchinf_mirror
