"""The hooks a plugin may implement: the contract of the plugin API.

A plugin is a module (or object) whose functions carry ``@hookimpl`` and which
an entry point in the group ``torchinf.v1`` names.  An implementation may take
fewer arguments than the hook offers, by name; it may not have defaults or
keyword-only arguments.  Heavy packages are imported inside functions.

``resolve``, ``fetch`` and ``search`` go to the plugin that owns the scheme.
Any plugin may wrap them with ``@hookimpl(wrapper=True)``: its generator runs
around the owner's implementation, gets the owner's result from ``yield`` and
returns what the caller is to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from torchinf_core.types import Json, ModelRef, Plan, SearchHit, SourceInfo

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host

API_VERSION = 1
GROUP = f"torchinf.v{API_VERSION}"

_hookspec = pluggy.HookspecMarker("torchinf")
hookimpl = pluggy.HookimplMarker("torchinf")
"""Marks a function of a plugin as the implementation of the hook it is named after."""


class Hooks:
    """Signatures only; the docstrings are the contract."""

    @_hookspec
    def sources(self) -> Iterable[SourceInfo]:
        """Say which schemes this plugin serves.

        Asked of every plugin, once in a process; can't be wrapped.

        * No I/O, no network, no heavy import.
        * A scheme is lower-case letters, digits and ``_ + . -``, at least two,
          starting with a letter.  The first of a source is the canonical one.
        * A scheme that another plugin serves too is an error when it is used.

        Example::

            @hookimpl
            def sources():
                yield SourceInfo("zoo", ("zoo",), "The Zoo mirror", ("zoo:tiny@1",))
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def resolve(self, ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
        """Turn a reference into the exact files, sizes and digests it means.

        Goes to the plugin that owns ``ref.scheme``; any plugin may wrap it.

        * Metadata only: no weights are transferred, nothing is executed and no
          framework is imported.
        * The same reference at the same revision gives an equal plan.
        * ``Plan.revision`` is immutable where the source has such a thing.
        * Paths are relative, URLs are ``https`` (``http`` where the user wrote
          it, ``file`` only for a local reference).
        * What does not exist is :class:`ModelNotFoundError`; credentials never
          appear in a message.

        Args:
            ref: the parsed reference.
            options: options of the user that the source declared, JSON values.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def resolve(ref, host):
                entry = host.http.get(INDEX).raise_for_status().json()[ref.locator]
                weights = RemoteFile("model.onnx", entry["url"], entry["size"], entry["sha256"])
                return Plan(ref, ref.locator, (weights,), revision=entry["revision"])
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def fetch(self, plan: Plan, into: Path, host: Host) -> bool:
        """Write the plan's files below ``into`` by other means than HTTP.

        Goes to the plugin that owns ``plan.ref.scheme``; any plugin may wrap
        it.  Most sources do not implement it, and the core then transfers the
        plan's URLs itself.

        * ``into`` is an empty directory on the store's file system.
        * Exactly the plan's files are written, as regular files.
        * The core hashes, checks and publishes them afterwards.
        * Return True when done; False leaves the work to the core.

        Args:
            plan: what ``resolve`` returned.
            into: where to write.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def fetch(plan, into):
                for file in plan.files:
                    subprocess.run(["rsync", "--", file.url, into / file.path], check=True)
                return True
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def token(self, hostname: str, host: Host) -> str | None:
        """Give the bearer token for requests to exactly this host, if the source has one.

        Goes to the plugin that owns the scheme of a plan, for each host its files
        come from, just before they are transferred; any plugin may wrap it.

        * What the user set for that host wins, and is then not asked for here.
        * The token is kept in memory for this transfer, sent to no other host,
          never stored, logged or shown.
        * Return None for any other host than the source's own.

        Args:
            hostname: lower case, without a port.
            host: the user's settings.

        Example::

            @hookimpl
            def token(hostname):
                return os.environ.get("ZOO_TOKEN") if hostname == "zoo.example" else None
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def search(self, scheme: str, pattern: str, limit: int, host: Host) -> Iterable[SearchHit]:
        """List what the source has that matches ``pattern``, best first.

        Goes to the plugin that owns ``scheme``, if its :class:`SourceInfo` says
        ``searchable``; any plugin may wrap it.

        * Metadata only, as for ``resolve``.
        * A generator may go on for ever: it is left after ``limit`` hits.

        Args:
            scheme: the user's word for the source, canonical or an alias.
            pattern: part of a name, or a pattern with ``*``.
            limit: most hits that are of use.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def search(pattern, host):
                for name in host.http.get(INDEX).raise_for_status().json():
                    if pattern in name:
                        yield SearchHit(f"zoo:{name}")
        """
        raise NotImplementedError

    @_hookspec
    def commands(self, app: typer.Typer) -> None:
        """Add commands to ``app``, which is mounted as ``torchinf <plugin> …``.

        Asked of every plugin when a command is called that the core has not;
        can't be wrapped.

        * The app is empty and the plugin's own: no core command can be replaced.

        Args:
            app: where to register commands.

        Example::

            @hookimpl
            def commands(app):
                @app.command()
                def mirrors():
                    "Show the mirrors of the Zoo."
                    print("https://zoo.example")
        """
        raise NotImplementedError


def hook_names() -> tuple[str, ...]:
    """Names of all hooks, in the order a model travels."""
    return tuple(name for name, value in vars(Hooks).items() if callable(value) and name[0] != "_")


__all__ = ["API_VERSION", "GROUP", "Hooks", "hook_names", "hookimpl"]
