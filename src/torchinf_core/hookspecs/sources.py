"""The hooks of a source: from a reference to files, and what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core.hookspecs.marking import hookspec
from torchinf_core.types import Json, ModelRef, Plan, Record, SearchHit, SourceInfo

if TYPE_CHECKING:
    from torchinf_core.host import Host
    from torchinf_core.runtimes import Architecture, Artifact


class SourceHooks:
    """Signatures only; the docstrings are the contract."""

    @hookspec
    def sources(self) -> Iterable[SourceInfo]:
        """Say which schemes this plugin serves.

        Asked of every plugin, once in a process; can't be wrapped.

        A scheme that another plugin serves too is an error when it is used.  The
        first scheme of a source is the canonical one.

        * What is declared is constant: no file is read, no connection made, no
          process started.  [sources_are_constant]
        * Every source has a name, a description, schemes and examples, and says whether
          it can be searched; a scheme is lower-case letters, digits and ``_ + . -``, at
          least two, starting with a letter.  [sources_are_declared]
        * The schemes are not those of a plugin of torchinf.  [schemes_are_free]
        * Each example is a reference with one of the source's schemes.
          [examples_are_references]

        Example::

            @hookimpl
            def sources():
                yield SourceInfo("zoo", ("zoo",), "The Zoo mirror", ("zoo:tiny@1",))
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def resolve(self, ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
        """Turn a reference into the exact files, sizes and digests it means.

        Goes to the plugin that owns ``ref.scheme``; any plugin may wrap it.

        Exceptions of ``host.http`` may be left to the core, which says what they mean.

        * The plan is one for the reference that was asked.  [resolve_gives_a_plan]
        * Metadata only: no file of the plan is transferred.  [resolve_moves_no_weights]
        * The source is asked by ``host.http`` alone: no other connection, no process,
          no file written but temporary ones.  [resolve_only_asks]
        * No framework is imported.  [resolve_imports_no_framework]
        * The same reference gives an equal plan while the source is the same.
          [resolve_repeats]
        * ``Plan.revision`` is immutable where the source has such a thing: it can be
          asked for, and means the same files for ever; one that there is not is no other.
          [revisions_stay]
        * Paths are relative, stay in the model's directory and are different files on
          every system.  [paths_are_safe]
        * URLs are ``https`` (``http`` where the user wrote it, ``file`` only for a
          local reference).  [urls_are_safe]
        * Sizes are bytes from 0 up, digests are lower-case hex, metadata is JSON, the
          name suggests one for the model.  [values_are_possible]
        * Sizes and digests that the source publishes are in the plan.
          [published_facts_are_told]
        * Each URL brings its file, of the size and digest that the plan states.
          [urls_bring_the_files]
        * What does not exist is :class:`ModelNotFoundError`.  [missing_is_not_found]
        * An answer that makes no sense or lacks something is a :class:`SourceError` or
          :class:`ModelNotFoundError`, and no other exception.  [strange_answers_are_errors]
        * A failure keeps its meaning: offline, denied, overloaded and unreachable are
          never shown as a missing model.  [failures_keep_their_meaning]
        * A reference that the source can't have is a :class:`RefError` or
          :class:`ModelNotFoundError`.  [strange_references_are_errors]
        * Tokens and passwords are in no plan and in no message.  [secrets_stay_secret]
        * A wrapper gives a plan for the same reference, and its files have the digests
          that they had; or it raises an error.  [wrapped_plans_keep_their_digests]

        Args:
            ref: the parsed reference.
            options: options of the user that the source declared, JSON values.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def resolve(ref, host):
                entry = host.json(INDEX)[ref.locator]
                weights = RemoteFile("model.onnx", entry["url"], entry["size"], entry["sha256"])
                return Plan(ref, ref.locator, (weights,), revision=entry["revision"])
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def fetch(self, plan: Plan, into: Path, host: Host) -> bool:
        """Write the plan's files below ``into`` by other means than HTTP.

        Goes to the plugin that owns ``plan.ref.scheme``; any plugin may wrap
        it.  Most sources do not implement it, and the core then transfers the
        plan's URLs itself.

        A wrapper runs around the whole transfer of each model that is new in the store,
        also the core's: its ``yield`` gives True where the owner wrote the files and False
        where the core transferred them or had them all, or raises what went wrong.

        The core hashes, checks and publishes what was written afterwards.

        * Exactly the plan's files are written, as regular files, with the sizes and
          digests of the plan.  [fetch_brings_the_files]
        * Nothing is written outside ``into``.  [fetch_stays_inside]
        * True means done; False leaves all work to the core, and nothing was written.
          [fetch_tells_what_it_did]
        * A wrapper returns what it got, and lets pass what was raised.
          [wrapped_fetches_tell_what_was_done]

        Args:
            plan: what ``resolve`` returned.
            into: where to write; an empty directory on the store's file system.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def fetch(plan, into):
                for file in plan.files:
                    subprocess.run(["rsync", "--", file.url, into / file.path], check=True)
                return True
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def token(self, hostname: str, plan: Plan, host: Host) -> str | None:
        """Give the bearer token for requests to exactly this host, if the source has one.

        Goes to the plugin that owns the scheme of a plan, for each host its files
        come from, just before they are transferred; any plugin may wrap it.

        What the user set for that host wins, and is then not asked for here.  The core
        keeps a token in memory for this transfer, sends it to no other host, and never
        stores, logs or shows it.  ``host.http`` does not send it: ``resolve`` and
        ``search`` put it into a header of their own.

        * For any other host than the source's own the answer is None.
          [tokens_are_for_their_host]
        * For a host of the source it is the token that the user set up.
          [tokens_are_given]

        Args:
            hostname: lower case, without a port.
            plan: whose files are about to be transferred.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def token(hostname):
                return os.environ.get("ZOO_TOKEN") if hostname == "zoo.example" else None
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def search(self, scheme: str, pattern: str, limit: int, host: Host) -> Iterable[SearchHit]:
        """List what the source has that matches ``pattern``, best first.

        Goes to the plugin that owns ``scheme``, if its :class:`SourceInfo` says
        ``searchable``; any plugin may wrap it.

        A generator may go on for ever: it is left after ``limit`` hits.

        * The source is asked as by ``resolve``: by ``host.http`` alone, for metadata.
          [search_only_asks]
        * Each hit is a reference of the source, and resolves.  [hits_are_references]
        * What matches is found, also with ``*`` in the pattern, and nothing is for a
          pattern that nothing matches.  [search_goes_by_the_pattern]
        * An answer that makes no sense is an error as of ``resolve``.
          [strange_lists_are_errors]

        Args:
            scheme: the user's word for the source, canonical or an alias.
            pattern: a part of a name, or one with ``*`` in it for anything; whether
                upper and lower case differ is the source's choice.
            limit: most hits that are of use.
            host: HTTP client, secrets and notes; see :class:`Host`.

        Example::

            @hookimpl
            def search(pattern, host):
                for name in host.json(INDEX):
                    if fnmatch.fnmatchcase(name, f"*{pattern}*"):
                        yield SearchHit(f"zoo:{name}")
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def trusts(self, record: Record, host: Host) -> bool:
        """Say whether the user's own settings allow code of this model to run.

        Goes to the plugin that owns the model's source, for a model that holds
        code and that nobody has trusted by name; any plugin may wrap it.

        Without an implementation the answer is no.

        * Without a setting of the user nothing is trusted, whatever the model says of
          itself.  [nothing_is_trusted_unasked]
        * Nor does a wrapper trust what it was not asked to.  [wrappers_trust_nothing_unasked]

        Args:
            record: of the stored model.
            host: the user's settings.

        Example::

            @hookimpl
            def trusts(record, host):
                return record.model_id in (host.setting("trusted") or ())
        """
        raise NotImplementedError

    @hookspec(firstresult=True)
    def architecture(self, artifact: Artifact, ref: ModelRef, host: Host) -> Architecture:
        """Tell how a model is built and used: its module, and what is around it.

        Goes to the plugin that owns ``ref.scheme``; any plugin may wrap it.

        Called for a model with code only where the core found it trusted before.

        * Cheap: frameworks are imported by ``build`` and ``pipeline``, when they are
          called.  [architecture_is_cheap]
        * ``build`` makes a module in evaluation mode, on the meta device where it is
          not complete, whose state dict is that of ``weights``.  [architecture_fits_the_weights]

        Args:
            artifact: the model and its files.
            ref: whose architecture is meant: the artifact's own reference, or one that
                the user named for a file that does not tell (``--arch
                torchvision:resnet18``).
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
