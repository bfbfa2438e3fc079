"""Downloads by a server: download and jobs."""

from __future__ import annotations

import builtins
from typing import Annotated, Any

import typer

from torchinf_core.cli import output
from torchinf_core.cli.download import source_options
from torchinf_core.cli.options import AsJson, Quiet
from torchinf_core.cli.progress import OnEvent, reporter
from torchinf_core.cli.show import show_outcome
from torchinf_core.errors import UsageError
from torchinf_core.types import Event
from torchinf_serve.client import Client, Job, JobEvent
from torchinf_serve.remotely.asking import AllowHttp, TokenFile, open_client, record_of

Text = Annotated[str | None, typer.Option(metavar="TEXT", show_default=False)]
Words = Annotated[list[str] | None, typer.Option(metavar="TEXT", help="May be repeated.")]


class Downloads:
    """Commands about downloads.

    Args:
        server: that downloads.
    """

    def __init__(self, server: str) -> None:
        self._server = server

    def download(
        self,
        source: Annotated[
            str, typer.Argument(metavar="REF | SOURCE", help="What to get, or a source.")
        ],
        model_id: Annotated[
            str | None, typer.Argument(metavar="[MODEL_ID]", help="What the source calls it.")
        ] = None,
        name: Text = None,
        task: Text = None,
        tag: Words = None,
        description: Text = None,
        sha256: Text = None,
        pretrained: Annotated[
            bool | None, typer.Option("--pretrained/--no-pretrained", show_default=False)
        ] = None,
        extract: Annotated[bool | None, typer.Option("--extract")] = None,
        include: Words = None,
        exclude: Words = None,
        all_files: Annotated[bool | None, typer.Option("--all-files")] = None,
        variant: Text = None,
        option: Annotated[
            list[str] | None,
            typer.Option("--option", "-o", metavar="KEY=VALUE", help="An option of the source."),
        ] = None,
        update: Annotated[bool, typer.Option("--update", help="Ask the source again.")] = False,
        replace: Annotated[
            bool, typer.Option("--replace", help="Let the name change its content.")
        ] = False,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        """Have the server get a model, and wait for it.

        It goes on when this is interrupted; the same command looks on again.
        """
        asked: dict[str, Any] = {
            "name": name,
            "task": task,
            "tags": tag or (),
            "description": description,
            "sha256": sha256,
            "pretrained": pretrained,
            "extract": extract,
            "include": include or None,
            "exclude": exclude or None,
            "all_files": all_files,
            "variant": variant,
            "update": update or None,
            "replace": replace or None,
        }
        asked.update(source_options(option or [], taken=asked))
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            job = client.download(source, model_id, **asked)
            finish(job, as_json=as_json, quiet=quiet)
            record = record_of(client.info(job.name or ""))
        result = job.facts.get("result") or {}
        show_outcome(
            record,
            None,
            hit=job.hit,
            fetched=int(result.get("fetched", 0)),
            notes=tuple(result.get("notes", ())),
            as_json=as_json,
            quiet=quiet,
        )

    def jobs(
        self,
        ident: Annotated[
            str | None, typer.Argument(metavar="[ID]", help="One job.", show_default=False)
        ] = None,
        cancel: Annotated[bool, typer.Option("--cancel", help="Stop the job.")] = False,
        retry: Annotated[bool, typer.Option("--retry", help="Let the job run again.")] = False,
        watch: Annotated[bool, typer.Option("--watch", help="Wait until it has ended.")] = False,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        """List the downloads of the server, or do something about one.  With -q, ids alone."""
        if ident is None and (cancel or retry or watch):
            raise UsageError("which job?", hint="jobs lists them; their ids come first")
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            if ident is None:
                _show_all(client.jobs(), as_json=as_json, quiet=quiet)
                return
            job = _do(client, ident, cancel=cancel, retry=retry)
            if watch:
                finish(job, as_json=as_json, quiet=quiet)
        if as_json:
            output.json_line(job.facts) if watch else output.document(job.facts)
        elif not quiet:
            _show_one(job)


def finish(job: Job, *, as_json: bool, quiet: bool) -> None:
    """Show how a job goes on until it is done.

    Raises:
        TorchinfError: it failed, or was cancelled.
    """
    with reporter(as_json=as_json, quiet=quiet) as on_event:
        job.wait(_Telling(job, on_event))


class _Telling:
    """Tells events of a job as those of a download here, of which a job has one file."""

    def __init__(self, job: Job, on_event: OnEvent) -> None:
        self._job = job
        self._tell = on_event

    def __call__(self, event: JobEvent) -> None:
        """Tell one event."""
        data, total = event.data, self._job.total
        if event.kind == "resolved":
            self._tell(Event("resolved", total=total, message=self._job.name or ""))
        elif event.kind == "started":
            self._tell(Event("started", total=data.get("total_bytes")))
        elif event.kind == "progress":
            self._tell(Event("progress", self._job.name or "model", self._job.done, total))
        elif event.kind in ("retry", "note"):
            self._tell(Event(event.kind, message=str(data.get("message", ""))))


def _do(client: Client, ident: str, *, cancel: bool, retry: bool) -> Job:
    job = client.job(ident)
    if cancel:
        job.cancel()
    return job.retry() if retry else job


def _show_all(jobs: builtins.list[Job], *, as_json: bool, quiet: bool) -> None:
    if as_json:
        output.document({"jobs": [job.facts for job in jobs]})
    elif quiet:
        for job in jobs:
            output.say(job.id)
    elif not jobs:
        output.tell("no download was asked for")
    else:
        output.table(
            ["ID", "STATE", "MODEL", "DONE", "SIZE", "CREATED"],
            [
                [
                    job.id,
                    job.state,
                    job.name or f"{job.facts['source']}:{job.facts['model_id']}",
                    output.size(job.done),
                    output.size(job.total),
                    output.day(job.facts["created"]),
                ]
                for job in jobs
            ],
            right=["DONE", "SIZE"],
        )


def _show_one(job: Job) -> None:
    error = job.error
    output.facts(
        [
            ("id", job.id),
            ("state", job.state),
            ("source", job.facts["source"]),
            ("model", job.facts["model_id"]),
            ("name", job.name),
            ("done", f"{output.size(job.done)} of {output.size(job.total)}"),
            ("attempt", str(job.facts["attempt"])),
            ("created", output.day(job.facts["created"])),
            ("error", str(error) if error else None),
            ("hint", error.hint if error else None),
        ]
    )
