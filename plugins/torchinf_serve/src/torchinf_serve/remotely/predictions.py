"""Predictions by a server: predict, run, load and unload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from torchinf_core.cli import output
from torchinf_core.cli.options import AsJson, Quiet
from torchinf_core.cli.predicting.command import FailFast, Force, Inputs, Options, Out, Top
from torchinf_core.cli.predicting.options import BatchSize
from torchinf_core.cli.predicting.predict import predict
from torchinf_core.cli.predicting.request import Request
from torchinf_core.errors import InputError
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Array, Feeds, ItemKind, Signature, TensorSpec
from torchinf_serve.client import Client
from torchinf_serve.remotely.asking import AllowHttp, TokenFile, open_client
from torchinf_serve.remotely.downloads import finish
from torchinf_serve.remotely.models import Name

_KINDS: dict[str, ItemKind] = {"image": "image", "text": "text", "mapping": "mapping"}


_DTYPES = {"BOOL": "bool", "BYTES": "object"}


class Predictions:
    """Commands that predict.

    Args:
        server: that computes.
    """

    def __init__(self, server: str) -> None:
        self._server = server

    def predict(
        self,
        name: Name,
        inputs: Inputs,
        top: Top = None,
        batch_size: BatchSize = None,
        out: Out = None,
        force: Force = False,
        option: Options = None,
        fail_fast: FailFast = False,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> int:
        """Predict with a model of the server.  With -q, the top label or value alone."""
        request = Request(
            name,
            inputs,
            top=top,
            batch_size=batch_size,
            out=out,
            force=force,
            options=option or (),
            fail_fast=fail_fast,
            as_json=as_json,
            quiet=quiet,
        )
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            return predict(request, lambda asked: RemotePredictor(client, asked.model), _picture)

    def run(
        self,
        ref: Annotated[
            str, typer.Argument(metavar="REF", help="A model, or a name of the server's store.")
        ],
        inputs: Inputs,
        top: Top = None,
        batch_size: BatchSize = None,
        out: Out = None,
        force: Force = False,
        option: Options = None,
        fail_fast: FailFast = False,
        token_file: TokenFile = None,
        allow_http: AllowHttp = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> int:
        """Predict with any model, which the server downloads if it has not got it."""
        name = ref
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            if ":" in ref:
                job = client.download(ref)
                finish(job, as_json=False, quiet=quiet or as_json)
                name = job.name or ref
        return self.predict(
            name, inputs, top, batch_size, out, force, option, fail_fast, token_file, allow_http,
            as_json, quiet,
        )  # fmt: skip

    def load(
        self, name: Name, token_file: TokenFile = None, allow_http: AllowHttp = False,
        quiet: Quiet = False,
    ) -> None:  # fmt: skip
        """Have the server load a model before it is needed."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            client.load(name)
        if not quiet:
            output.say(f"{name} is loaded")

    def unload(
        self, name: Name, token_file: TokenFile = None, allow_http: AllowHttp = False,
        quiet: Quiet = False,
    ) -> None:  # fmt: skip
        """Have the server free a model's memory."""
        with open_client(self._server, token_file, allow_http=allow_http) as client:
            client.unload(name)
        if not quiet:
            output.say(f"{name} is not loaded")


class RemotePredictor(Predictor):
    """A model of a server in the place of one that is loaded here.

    Args:
        client: of the server.
        name: of the model.
    """

    def __init__(self, client: Client, name: str) -> None:  # there is no artifact here
        self._client = client
        self._model = name
        told = client.describe(name)
        special = [tensor["name"] for tensor in told["inputs"] if tensor.get("optional")]
        self._kind: ItemKind = _KINDS.get(special[0], "array") if special else "array"
        inputs = [tensor for tensor in told["inputs"] if not tensor.get("optional")]
        outputs = told["outputs"][: -1 if special else None]
        self.signature = Signature(_specs(inputs), _specs(outputs))
        self.runtime, self.device, self.precision = "server", client.url, "fp32"
        self.closed = False
        self._batch_size = 0

    @property
    def name(self) -> str:
        """Name of the model."""
        return self._model

    @property
    def kind(self) -> ItemKind:
        """What its pipeline takes."""
        return self._kind

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """Have the server compute; a single array goes as it is."""
        given = next(iter(feeds.values())) if len(feeds) == 1 else dict(feeds)
        found = self._client.predict(self._model, given)
        if isinstance(found, dict):
            return found
        outputs = self.signature.outputs
        return {outputs[0].name if outputs else "output": found}

    def close(self) -> None:
        """Nothing is held here."""
        self.closed = True

    def _predict_items(self, batch: Sequence[Any], options: dict[str, Any]) -> list[Any]:
        found: list[Any] = self._client.predict(self._model, list(batch), **options)
        return found


def _specs(tensors: Sequence[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(
            tensor["name"],
            _dtype(tensor["datatype"]),
            # The protocol writes no axes for a single number and for what nobody knows.
            tuple(_axis(place, axis) for place, axis in enumerate(tensor["shape"])) or None,
        )
        for tensor in tensors
    )


def _dtype(word: str) -> str:
    """``FP32`` → ``float32``."""
    return _DTYPES.get(word) or word.lower().replace("fp", "float")


def _axis(place: int, axis: int) -> int | str:
    if axis >= 0:
        return axis
    return "batch" if place == 0 else f"axis{place}"


def _picture(path: str) -> bytes:
    """The file as it is, for the server to decode."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path!r} can't be read: {error.strerror or error}") from None
