"""What a server's store holds: list, info, remove, cache, health."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated

import typer

from torchinf_core.cli import output
from torchinf_core.cli.filters import select, sort_records
from torchinf_core.cli.options import AsJson, DryRun, Quiet, Yes
from torchinf_core.cli.show import show_record, show_records, show_usage
from torchinf_core.errors import BusyError, TorchinfError, UsageError
from torchinf_serve.remotely.asking import AllowHttp, TokenFile, open_client, record_of

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model of the server.")]


class Models:
    """Commands about stored models.

    Args:
        server: that is asked.
    """

    def __init__(self, server: str) -> None:
        self._server = server

    def show_all(
        self,
        filters: Annotated[
            list[str] | None,
            typer.Option(
                "--filter", "-f", metavar="WHAT", help="Only models that match; may be repeated."
            ),
        ] = None,
        sort: Annotated[
            str, typer.Option("--sort", metavar="KEY[:asc|:desc]", help="name, size, …")
        ] = "name",
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        """List the models of the server.  With -q, their names alone."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            found = [record_of(shown) for shown in client.models().values()]
        records = sort_records(select(found, filters or ()), sort)
        more = len(found) > len(records)
        show_records(records, lambda _: None, as_json=as_json, quiet=quiet, there_are_more=more)

    def info(
        self,
        name: Name,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
    ) -> None:
        """Show what is known of a model of the server."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            record = record_of(client.info(name))
        show_record(record, None, (), as_json=as_json)

    def remove(
        self,
        names: Annotated[
            list[str], typer.Argument(metavar="NAME...", help="Names of models of the server.")
        ],
        yes: Yes = False,
        dry_run: DryRun = False,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        """Remove models from the server; `all` removes every one."""
        failed: TorchinfError | None = None
        removed: list[str] = []
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            everything = names == ["all"]
            there = client.models()
            chosen = [*there] if everything else list(dict.fromkeys(names))
            if everything and chosen and not (yes or dry_run):
                self._confirm(f"remove {output.plural(len(chosen), 'model')} from {self._server}")
            for name in chosen:
                if name not in there:
                    client.info(name)  # says that it is not there, before any other goes
            for name in chosen:
                try:
                    removed += [name] if dry_run else client.remove(name)
                except TorchinfError as error:
                    failed = error
                    continue
                if not (as_json or quiet):
                    output.say(f"{'would remove' if dry_run else 'removed'} {name}")
        if as_json:
            output.document({"removed": removed, "dry_run": dry_run})
        elif not chosen:
            output.tell("the store holds no model")
        if failed is not None:
            raise failed

    def cache(
        self,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
    ) -> None:
        """Show what the server's store takes."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            told, models = client.cache(), client.models()
        by_source: Counter[str] = Counter()
        for model in models.values():
            by_source[model["source"]] += model["size"]
        show_usage(
            {
                "cache_directory": told["cache_directory"],
                "origin": self._server,
                "total_models": told["total_models"],
                "total_size": round(told["total_size_mb"] * 1e6),
                "total_size_mb": told["total_size_mb"],
                "by_source": dict(by_source),
                "blobs": None,
                "partials": None,
                "reclaimable": None,
                "damaged_records": None,
            },
            as_json=as_json,
        )

    def health(
        self,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
    ) -> None:
        """Tell how the server is; exit status 10 while it is out of service."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            told = client.health()
        if as_json:
            output.document(told)
        else:
            downloads = told["downloads"]
            output.facts(
                [
                    ("status", told["status"]),
                    ("problems", "\n".join(told["problems"])),
                    ("downloads", f"{downloads['running']} running, {downloads['queued']} queued"),
                ]
            )
        if told["status"] == "stopping":
            raise BusyError("the server is stopping")

    @staticmethod
    def _confirm(question: str) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise UsageError(
                f"{question}: nobody is here to confirm that", hint="--yes confirms it"
            )
        if not typer.confirm(f"{question}?", err=True):
            raise typer.Exit(2)
