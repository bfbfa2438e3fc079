"""What ``list`` and ``info`` print; needs no Typer, so that the fast path can call it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from torchinf_core.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torchinf_core.manager import ModelDownloader
    from torchinf_core.registry import Damaged
    from torchinf_core.types import Record


def show_list(
    downloader: ModelDownloader,
    *,
    filters: Sequence[str] = (),
    sort: str = "name",
    as_json: bool = False,
    quiet: bool = False,
) -> None:
    """Print the stored models; see ``torchinf list --help``."""
    from torchinf_core.cli.filters import select, sort_records

    listing = downloader.registry.records()
    records = sort_records(select(listing.records, filters), sort)
    show_records(
        records,
        downloader.store.model_location,
        as_json=as_json,
        quiet=quiet,
        damaged=listing.damaged,
        there_are_more=len(listing.records) > len(records),
    )


def show_records(
    records: Sequence[Record],
    path_of: Callable[[Record], str | None],
    *,
    as_json: bool,
    quiet: bool,
    damaged: Sequence[Damaged] = (),
    there_are_more: bool = False,
) -> None:
    """Print records as a list.

    Args:
        records: to be shown, in their order.
        path_of: where the model of a record is; None where it is not on this machine.
        as_json: print a document.
        quiet: print names alone.
        damaged: records that can't be read.
        there_are_more: some were left out.
    """
    if as_json:
        output.document(
            {
                "models": [output.record_json(record, path_of(record)) for record in records],
                "damaged": [{"name": bad.name, "reason": bad.reason} for bad in damaged],
            }
        )
    elif quiet:
        if records:
            output.say("\n".join(record.name for record in records))
    elif records:
        output.table(
            ["NAME", "SOURCE", "FORMAT", "SIZE", "UPDATED", "TASK", "TAGS"],
            [
                [
                    record.name,
                    record.source,
                    record.format or "-",
                    output.size(record.size),
                    output.day(record.updated),
                    record.task or "-",
                    ", ".join(record.tags) or "-",
                ]
                for record in records
            ],
            right=["SIZE"],
        )
    elif there_are_more:
        output.tell("no stored model matches")
    elif not damaged:
        output.tell("the store holds no model yet; try: torchinf download torchvision:resnet18")
    for bad in damaged:
        output.labelled("warning", f"the record of {bad.name} is damaged: {bad.reason}", "33")
    if damaged:
        output.labelled("hint", "torchinf fsck --repair", "36")


def show_info(downloader: ModelDownloader, name: str, *, as_json: bool = False) -> None:
    """Print what is known of a model; see ``torchinf info --help``."""
    record = downloader.get_record(name)
    path = str(downloader.store.model_path(record))
    show_record(record, path, _forms(downloader, record), as_json=as_json)


def show_record(
    record: Record, path: str | None, forms: Sequence[dict[str, Any]], *, as_json: bool
) -> None:
    """Print one record.

    Args:
        record: of the model.
        path: where it is; None where that is not on this machine.
        forms: its optimised forms.
        as_json: print a document.
    """
    if as_json:
        output.document({**output.record_json(record, path), "forms": list(forms)})
        return
    output.facts(
        [
            ("name", record.name),
            ("description", record.description),
            ("source", record.source),
            ("reference", record.ref),
            ("revision", record.revision),
            ("path", path),
            ("size", f"{output.size(record.size)} in {output.plural(len(record.files), 'file')}"),
            ("format", record.format),
            ("task", record.task),
            ("license", record.license),
            ("tags", ", ".join(record.tags)),
            ("trust", record.trust.name.lower()),
            ("trusted", record.trusted),
            ("verified", record.verified),
            ("created", output.day(record.created)),
            ("updated", output.day(record.updated)),
            *((key, _short(value)) for key, value in sorted(record.metadata.items())),
        ]
    )
    if record.files:
        output.say()
        output.table(
            ["FILE", "SIZE", "FORMAT", "SHA256"],
            [[f.path, output.size(f.size), f.format or "-", f.sha256] for f in record.files],
            right=["SIZE"],
        )

    if forms:
        output.say()
        output.table(
            ["OPTIMISED FORM", "RUNTIME", "DEVICE", "PRECISION", "SIZE", "SPEED", "ERROR", "STATE"],
            [
                [
                    form["label"],
                    form["runtime"],
                    form["device"],
                    form["precision"],
                    output.size(form["size"]),
                    f"{form['speedup']:.2f}x",
                    f"{form['error']:.1e}",
                    form["stale"] or "in use",
                ]
                for form in forms
            ],
            right=["SIZE", "SPEED", "ERROR"],
        )


def show_outcome(
    record: Record,
    path: str | None,
    *,
    hit: bool,
    fetched: int,
    notes: Sequence[str],
    as_json: bool,
    quiet: bool,
) -> None:
    """Print how a download ended; its path, or the name where the model is elsewhere."""
    if as_json:
        for text in notes:
            output.json_line({"event": "note", "message": text})
        shown = output.record_json(record, path)
        output.json_line({"event": "result", "hit": hit, "fetched": fetched, **shown})
        return
    if not quiet:
        for text in notes:
            output.note(text)
        how = "already here" if hit else f"verified ({record.verified})"
        output.tell(output.summary(record.name, len(record.files), record.size, how))
    output.say(path or record.name)


def show_usage(usage: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what a store takes; what is None is not known.

    Args:
        usage: the document of ``torchinf cache --json``.
        as_json: print it as it is.
    """
    if as_json:
        output.document(dict(usage))
        return
    known = {key: output.size(usage[key]) for key in _SIZES if usage[key] is not None}
    output.facts(
        [
            ("store", usage["cache_directory"]),
            ("set by", usage["origin"]),
            ("models", str(usage["total_models"])),
            ("size", known.get("total_size")),
            *(
                (f"  {name}", output.size(size))
                for name, size in sorted(usage["by_source"].items())
            ),
            ("partials", known.get("partials")),
            ("reclaimable", known.get("reclaimable")),
        ]
    )
    if usage["damaged_records"]:
        damaged = output.plural(usage["damaged_records"], "record")
        output.labelled("warning", f"{damaged} damaged", "33")
        output.labelled("hint", "torchinf fsck --repair", "36")


_SIZES = ("total_size", "partials", "reclaimable")


def _forms(downloader: ModelDownloader, record: Record) -> list[dict[str, Any]]:
    """The optimised forms of a model, and why one is of no use here."""
    layout = downloader.store.layout
    if not os.path.isdir(layout.derived(record.name, record.generation)):
        return []
    from torchinf_core.hardware import stale
    from torchinf_core.store import derived as shelf

    return [
        {
            "label": form.label,
            "runtime": form.runtime,
            "device": form.device,
            "precision": form.precision,
            "size": sum(file.size for file in form.files),
            "speedup": round(form.speedup, 3),
            "error": form.error,
            "created": form.created,
            "stale": stale(form.hardware, form.versions),
        }
        for _, form in shelf.find(layout, record.name, record.generation)
    ]


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:160]}… ({len(text)} characters; --json has all)"
