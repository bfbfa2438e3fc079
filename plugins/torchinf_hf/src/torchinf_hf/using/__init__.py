"""How a downloaded model is used: its task, its module, and what is around that.

Tasks that are one pass through the model go through arrays, so that any runtime
can hold it; their tokenizer needs neither torch nor transformers where the model
brings a ``tokenizer.json``.
"""

from __future__ import annotations

from torchinf_hf.using.describing import make_architecture

__all__ = ["make_architecture"]
