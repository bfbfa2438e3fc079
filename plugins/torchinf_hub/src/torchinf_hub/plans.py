"""From a reference to a plan: code at a commit, and the weights that its code names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from torchinf_core.errors import FormatError, ModelNotFoundError, OptionError
from torchinf_core.refs import redact
from torchinf_core.types import Json, ModelRef, Plan, RemoteFile, Trust
from torchinf_core.verify import fold_path, safe_filename
from torchinf_hub import dependencies, github
from torchinf_hub.naming import Directory, Place, parse_model
from torchinf_hub.reading import Entry, Hubconf, Sources, Weights, find_weights, read_hubconf
from torchinf_hub.snapshots import Snapshot, opened

if TYPE_CHECKING:
    from torchinf_core.host import Host

FORMAT = "torchhub"
HUBCONF = "hubconf.py"
# torch.hub's HASH_REGEX, with digits enough to mean something and to be no date.
_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.")
_DATE = re.compile(r"(19|20)\d{6}")
CAPTURE = (
    "weights that code names only when it runs are fetched and recorded by torchinf hub capture"
)


def make_plan(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """The plan for a reference; see :func:`torchinf_hub.resolve`."""
    place, name = parse_model(ref)
    given, pretrained = _arguments(options)
    with opened(place, host) as snapshot:
        sources, hubconf = read(place, snapshot)
        entry = find_entry(name, hubconf, place)
        arguments = _wanted(entry, given, pretrained, host)
        weights = find_weights(sources, entry, arguments)
        planned = plan_weights(weights, snapshot.files)
        _note(hubconf, weights, planned, host)
        return Plan(
            ref=ref,
            name=name,
            files=(*_code(place, snapshot, host), *planned),
            revision=snapshot.commit,
            format=FORMAT,
            trust=Trust.CODE,
            description=entry.summary[:500] or None,
            tags=("pytorch-hub",),
            metadata={
                **_origin(place, snapshot),
                "entry": name,
                "arguments": arguments,
                "entry_points": {item.name: item.summary for item in hubconf.entries.values()},
                "documentation": entry.doc,
                "dependencies": list(hubconf.dependencies or ()),
                "weights": [{"url": redact(f.url), "path": f.path} for f in planned],
                "code_sha256": snapshot.digest,
            },
            notes=snapshot.notes,
        )


def read(place: Place, snapshot: Snapshot) -> tuple[Sources, Hubconf]:
    """The sources of a snapshot, and what its hubconf.py says.

    Raises:
        ModelNotFoundError: it has none.
        FormatError: it can't be read.
    """
    where = f"{place} at {snapshot.commit}" if snapshot.commit else str(place)
    if HUBCONF not in snapshot.files:
        raise ModelNotFoundError(
            f"{where} has no {HUBCONF}: it is no repository for PyTorch Hub",
            hint="another branch or tag may have one: hub:OWNER/REPO:REF/ENTRY",
        )
    sources = Sources(snapshot.root, snapshot.files)
    try:
        return sources, read_hubconf(sources)
    except FormatError as error:
        raise FormatError(f"{where}: {error}", hint=error.hint) from None


def find_entry(name: str, hubconf: Hubconf, place: Place) -> Entry:
    """The entry point of a name.

    Raises:
        ModelNotFoundError: there is none; the hint lists those that are.
    """
    if name in hubconf.entries:
        return hubconf.entries[name]
    if name in hubconf.computed:
        return Entry(name)
    near = difflib.get_close_matches(name, hubconf.entries, n=3)
    names = list(hubconf.entries)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif names:
        hint = f"it has {', '.join(names[:12])}{', …' if len(names) > 12 else ''}"
    else:
        hint = "its hubconf.py offers nothing that can be seen without running it"
    raise ModelNotFoundError(f"{place} has no entry point {name!r}", hint=hint)


def plan_weights(weights: Weights, taken: Mapping[str, str]) -> list[RemoteFile]:
    """Files to fetch for what was found, in a folder that the code has not.

    Args:
        weights: what reading the code showed.
        taken: paths of the code.
    """
    folder = weights_folder(taken)
    files: list[RemoteFile] = []
    names: set[str] = set()
    for download in weights.downloads:
        if not _is_usable(download.url):
            continue
        name = safe_filename(download.url)
        while fold_path(name) in names:
            name = f"{len(files)}-{name}"[-255:]
        names.add(fold_path(name))
        prefix = digest_in_name(download.url, checked=download.checked)
        files.append(RemoteFile(f"{folder}/{name}", download.url, sha256_prefix=prefix))
    return files


def weights_folder(taken: Mapping[str, str]) -> str:
    """Where weights go: ``weights``, unless the code has something of that name."""
    tops = {fold_path(path.partition("/")[0]) for path in taken}
    return next(name for name in _folders() if name not in tops)


def digest_in_name(url: str, *, checked: bool) -> str | None:
    """The digits of a sha256 that end the name of a file, by torch.hub's convention.

    Args:
        url: of the file.
        checked: the code wants them compared, so even a date would be digits.
    """
    match = _PREFIX.search(urlsplit(url).path.rpartition("/")[2])
    if match is None or (_DATE.fullmatch(match[1]) and not checked):
        return None
    return match[1]


def _folders() -> list[str]:
    return ["weights", *(f"weights-{number}" for number in range(2, 100_000))]


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and not re.search(r"[\s\\\x00-\x1f]", url)
    except ValueError:
        return False


def _arguments(options: Mapping[str, Json]) -> tuple[dict[str, Json], bool | None]:
    given, pretrained = options.get("arguments", {}), options.get("pretrained")
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and name.isidentifier() for name in given
    ):
        raise OptionError(
            f"arguments is {given!r}, expected names and values",
            hint="""-o 'arguments={"progress": false}'""",
        )
    if not isinstance(pretrained, bool | None):
        raise OptionError(f"pretrained is {pretrained!r}, expected yes or no")
    return dict(given), pretrained


def _wanted(
    entry: Entry, given: dict[str, Json], pretrained: bool | None, host: Host
) -> dict[str, Json]:
    """The keyword arguments that the entry point is going to be called with."""
    if entry.parameters is not None and not entry.takes_any:
        unknown = sorted(name for name in given if not entry.takes(name))
        if unknown:
            raise OptionError(
                f"the entry point {entry.name} takes no argument {unknown[0]!r}",
                hint=f"it takes {', '.join(entry.parameters) or 'none'}",
            )
    decided = {"pretrained", "weights"} & given.keys()
    if entry.takes("pretrained") and not decided:
        return {"pretrained": pretrained is not False, **given}
    if pretrained is False and not decided:
        host.note(f"{entry.name} has no argument 'pretrained'; pretrained=False was ignored")
    return given


def _code(place: Place, snapshot: Snapshot, host: Host) -> list[RemoteFile]:
    if isinstance(place, Directory):
        return [
            RemoteFile(
                path,
                (snapshot.root / path).as_uri(),
                size=(snapshot.root / path).stat().st_size,
                sha256=sha256,
            )
            for path, sha256 in snapshot.files.items()
        ]
    archive = snapshot.archive
    assert archive is not None
    assert snapshot.commit is not None
    return [
        RemoteFile(
            path=f"{place.repo}-{snapshot.commit}.zip",
            url=github.archive_url(place, snapshot.commit, host),
            size=archive.size,
            sha256=archive.sha256,
            unpack=True,
            strip=1,
            local=(str(archive.path),),
            observed=True,
        )
    ]


def _origin(place: Place, snapshot: Snapshot) -> dict[str, Json]:
    if isinstance(place, Directory):
        return {"directory": str(Path(place.path))}
    return {
        "owner": place.owner,
        "repo": place.repo,
        "ref": snapshot.ref,
        "commit": snapshot.commit,
    }


def _note(hubconf: Hubconf, weights: Weights, planned: list[RemoteFile], host: Host) -> None:
    absent = dependencies.missing(hubconf.dependencies or ())
    if absent:
        line = dependencies.install_line(absent)
        host.note(f"its code needs {', '.join(absent)}, not installed here: {line}".rstrip(": "))
    for other in weights.repositories:
        host.note(f"its code loads the code of another repository: {other or 'which is computed'}")
    for file in planned:
        if file.url.startswith("http:"):
            host.note(f"{redact(file.url)} is fetched without encryption")
    if weights.open or not planned:
        reasons = f" ({'; '.join(weights.open)})" if weights.open else ""
        host.note(f"{CAPTURE}{reasons}")
