"""The hooks a plugin may implement: the contract of the plugin API.

A plugin is a module (or object) whose functions carry ``@hookimpl`` and which
an entry point in the group ``torchinf.v1`` names.  An implementation may take
fewer arguments than the hook offers, by name; it may not have defaults or
keyword-only arguments.  Heavy packages are imported inside functions.

``resolve``, ``fetch``, ``search`` and the other hooks of a source go to the plugin
that owns the scheme; those of a runtime (``claim``, ``load``, ``optimize``) need no
source beside them.  Any plugin may wrap the hooks of a source with
``@hookimpl(wrapper=True)``: its generator runs around the owner's implementation,
gets the owner's result from ``yield`` and returns what the caller is to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from torchinf_core.types import Json, ModelRef, Plan, Record, SearchHit, SourceInfo

if TYPE_CHECKING:
    import typer

    from torchinf_core.host import Host
    from torchinf_core.predictor import Predictor
    from torchinf_core.runtimes import Architecture, Artifact, Candidate, Claim, LoadOptions

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

    @_hookspec(firstresult=True)
    def trusts(self, record: Record, host: Host) -> bool:
        """Say whether the user's own settings allow code of this model to run.

        Goes to the plugin that owns the model's source, for a model that holds
        code and that nobody has trusted by name; any plugin may wrap it.

        * Decides by the user's settings alone, never by a file of the model.
        * Without an implementation the answer is no.

        Args:
            record: of the stored model.
            host: the user's settings.

        Example::

            @hookimpl
            def trusts(record, host):
                return record.model_id in (host.setting("trusted") or ())
        """
        raise NotImplementedError

    @_hookspec(firstresult=True)
    def architecture(self, artifact: Artifact, ref: ModelRef, host: Host) -> Architecture:
        """Tell how a model is built and used: its module, and what is around it.

        Goes to the plugin that owns ``ref.scheme``; any plugin may wrap it.

        * Cheap: frameworks are imported by ``build`` and ``pipeline``, when they
          are called.
        * ``ref`` is the artifact's own reference, or one that the user named for
          a file that does not tell (``--arch torchvision:resnet18``).
        * Code of the artifact runs only where the core found it trusted before.

        Args:
            artifact: the model and its files.
            ref: whose architecture is meant.
            host: the user's settings.

        Example::

            @hookimpl
            def architecture(artifact, ref):
                def build():
                    import torch

                    return torch.nn.Linear(4, 1).eval()

                return Architecture(name=ref.locator, build=build, weights=("tiny.pt",))
        """
        raise NotImplementedError

    @_hookspec
    def claim(self, artifact: Artifact, device: str, host: Host) -> Claim:
        """Bid for loading an artifact on a device.

        Asked of every runtime, one by one; can't be wrapped.

        * No framework is imported, no file is read whole: ``find_spec`` and the
          record are enough.  At most 50 ms.
        * Every runtime answers: what it can't do is a score of 0 with the reason.
        * A device that was asked for by name and is not there is a score of 0,
          never another device.

        Args:
            artifact: a model as downloaded, or a derived form of one.
            device: ``auto``, or what the user asked for: ``cpu``, ``cuda``,
                ``cuda:1``, ``mps``.
            host: the user's settings.

        Example::

            @hookimpl
            def claim(artifact, device):
                if artifact.format != "zoo":
                    return Claim(0, "cpu", f"it does not read {artifact.format}")
                return Claim(100, "cpu", "made for this format")
        """
        raise NotImplementedError

    @_hookspec
    def load(self, artifact: Artifact, claim: Claim, options: LoadOptions, host: Host) -> Predictor:
        """Load an artifact and return what predicts with it.

        Goes to the runtime whose claim won; can't be wrapped.

        * It runs on the claim's device, or a DeviceError says why not.
        * torch checkpoints are read with ``weights_only=True`` alone; a failure
          of that is never followed by another way.
        * Files beside the artifact's own are not read.

        Args:
            artifact: its files were checked and its code, if any, is trusted.
            claim: this runtime's own.
            options: precision, threads and batch.
            host: the user's settings.

        Example::

            @hookimpl
            def load(artifact, claim):
                return ZooPredictor(artifact, claim, zoo.open(artifact.path("model.zoo")))
        """
        raise NotImplementedError

    @_hookspec
    def optimize(
        self, artifact: Artifact, device: str, options: LoadOptions, host: Host
    ) -> Iterable[Candidate]:
        """Offer forms of a model that may be faster; the core builds, compares and measures.

        Asked of every runtime, one by one; can't be wrapped.

        * Nothing is built before the core calls ``Candidate.build``.
        * What was built is loaded by ``load`` of the same runtime, as an artifact
          whose ``derived`` holds the candidate's options.
        * A candidate may be wrong: it is used only when its outputs are those of
          the model within the tolerance.

        Args:
            artifact: a model as downloaded.
            device: that the result is to run on.
            options: precision, threads and batch that the user wants.
            host: the user's settings.

        Example::

            @hookimpl
            def optimize(artifact, device):
                if artifact.format == "zoo":
                    yield Candidate(label="zoo, packed", format="zoo", build=pack)
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

    @_hookspec
    def remote(self, app: typer.Typer, server: str) -> None:
        """Add commands to ``app`` that have a server do what the core's do here.

        Asked when ``--server URL`` or ``$TORCHINF_SERVER`` names a server; one plugin
        may implement it; can't be wrapped.

        * A command has the name of the core's command it stands in for, its output
          and its ``--json``; it may have others beside.
        * What is not added is refused as a matter of this machine.
        * No connection is made before a command is called.

        Args:
            app: empty; its commands become ``torchinf --server URL …``.
            server: the address as the user wrote it.

        Example::

            @hookimpl
            def remote(app, server):
                @app.command("list")
                def list_command():
                    "Show the models of the server."
                    print(httpx.get(f"{server}/names").text)
        """
        raise NotImplementedError


def hook_names() -> tuple[str, ...]:
    """Names of all hooks, in the order a model travels."""
    return tuple(name for name, value in vars(Hooks).items() if callable(value) and name[0] != "_")


__all__ = ["API_VERSION", "GROUP", "Hooks", "hook_names", "hookimpl"]
