"""Source plugin for models that are a file: at a URL, or on this machine.

It asks a server for one answer's headers and looks at one path's metadata;
bytes of a model are the core's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from torchinf_core.hookspecs import hookimpl
from torchinf_core.types import Json, ModelRef, Plan, SourceInfo

if TYPE_CHECKING:
    from torchinf_core.host import Host

__all__ = ["resolve", "sources"]


@hookimpl
def sources() -> Iterable[SourceInfo]:
    """The one source: https and http URLs, file URLs and paths."""
    yield SourceInfo(
        name="url",
        schemes=("https", "http", "file"),
        description="Any file by URL, or by its path on this machine",
        examples=("https://example.com/model.onnx", "file:///srv/models/model.safetensors"),
        options=("extract",),
    )


@hookimpl
def resolve(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """Find out name, size and entity tag of the one file the reference means.

    Args:
        ref: of scheme ``https``, ``http`` or ``file``.
        options: ``extract``, True to have an archive unpacked.
        host: for the request.

    Raises:
        ModelNotFoundError: there is no such file.
        AccessDeniedError: it may not be read.
        OptionError: ``extract`` for what is no archive.
    """
    from torchinf_url.local import find_file
    from torchinf_url.naming import make_plan
    from torchinf_url.remote import ask_server

    found = find_file(ref) if ref.is_local else ask_server(ref.locator, host)
    return make_plan(ref, found, options.get("extract"))
