"""The names of quantisations in GGUF file names, and which of them a person wants.  Pure."""

from __future__ import annotations

import re

_QUANT = re.compile(
    r"(?P<base>.*?)(?:^|[-._])(?P<quant>(?:UD-|i1-)?"
    r"(?:IQ[1-8]_\w+|Q[1-8]_K(?:_\w{1,3})?|Q\d_\d(?:_\d+)*|TQ[12]_0"
    r"|Q[1-8]|MXFP4(?:_MOE)?|BF16|FP?16|FP?32))(?P<tail>(?:[-._]\w+)*)",
    re.IGNORECASE,
)
_WANTED = (
    *("Q4_K_M", "Q4_K_S", "UD-Q4_K_XL", "Q4_K_L", "IQ4_XS", "IQ4_NL", "MXFP4", "MXFP4_MOE"),
    *("Q4_0", "Q4_1", "Q4_K", "Q5_K_M", "Q5_K_S", "Q5_0", "Q6_K", "Q8_0", "Q3_K_M", "Q3_K_L"),
    *("BF16", "F16", "FP16", "F32", "FP32"),
)


def split_quant(stem: str) -> tuple[str, str]:
    """The name of a model and its quantisation (``""`` where none is named)."""
    match = _QUANT.fullmatch(stem)
    return (match["base"] + match["tail"], match["quant"]) if match else (stem, "")


def rank(quant: str) -> int:
    """0 for the one to take; Q4_K_M is what llama.cpp and Ollama take unasked, too."""
    known = [name.lower() for name in _WANTED]
    return known.index(quant.lower()) if quant.lower() in known else len(known)
