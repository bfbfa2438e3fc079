"""Gets, finds and forgets models of one store.

Nothing here is slower than the store it looks at: plugins are loaded when something
has to be resolved, never before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchinf_core.errors import NotCachedError, UsageError
from torchinf_core.manager.by_source import BySource
from torchinf_core.registry import Registry
from torchinf_core.settings import Settings, load_settings
from torchinf_core.store import Store
from torchinf_core.types import Event, Json, ModelInfo, Plan, Record, RemoteFile
from torchinf_core.warm import request_key

if TYPE_CHECKING:
    from torchinf_core.download import Outcome, Preview
    from torchinf_core.store import Problem

OnEvent = Callable[[Event], None]


class ModelDownloader(BySource):
    """Downloads models into one store and answers questions about them.

    Args:
        cache_dir: directory of the store; default: the settings' one
            (``~/.torch_inference/models``).
        settings: any setting by name, such as ``offline=True`` or
            ``limit_rate="10M"``; they win over environment and settings file.

    Raises:
        UsageError: a setting is unknown or has an impossible value.

    Example::

        downloader = ModelDownloader(cache_dir="models")
        path, info = downloader.download("torchvision", "resnet18")
    """

    def __init__(self, cache_dir: str | os.PathLike[str] | None = None, **settings: Any) -> None:
        self.settings: Settings = load_settings(cache_dir=cache_dir, **settings)
        self.store = Store(self.settings.cache_dir, lock_timeout=self.settings.lock_timeout)
        self.registry = Registry(self.store)

    @property
    def cache_dir(self) -> Path:
        """Directory of the store."""
        return Path(self.settings.cache_dir)

    def download(
        self,
        source: str,
        model_id: str | None = None,
        model_name: str | None = None,
        *,
        name: str | None = None,
        task: str | None = None,
        description: str | None = None,
        tags: Sequence[str] = (),
        sha256: str | None = None,
        update: bool = False,
        replace: bool = False,
        trust: bool = False,
        on_event: OnEvent | None = None,
        **options: Json,
    ) -> tuple[Path, ModelInfo]:
        """Have a model in the store; fetch only what is not there.

        Args:
            source: a reference such as ``"torchvision:resnet18"`` or a URL, or
                the name of a source when ``model_id`` is given.
            model_id: what the source calls the model.
            model_name: name in the store; the same as ``name``.
            name: name in the store; default: the source's choice.
            task: label of the record, such as ``"text-classification"``.
            description: label of the record.
            tags: labels of the record, added to those it has.
            sha256: 64 hex digits that the (single) file must have.
            update: ask the source again, and fetch what changed.
            replace: let ``name`` change its content.
            trust: decide that code of exactly this content may run; recorded.
            on_event: called for each step, also from other threads.
            options: options of the source, such as ``pretrained=False``.

        Returns:
            The file of a one-file model or the directory of any other, and
            what is known of the model.

        Raises:
            TorchinfError: see the tree in :mod:`torchinf_core.errors`.
        """
        outcome = self.obtain(
            source,
            model_id,
            name=_one_name(name, model_name),
            task=task,
            description=description,
            tags=tags,
            sha256=sha256,
            update=update,
            replace=replace,
            trust=trust,
            on_event=on_event,
            **options,
        )
        return outcome.path, self._info(outcome.record, outcome.path)

    def obtain(
        self,
        source: str,
        model_id: str | None = None,
        *,
        on_event: OnEvent | None = None,
        replace: bool = False,
        **asked: Any,
    ) -> Outcome:
        """Like :meth:`download`, and also tells whether and how much was fetched."""
        from torchinf_core.download import download, make_request

        request = make_request(
            source, model_id, settings=self.settings, replace_content=replace, **_split(asked)
        )
        return download(request, self.settings, on_event)

    def preview(
        self, source: str, model_id: str | None = None, *, replace: bool = False, **asked: Any
    ) -> Preview:
        """What :meth:`download` with the same arguments would do; fetches no weights."""
        from torchinf_core.download import make_request, preview

        request = make_request(
            source, model_id, settings=self.settings, replace_content=replace, **_split(asked)
        )
        return preview(request, self.settings)

    def plan(self, source: str, model_id: str | None = None, **asked: Any) -> Plan:
        """The exact files a download would bring; fetches no weights."""
        return self.preview(source, model_id, **asked).plan

    def add_files(
        self, name: str, files: Sequence[RemoteFile], *, on_event: OnEvent | None = None
    ) -> tuple[Path, ModelInfo]:
        """Fetch further files into a stored model, verified; they belong to it from then on.

        Args:
            name: of the model.
            files: where they come from, and their paths in the model.
            on_event: called for each step, also from other threads.

        Returns:
            The model's directory, another one than before, and what is known of it.

        Raises:
            NotCachedError: the store has no such model.
            UsageError: the model has other content at one of the paths.
            TorchinfError: as for a download; the model is as before then.
        """
        from torchinf_core.download.adding import add_files
        from torchinf_core.download.job import ignore

        outcome = add_files(self.get_record(name), files, self.settings, on_event or ignore)
        return outcome.path, self._info(outcome.record, outcome.path)

    def is_model_cached(self, name: str) -> bool:
        """True when the store has the model and its files look as recorded."""
        record = self._find(name)
        return record is not None and not self.store.check(record, full=False)

    def get_model_path(self, name: str) -> Path:
        """The file of a one-file model, the directory of any other.

        Raises:
            NotCachedError: the store has no such model.
        """
        record = self.get_record(name)
        # Files that were moved here are hashed now, and the next look is a cheap one.
        self.store.check(record, full=False)
        return self.store.model_path(record)

    def get_model_info(self, name: str) -> ModelInfo:
        """What is known of a stored model.

        Raises:
            NotCachedError: the store has no such model.
        """
        record = self.get_record(name)
        return self._info(record, self.store.model_path(record))

    def get_record(self, name: str) -> Record:
        """The registry's record of a model, found by name or by a reference asked before.

        Raises:
            NotCachedError: the store has no such model.
        """
        return self._find(name) or self.registry.get(name)

    def list_available_models(self) -> dict[str, ModelInfo]:
        """Every readable model of the store, by name, sorted."""
        return {
            record.name: self._info(record, self.store.model_location(record))
            for record in sorted(self.registry.records().records, key=lambda record: record.name)
        }

    def remove_model(self, name: str) -> ModelInfo:
        """Forget a model and its files; bytes that other models use stay.

        Raises:
            NotCachedError: the store has no such model.
        """
        record = self.registry.remove(self.get_record(name).name)
        return self._info(record, self.store.model_path(record))

    def clear_cache(self) -> list[str]:
        """Forget all models; their names are returned."""
        removed = []
        for name in self.registry.names():
            with suppress(NotCachedError):  # another process was faster
                removed.append(self.registry.remove(name).name)
        return removed

    def get_cache_size(self) -> int:
        """Bytes the store takes on disk."""
        return self.store.usage().total

    def verify(self, name: str) -> list[Problem]:
        """Hash every file of a model again; an empty list is good news.

        Raises:
            NotCachedError: the store has no such model.
        """
        return self.store.check(self.get_record(name), full=True)

    def rename(self, old: str, new: str) -> ModelInfo:
        """Give a model another name.

        Raises:
            NotCachedError: there is no ``old``.
            NameTakenError: there is a ``new`` already.
        """
        record = self.registry.rename(self.get_record(old).name, new)
        return self._info(record, self.store.model_path(record))

    def tag(self, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> ModelInfo:
        """Add and remove tags of a model.

        Raises:
            NotCachedError: the store has no such model.
            UsageError: a tag is empty, too long or holds control characters.
        """
        from dataclasses import replace

        from torchinf_core.download.job import timestamp

        record = self.get_record(name)
        for tag in add:
            if not tag.strip() or len(tag) > 64 or not tag.isprintable() or "," in tag:
                raise UsageError(
                    f"{tag[:80]!r} can't be a tag: 1 to 64 printable characters, no comma"
                )

        def retag(now: Record) -> Record:
            tags = tuple(tag for tag in dict.fromkeys((*now.tags, *add)) if tag not in remove)
            return now if tags == now.tags else replace(now, tags=tags, updated=timestamp())

        if retag(record) != record:
            record = self.registry.amend(record, retag)
        return self._info(record, self.store.model_path(record))

    def trust(self, name: str, *, revoke: bool = False) -> ModelInfo:
        """Decide that code of a model's present files may run, or take that back.

        The decision is bound to the content: an update or repair with other
        bytes needs a new one.

        Raises:
            NotCachedError: the store has no such model.
        """
        from dataclasses import replace

        from torchinf_core.download.job import decision

        record = self.get_record(name)
        if revoke or record.trusted is None:
            trusted = None if revoke else decision("torchinf trust")
            record = self.registry.amend(record, lambda now: replace(now, trusted=trusted))
        return self._info(record, self.store.model_path(record))

    def _find(self, name: str) -> Record | None:
        if ":" in name or "/" in name:
            from torchinf_core.download import make_request

            ref = make_request(name, settings=self.settings).ref
            return self.registry.by_request(request_key(str(ref), {}, None))
        record = self.registry.find(name)
        if record is None and "_" in name:
            # Names of an older layout: SOURCE_MODEL.
            source, _, rest = name.partition("_")
            other = self.registry.find(rest) if rest else None
            record = other if other is not None and other.source == source else None
        return record

    @staticmethod
    def _info(record: Record, path: Path | str) -> ModelInfo:
        return ModelInfo(
            name=record.name,
            source=record.source,
            model_id=record.model_id,
            task=record.task,
            description=record.description,
            size_mb=record.size / 1e6,
            license=record.license,
            tags=record.tags,
            path=str(path),
            record=record,
        )


_REQUEST_WORDS = ("name", "sha256", "task", "description", "tags", "update", "trust")


def _split(asked: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments of make_request; what is none of its words is a source's option."""
    words = {key: asked[key] for key in _REQUEST_WORDS if key in asked}
    options = {key: value for key, value in asked.items() if key not in words}
    return {**words, "options": options}


def _one_name(name: str | None, model_name: str | None) -> str | None:
    if name is not None and model_name not in (None, name):
        raise UsageError(f"name={name!r} and model_name={model_name!r} contradict each other")
    return name if name is not None else model_name
