"""What ``list`` and ``info`` print; needs no Typer, so that the fast path can call it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from torchinf_core.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchinf_core.manager import ModelDownloader
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
    if as_json:
        output.document(
            {
                "models": [
                    output.record_json(record, downloader.store.model_location(record))
                    for record in records
                ],
                "damaged": [{"name": bad.name, "reason": bad.reason} for bad in listing.damaged],
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
    elif listing.records:
        output.tell("no stored model matches")
    elif not listing.damaged:
        output.tell("the store holds no model yet; try: torchinf download torchvision:resnet18")
    for bad in listing.damaged:
        output.labelled("warning", f"the record of {bad.name} is damaged: {bad.reason}", "33")
    if listing.damaged:
        output.labelled("hint", "torchinf fsck --repair", "36")


def show_info(downloader: ModelDownloader, name: str, *, as_json: bool = False) -> None:
    """Print what is known of a model; see ``torchinf info --help``."""
    record = downloader.get_record(name)
    path = str(downloader.store.model_path(record))
    forms = _forms(downloader, record)
    if as_json:
        output.document({**output.record_json(record, path), "forms": forms})
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


def _forms(downloader: ModelDownloader, record: Record) -> list[dict[str, Any]]:
    """The optimised forms of a model, and why one is of no use here."""
    from torchinf_core.store.layout import DERIVED_SUFFIX

    layout = downloader.store.layout
    if not os.path.isdir(f"{layout.model(record.name, record.generation)}{DERIVED_SUFFIX}"):
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
