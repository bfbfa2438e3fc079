"""The prediction routes without the gate before them: what checks and tokens cost."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette

from torchinf_core import ModelDownloader, ModelManager
from torchinf_serve.config import Config
from torchinf_serve.metrics import Metrics
from torchinf_serve.predicting import Predictions


def main() -> None:
    downloader = ModelDownloader(sys.argv[2])
    predictions = Predictions(ModelManager(downloader), Config(), Metrics())

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await predictions.startup()
        yield
        await predictions.shutdown(1)

    app = Starlette(routes=predictions.routes(), lifespan=lifespan)
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")


if __name__ == "__main__":
    main()
