"""``POST /models/{name}/predict``: predictions for people."""

from __future__ import annotations

from typing import Any

from torchinf_core.errors import TorchinfError
from torchinf_core.runtimes import Array
from torchinf_serve.computing.work import Things
from torchinf_serve.predicting.answers import (
    Answer,
    Headers,
    json_answer,
    make_answer,
    problem,
    show,
)
from torchinf_serve.predicting.bodies import ARRAYS, read_request
from torchinf_serve.predicting.exchange import (
    Endpoint,
    Receive,
    Scope,
    header,
    timing,
)


class Predict(Endpoint):
    """Arrays, pictures and texts in; arrays and results out."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Predict; see :meth:`Endpoint.answer`."""
        name = scope["path_params"]["name"]
        served = self.pool.ready.get(name) or await self.pool.get(name)
        body = await self.body(scope, receive)
        facts = served.facts
        asked = await read_request(scope, body, facts)
        result = await self.predict(served, asked.item, scope, receive)
        spent = timing(asked.item)
        if isinstance(asked.item.work, Things):
            made = result[0] if asked.one else result
            answer = {"model": served.name, "version": facts.version, "result": made}
            return json_answer(answer, more=spent)
        if asked.one:
            result = {name: array[0] for name, array in result.items()}
        if len(result) == 1 and header(scope, b"accept").decode("latin-1") in ARRAYS:
            return _npy(next(iter(result.values())), spent)
        outputs = {name: show(array) for name, array in result.items()}
        answer = {"model": served.name, "version": facts.version, "outputs": outputs}
        return json_answer(answer, more=spent)

    def failure(self, error: TorchinfError, scope: Scope) -> Answer:
        """As ``application/problem+json``."""
        return problem(error, scope.get("torchinf.request_id", ""))


def _npy(array: Array, more: Headers) -> Answer:
    """The array as a ``.npy`` file."""
    from io import BytesIO

    import numpy as np

    file: Any = BytesIO()
    np.save(file, array, allow_pickle=False)
    return make_answer(file.getvalue(), b"application/octet-stream", more=more)
