"""A Hugging Face hub on loopback, for tests of this project and of plugins.

::

    from torchinf_core.testing import Hub, faults
    from torchinf_core.testing.huggingface import HuggingFace

    with Hub() as hub:
        hf = HuggingFace(hub)                 # HF_ENDPOINT=hf.endpoint
        repo = hf.add_repo("org/tiny", {"config.json": b"{}", "model.safetensors": weights})
        first = repo.sha
        repo.commit({"config.json": b'{"a": 1}'})
        repo.fail("model.safetensors", faults.cut(0.5))

What it says is judged by the real clients: ``hf``, ``huggingface_hub`` and
``transformers`` are run against it by this project's tests.
"""

from torchinf_core.testing.huggingface.repo import LFS_PATTERNS, Repo
from torchinf_core.testing.huggingface.service import HuggingFace
from torchinf_core.testing.huggingface.xet import have_xet

__all__ = ["LFS_PATTERNS", "HuggingFace", "Repo", "have_xet"]
