"""What a server says on stderr: one JSON object a line, nothing in it unescaped."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from torchinf_core.refs import redact


class JsonLines(logging.Formatter):
    """A record as one line of JSON; ``fields`` of the record are added to it.

    Args:
        always: fields of every line.
    """

    def __init__(self, **always: str) -> None:
        super().__init__()
        self._always = always

    def format(self, record: logging.LogRecord) -> str:
        """The line; secrets in URLs are hidden, control characters escaped."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        line |= {**self._always, **getattr(record, "fields", {})}
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up(level: int, **always: str) -> None:
    """Send the logs of torchinf and of the web server to stderr, and nothing else."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(**always))
    for name in ("torchinf", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level if name == "torchinf" else logging.WARNING)
