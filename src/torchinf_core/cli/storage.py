"""Commands about the store as a whole: cache, gc, fsck."""

from __future__ import annotations

from typing import Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import AsJson, CacheDir, DryRun, Quiet, Verbose, open_downloader
from torchinf_core.cli.show import show_usage
from torchinf_core.errors import StoreError


def cache_command(
    cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    """Show where the store is and what it holds."""
    downloader = open_downloader(cache_dir, verbose)
    usage = downloader.store.usage()
    show_usage(
        {
            "cache_directory": str(downloader.cache_dir),
            "origin": downloader.settings.origins["cache_dir"],
            "total_models": usage.models,
            "total_size": usage.total,
            "total_size_mb": round(usage.total / 1e6, 3),
            "by_source": dict(usage.by_source),
            "blobs": usage.blobs,
            "partials": usage.partials,
            "reclaimable": usage.reclaimable,
            "damaged_records": usage.damaged,
        },
        as_json=as_json,
    )


def gc_command(
    dry_run: DryRun = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Delete what no model needs any more.

    Content that lost its last model is set aside for an hour before it goes;
    unfinished downloads are kept for a day.
    """
    report = open_downloader(cache_dir, verbose).store.gc(dry_run=dry_run)
    if as_json:
        output.document(
            {
                "dry_run": report.dry_run,
                "removed": report.removed,
                "freed": report.freed,
                "quarantined": report.quarantined,
                "pending": report.pending,
            }
        )
        return
    if quiet:
        return
    would = "would be " if report.dry_run else ""
    output.say(
        f"{output.plural(report.removed, 'file')} {would}deleted, "
        f"{output.size(report.freed)} {would}freed"
    )
    if report.pending:
        output.say(f"{output.size(report.pending)} set aside, to be deleted by a later gc")


def fsck_command(
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what can be put right.")
    ] = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    verbose: Verbose = 0,
) -> None:
    """Check the store as a whole, and repair it.

    Nothing is hashed but files that were copied or restored since, once; torchinf
    verify hashes all.  A model that lacks content is fetched anew by downloading it
    again.
    """
    problems = open_downloader(cache_dir, verbose).store.fsck(repair=repair)
    if as_json:
        output.document(
            [
                {
                    "kind": problem.kind,
                    "path": problem.path,
                    "message": problem.message,
                    "name": problem.name,
                    "repaired": problem.repaired,
                }
                for problem in problems
            ]
        )
    else:
        for problem in problems:
            output.say(str(problem))
        if not problems:
            output.say("the store is whole")
    left = sum(not problem.repaired for problem in problems)
    if left:
        raise StoreError(
            f"{output.plural(left, 'problem')} in the store",
            hint="" if repair else "torchinf fsck --repair",
        )
