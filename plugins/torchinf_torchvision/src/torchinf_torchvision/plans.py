"""From a reference to the plan of one checkpoint, by the catalogue alone.

No network: the exact size is left to the transfer, which sees it in the first
answer, and the catalogue's rounded one serves until then.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from torchinf_core.errors import OptionError, UsageError
from torchinf_core.refs import redact
from torchinf_core.types import Json, ModelRef, Plan, RemoteFile, Trust
from torchinf_torchvision.catalogue import Model, Weights, load
from torchinf_torchvision.finding import find_member, find_model

ORIGIN = "https://download.pytorch.org"
# The rule of torch.hub's own check (HASH_REGEX).  Older names end in "_<hex>.pth",
# which that check has never held anybody to, so it is not relied on here either.
_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.")
LICENSE_NOTE = (
    "torchvision says: the pre-trained models may have their own licenses or terms and "
    "conditions derived from the dataset used for training"
)


def make_plan(ref: ModelRef, pretrained: Json, mirror: Json) -> Plan:
    """The plan for a reference.

    Args:
        ref: ``MODEL`` or ``MODEL@MEMBER``.
        pretrained: False for the architecture alone, True or None for weights.
        mirror: URL that stands for :data:`ORIGIN`, or None.

    Raises:
        ModelNotFoundError, OptionError, UsageError: see :func:`torchinf_torchvision.resolve`.
    """
    if not isinstance(pretrained, bool | None):
        raise OptionError(f"pretrained is {pretrained!r}, expected yes or no")
    name, model = find_model(ref.locator)
    ref = ModelRef(ref.scheme, name, ref.revision, ref.sha256)
    if pretrained is False:
        return _bare(ref, name, model)
    member = find_member(name, model, ref.revision)
    weights = model["weights"][member]
    prefix = _PREFIX.search(weights["url"].rpartition("/")[2])
    file = RemoteFile(
        path=weights["url"].rpartition("/")[2],
        url=_at(mirror, weights["url"]),
        sha256=ref.sha256,
        sha256_prefix=prefix[1] if prefix else None,
        approximate_size=weights["size"],
    )
    return Plan(
        ref=ref,
        name=name,
        files=(file,),
        revision=member,
        format="torch",
        trust=Trust.PICKLE,
        task=weights["task"],
        description=weights["description"],
        license=weights["license"],
        tags=tuple(model["tags"]),
        metadata=_metadata(name, model, member, weights),
    )


def _bare(ref: ModelRef, name: str, model: Model) -> Plan:
    if ref.revision or ref.sha256:
        raise OptionError(
            f"{ref} names weights, and pretrained=False asks for none",
            hint=f"torchvision:{name} with pretrained=False, or leave pretrained out",
        )
    return Plan(
        ref=ref,
        name=name,
        files=(),
        task=model["task"],
        description="The architecture without trained weights.",
        license="BSD-3-Clause",
        tags=tuple(model["tags"]),
        metadata={**_origin(name, model), "pretrained": False},
    )


def _origin(name: str, model: Model) -> dict[str, Json]:
    return {
        "architecture": name,
        "module": model["module"],
        "torchvision": load()["torchvision"],
    }


def _metadata(name: str, model: Model, member: str, weights: Weights) -> dict[str, Json]:
    shown_elsewhere = ("url", "size", "task", "license", "description")
    metadata: dict[str, Json] = {
        **_origin(name, model),
        "pretrained": True,
        "weights": f"{model['enum']}.{member}",
        **{key: value for key, value in weights.items() if key not in shown_elsewhere},
        "license_note": LICENSE_NOTE,
    }
    if key := weights.get("labels"):
        metadata["labels"] = load()["labels"][key]
    return metadata


def _at(mirror: Json, url: str) -> str:
    if not mirror:
        return url
    if not isinstance(mirror, str) or not _is_base_url(mirror):
        raise UsageError(
            f"the mirror setting of torchvision is {redact(str(mirror))!r}, expected a URL",
            hint=f"TORCHINF_TORCHVISION_MIRROR=https://mirror.example/torchvision takes "
            f"the place of {ORIGIN}",
        )
    return mirror.rstrip("/") + url.removeprefix(ORIGIN)


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    clean = not (parts.query or parts.fragment or re.search(r"[\s\\]", text))
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0 and clean
