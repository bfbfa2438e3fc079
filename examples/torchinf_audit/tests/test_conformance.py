"""The plugins keep the contract of wrappers; what their users see, the other tests show."""

from typing import ClassVar

import torchinf_audit
import torchinf_mirror

from torchinf_core.testing import Conformance


class TestAudit(Conformance):
    """The wrapper of fetch."""

    plugin = torchinf_audit

    def setup_method(self):
        """Its user has a log."""
        super().setup_method()
        self.settings = {"log": str(self.home / "audit.jsonl")}


class TestMirror(Conformance):
    """The wrapper of resolve."""

    plugin = torchinf_mirror
    settings: ClassVar = {"url": "https://mirror.example/models"}
