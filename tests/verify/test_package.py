"""The package's own promises: what it exports, and what importing it brings along."""

from __future__ import annotations

import subprocess
import sys

import torchinf_core.verify


def test_every_exported_name_can_be_imported() -> None:
    for name in torchinf_core.verify.__all__:
        assert getattr(torchinf_core.verify, name).__name__ == name
    assert not hasattr(torchinf_core.verify, "nothing")


def test_a_safe_file_name_costs_no_reader_of_formats_and_judging_no_framework() -> None:
    code = (
        "import sys\n"
        "from torchinf_core.verify import safe_filename\n"
        "assert 'torchinf_core.verify.content' not in sys.modules\n"
        "from torchinf_core.verify import archives, check_digests, check_plan, sniff\n"
        "heavy = {'torch', 'numpy', 'onnx', 'safetensors', 'pickle', 'zipfile', 'lzma'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
