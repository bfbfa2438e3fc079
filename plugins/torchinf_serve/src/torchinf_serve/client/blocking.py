"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from torchinf_core.errors import NetworkError
from torchinf_serve.client import calls
from torchinf_serve.client.calls import Call, Json
from torchinf_serve.client.jobs import PATIENCE, Following, JobEvent, JobFacts
from torchinf_serve.client.problems import check, translated

T = TypeVar("T")


class Client:
    """A server, seen from Python; several threads may use one.

    Every method raises what the same thing raises without a server (a model that is
    not there is NotCachedError), NetworkError where the server does not answer,
    AccessDeniedError without a token that it knows, and BusyError where it has too
    much to do.

    Args:
        url: of the server.
        token: to send; default: ``$TORCHINF_SERVER_TOKEN``, else from ``token_file``.
        token_file: as ``torchinf serve`` makes it.
        timeout: seconds for an answer.
        patience: seconds for which events are waited for when the connection breaks.
        allow_http: send the token to another machine without encryption.

    Raises:
        UsageError: the address or the token is none.
        PolicyError: the token would be sent without encryption.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        token_file: str | None = None,
        timeout: float = 300.0,
        patience: float = PATIENCE,
        allow_http: bool = False,
    ) -> None:
        self.url = url.rstrip("/")
        self._patience = patience
        settings = calls.settings(self.url, token, token_file, allow_http=allow_http)
        with translated(self.url):
            self._http = httpx.Client(timeout=httpx.Timeout(timeout, connect=10.0), **settings)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    # THE STORE

    def health(self) -> Json:
        """How the server is; needs no token."""
        return self._do(calls.health())

    def models(self) -> dict[str, Json]:
        """The stored models, by name."""
        return self._do(calls.models())

    def info(self, name: str) -> Json:
        """What is known of a stored model."""
        return self._do(calls.info(name))

    def cache(self) -> Json:
        """What the store takes."""
        return self._do(calls.cache())

    def remove(self, name: str) -> list[str]:
        """Remove a model; ``all`` removes every one.  Returns the names."""
        return self._do(calls.remove(name))

    # DOWNLOADS

    def download(self, source: str, model_id: str | None = None, **asked: Any) -> Job:
        """Have a model in the server's store.

        Args:
            source: a reference, or a source with ``model_id`` behind it.
            model_id: what the source calls it.
            asked: ``name``, ``task``, ``tags``, ``sha256``, ``update`` and so on, as
                for ``ModelDownloader.download``.

        Returns:
            The job that brings it, or one that is done where it was there already.
        """
        return Job(self, self._do(calls.download(source, model_id, asked)))

    def jobs(self) -> list[Job]:
        """The jobs that the server remembers, the newest first."""
        return [Job(self, facts) for facts in self._do(calls.jobs())]

    def job(self, ident: str) -> Job:
        """One job."""
        return Job(self, self._do(calls.job(ident)))

    # PREDICTIONS

    def predict(self, name: str, inputs: Any, **options: Any) -> Any:
        """Predict with a stored model.

        Args:
            name: of the model.
            inputs: a numpy array (sent and answered as it is), a dict of arrays, lists
                of numbers; a text or a dict for a model that takes such; a picture as
                ``Path``, bytes or ``PIL.Image``; or a list of those.
            options: of the model, such as ``top=5``.

        Returns:
            As ``Predictor.predict``; numbers that JSON has no word for are None in
            results.

        Raises:
            InputError: the model can't take that.
        """
        return self._do(calls.predict(name, inputs, options))

    def describe(self, name: str) -> Json:
        """What a model takes and gives, as the Open Inference Protocol has it; loads it."""
        return self._do(calls.describe(name))

    def load(self, name: str) -> None:
        """Load a model before it is needed."""
        self._do(calls.load(name))

    def unload(self, name: str) -> None:
        """Free a model's memory."""
        self._do(calls.unload(name))

    def loaded(self) -> list[str]:
        """Names of the models in memory."""
        return self._do(calls.loaded())

    # INSIDE

    def _do(self, call: Call[T]) -> T:
        with translated(self.url):
            answer = self._http.request(call.method, call.path, **call.more)
        if answer.status_code not in call.fine:
            check(answer)
        return call.read(answer)

    def _follow(self, ident: str, after: int) -> Iterator[JobEvent]:
        following = Following(after, self._patience)
        while not following.over:
            error = None
            try:
                yield from self._stream(ident, following)
            except NetworkError as broken:
                error = broken
            if not following.over:
                time.sleep(following.pause(error))

    def _stream(self, ident: str, following: Following) -> Iterator[JobEvent]:
        path = calls.job(ident).path + "/events"
        with (
            translated(self.url),
            self._http.stream("GET", path, headers=following.headers) as answer,
        ):
            if not answer.is_success:
                answer.read()
                check(answer)
            following.over = answer.status_code == httpx.codes.NO_CONTENT
            for line in answer.iter_lines():
                if event := following.read(line):
                    yield event
            if not following.over:
                following.ended()


class Job(JobFacts):
    """A download of a server; made by :meth:`Client.download`."""

    def __init__(self, client: Client, facts: Json) -> None:
        super().__init__(facts)
        self._client = client

    def refresh(self) -> Self:
        """Ask how it is now."""
        if self.id:
            self.facts = self._client._do(calls.job(self.id))  # noqa: SLF001 - a part of it
        return self

    def events(self, after: int = 0) -> Iterator[JobEvent]:
        """Its events behind the one with the id ``after``, until it has ended.

        A connection that breaks is made again, and no event is missed or told twice.

        Raises:
            NetworkError: the server did not come back in time.
        """
        if self.id:
            for event in self._client._follow(self.id, after):  # noqa: SLF001
                self.take(event)
                yield event

    def wait(self, on_event: Callable[[JobEvent], None] | None = None) -> Self:
        """Return when it is done.

        Args:
            on_event: told each event.

        Raises:
            TorchinfError: it failed, with what a download here would raise, or was
                cancelled.
        """
        for event in self.events():
            if on_event is not None:
                on_event(event)
        self.refresh().raise_failure()
        return self

    def cancel(self) -> Self:
        """Stop it; what arrived is kept."""
        self.facts = self._client._do(calls.cancel(self.id))  # noqa: SLF001
        return self

    def retry(self) -> Self:
        """Let it run again."""
        self.facts = self._client._do(calls.retry(self.id))  # noqa: SLF001
        return self
