"""``torchinf serve``: what a person can say about a server; the server itself is imported last."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from torchinf_core.errors import MissingDependencyError, PolicyError
from torchinf_serve.config import Config, is_root

_WORDS = "may be given several times"


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(help="Processes that answer requests.")] = 1,
    token_file: Annotated[
        str, typer.Option(help="File with the tokens; made if it is not there.")
    ] = "",
    allow_host: Annotated[
        list[str] | None, typer.Option(help=f"A name of this server; {_WORDS}.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help=f"A source that may be used; {_WORDS}. Default: all.")
    ] = None,
    url_host: Annotated[
        list[str] | None, typer.Option(help=f"A host that URLs may name; {_WORDS}. Default: none.")
    ] = None,
    allow_http: Annotated[bool, typer.Option(help="Let URLs do without TLS.")] = False,
    allow_code: Annotated[
        list[str] | None,
        typer.Option(help=f"A trusted model whose code may run; {_WORDS}. Default: none."),
    ] = None,
    downloads: Annotated[int, typer.Option(help="Downloads at once.")] = 4,
    queue: Annotated[int, typer.Option(help="Downloads that may wait.")] = 64,
    max_bytes: Annotated[str, typer.Option(help="Most bytes of one model.")] = "50GiB",
    max_store: Annotated[str, typer.Option(help="Most bytes of the store; 0: any.")] = "0",
    rate: Annotated[float, typer.Option(help="Requests a second for each token; 0: any.")] = 10.0,
    predict_rate: Annotated[
        float, typer.Option(help="Predictions a second for each token; 0: any.")
    ] = 0.0,
    batch_max: Annotated[int, typer.Option(help="Most items in one call of a model.")] = 32,
    batch_wait_ms: Annotated[
        float, typer.Option(help="How long an item may wait for others.")
    ] = 5.0,
    predict_concurrency: Annotated[
        int, typer.Option(help="Predictions that a model computes at once.")
    ] = 1,
    predict_queue: Annotated[int, typer.Option(help="Predictions that may wait.")] = 1024,
    predict_bytes: Annotated[
        str, typer.Option(help="Most bytes of predictions that are held at once.")
    ] = "1GiB",
    drain_seconds: Annotated[
        float, typer.Option(help="How long requests may go on after SIGTERM.")
    ] = 30.0,
    expose: Annotated[
        bool, typer.Option(help="Listen where other machines reach the server.")
    ] = False,
    allow_root: Annotated[bool, typer.Option(help="Expose it although it runs as root.")] = False,
    cache_dir: Annotated[str | None, typer.Option(help="Directory of the store.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every request.")] = False,
) -> None:
    """Answer over HTTP: downloads, predictions, and what the store holds.

    Every request needs a token.  One is made at the first start, in a file that only
    you can read; its path is printed.
    """
    from torchinf_core.settings.parsing import parse_size

    try:
        sizes = [parse_size(text) for text in (max_bytes, max_store, predict_bytes)]
    except ValueError as error:
        raise typer.BadParameter(
            f"--max-bytes, --max-store, --predict-bytes: expected {error}"
        ) from None
    config = Config(
        host=host,
        port=port,
        workers=workers,
        expose=expose,
        allow_root=allow_root,
        token_file=token_file,
        allow_hosts=tuple(allow_host or ()),
        sources=tuple(source or ()),
        url_hosts=tuple(url_host or ()),
        allow_http=allow_http,
        allow_code=tuple(allow_code or ()),
        downloads=downloads,
        queue=queue,
        max_bytes=sizes[0],
        max_store=sizes[1],
        rate=rate,
        predict_rate=predict_rate,
        batch_max=batch_max,
        batch_wait_ms=batch_wait_ms,
        predict_concurrency=predict_concurrency,
        predict_queue=predict_queue,
        predict_bytes=sizes[2],
        drain_seconds=drain_seconds,
    ).check()
    status = start(config, cache_dir, verbose=verbose)
    if status:
        raise typer.Exit(status)


def start(config: Config, cache_dir: str | None, *, verbose: bool = False) -> int:
    """Serve until a signal comes; returns the exit status.

    Raises:
        PolicyError: it would be exposed and run as root.
        MissingDependencyError: the web server is not installed.
        TorchinfError: it can't listen, or its tokens or its store can't be used.
    """
    import os

    from torchinf_core.manager import ModelDownloader
    from torchinf_serve.logging import set_up
    from torchinf_serve.security.tokens import default_path, load_tokens, reading_path

    if is_root():
        if config.is_loopback:
            _tell("warning: running as root; a user of its own would be safer")
        elif not config.allow_root:
            raise PolicyError(
                "a server that other machines reach does not run as root",
                hint="start it as another user, or --allow-root",
            )
    os.umask(0o077)
    set_up(logging.DEBUG if verbose else logging.INFO)
    path = os.path.abspath(os.path.expanduser(config.token_file)) or ""
    path = path if config.token_file else default_path()
    tokens, made = load_tokens(path)
    _tell(f"token for reading and writing{', made just now' if made else ''}: {path}")
    if os.path.exists(reading_path(path)):
        _tell(f"token for reading alone: {reading_path(path)}")
    downloader = ModelDownloader(cache_dir)
    try:
        from torchinf_serve import serving
    except ImportError as error:
        raise MissingDependencyError(
            f"the web server is not installed: {error.name} is missing",
            hint="pip install 'torchinf[serve]'",
        ) from error
    return serving.run(config, downloader, tokens, path, verbose=verbose)


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
