"""What a warm hit needs and nothing else: the key of a request.

Imported before anything slow; keep it to the modules Python starts with, json
and hashlib.
"""

from __future__ import annotations

import hashlib
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from torchinf_core.types import Json


def request_key(ref: str, options: Mapping[str, Json], name: str | None) -> str:
    """64 hex digits that are equal for equal requests.

    Args:
        ref: the reference as ``format_ref`` writes it.
        options: options for the source, without those at their default.
        name: explicit name, or None.

    Raises:
        OptionError: an option's value is not JSON.
    """
    try:
        text = json.dumps([ref, dict(sorted(options.items())), name], allow_nan=False)
    except (TypeError, ValueError) as error:
        from torchinf_core.errors import OptionError

        raise OptionError(f"an option's value can't be written as JSON: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()
