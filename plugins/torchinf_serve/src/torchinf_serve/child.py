"""One of several processes of a server: ``python -m torchinf_serve.child``."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Any


def main() -> int:
    """Be what stdin says until it is closed or a signal comes; returns the exit status."""
    from torchinf_core.errors import TorchinfError
    from torchinf_core.manager import ModelDownloader
    from torchinf_serve import serving
    from torchinf_serve.config import Config
    from torchinf_serve.logging import set_up
    from torchinf_serve.security.tokens import load_tokens

    told: dict[str, Any] = json.loads(_first_line())
    os.umask(0o077)
    set_up(logging.DEBUG if told["verbose"] else logging.INFO)
    config = Config.from_json(told["config"])
    threading.Thread(target=_end_with_stdin, args=(config.drain_seconds + 10,), daemon=True).start()
    tokens, _ = load_tokens(told["token_file"])
    downloader = ModelDownloader(told["cache_dir"])
    sock = socket.socket(fileno=told["fd"])
    sock.setblocking(False)
    os.set_inheritable(told["fd"], False)
    serving.allow_many_files()
    part = serving.Part(owner=told["owner"], socket=told["socket"])
    listening = serving.url_of(config) if part.owner else ""
    try:
        server = serving.make_server(config, downloader, tokens, part=part, listening=listening)
    except TorchinfError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    server.run(serving.doors(sock))
    return 0


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n") and (part := os.read(0, 1 << 16)):
        line += part
    return line


def _end_with_stdin(grace: float) -> None:
    while os.read(0, 1 << 10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
