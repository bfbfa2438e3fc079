"""What all remote commands share: the options that lead to a client, and records of answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from torchinf_core.types import Record, StoredFile, Trust
from torchinf_serve.client import Client

TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File with the token of the server.  [default: $TORCHINF_SERVER_TOKEN]",
        show_default=False,
    ),
]
AllowHttp = Annotated[
    bool, typer.Option("--allow-http", help="Send the token to another machine without TLS.")
]


def open_client(server: str, token_file: str | None, *, allow_http: bool) -> Client:
    """A client of the server; a file that was named wins over the environment."""
    from torchinf_serve.client.calls import read_token

    token = read_token(token_file) if token_file else None
    return Client(server, token, allow_http=allow_http)


def record_of(shown: dict[str, Any]) -> Record:
    """A record as the server shows it; what it keeps to itself is empty."""
    return Record(
        name=shown["name"],
        source=shown["source"],
        ref=shown["ref"],
        model_id=shown["model_id"],
        requested_revision=None,
        revision=shown["revision"],
        files=tuple(
            StoredFile(file["path"], file["size"], file["sha256"], file["format"])
            for file in shown["files"]
        ),
        generation="",
        format=shown["format"],
        trust=Trust[shown["trust"].upper()],
        trusted="on the server" if shown["trusted"] else None,
        verified=shown["verified"],
        task=shown["task"],
        description=shown["description"],
        license=shown["license"],
        tags=tuple(shown["tags"]),
        metadata={},
        request_key="",
        created=shown["created"],
        updated=shown["updated"],
        torchinf_version="",
    )
