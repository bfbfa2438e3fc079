"""What ``list`` and ``info`` print; needs no Typer, so that the fast path can call it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from torchinf_core.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchinf_core.manager import ModelDownloader


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
    if as_json:
        output.document(output.record_json(record, path))
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


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:160]}… ({len(text)} characters; --json has all)"
