"""A source for the benchmarks: ``bench:NAME`` is a list of files that a server publishes.

As with a model hub, one request brings paths, sizes and digests.  The server is
named by ``TORCHINF_BENCH_URL``.
"""

from collections.abc import Iterator

from torchinf_core.hookspecs import hookimpl
from torchinf_core.host import Host
from torchinf_core.types import ModelRef, Plan, RemoteFile, SourceInfo


@hookimpl
def sources() -> Iterator[SourceInfo]:
    yield SourceInfo("bench", ("bench",), "Files of the benchmarks", ("bench:small",))


@hookimpl
def resolve(ref: ModelRef, host: Host) -> Plan:
    base = host.setting("url")
    entries = host.http.get(f"{base}/{ref.locator}.json").raise_for_status().json()
    files = tuple(
        RemoteFile(item["name"], f"{base}/{item['path']}", item["size"], item["sha256"])
        for item in entries
    )
    return Plan(ref, ref.locator, files)
