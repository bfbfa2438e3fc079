"""The plugin keeps the contract of its commands."""

import torchinf_serve
from torchinf_core.testing import Conformance


class TestServe(Conformance):
    plugin = torchinf_serve
