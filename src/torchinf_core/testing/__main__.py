"""``python -m torchinf_core.testing DIR``: serve a folder on loopback until stopped.

Prints the URL as its only line on stdout; SIGTERM or SIGINT ends it.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
import threading
from pathlib import Path

from torchinf_core.settings.parsing import parse_size
from torchinf_core.testing import faults
from torchinf_core.testing.hub import ANY, Hub


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes; returns the exit status."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(options.log.open("a")) if options.log else None
        hub = stack.enter_context(
            Hub(
                tls=options.tls,
                throttle=options.throttle,
                latency=options.latency,
                port=options.port,
                log=log,
            )
        )
        hub.fail(ANY, *options.fault)
        if options.token:
            hub.require_token("/", options.token)
        print(hub.mount(options.folder), flush=True)  # noqa: T201 - what the command is for
        if hub.ca_file:
            sys.stderr.write(f"certificate: {hub.ca_file}\n")
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m torchinf_core.testing",
        description="Serve a folder on loopback, well or badly.",
    )
    parser.add_argument("folder", type=_folder, metavar="DIR")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--throttle", type=_rate, metavar="5M", help="bytes/s per connection")
    parser.add_argument("--latency", type=_seconds, default=0.0, metavar="20ms")
    parser.add_argument("--tls", action="store_true", help="HTTPS with a throw-away certificate")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        metavar="NAME[:TIMES]",
        help=f"queue a fault; TIMES may be 'always'; names: {', '.join(faults.CATALOGUE)}",
    )
    parser.add_argument(
        "--token",
        type=_token,
        metavar="SECRET",
        help="answer 401 without Authorization: Bearer SECRET",
    )
    parser.add_argument("--log", type=Path, help="append a JSON line for each request")
    return parser


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def _rate(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected {error}") from None


def _seconds(text: str) -> float:
    try:
        return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))
    except ValueError:
        raise argparse.ArgumentTypeError("expected a time such as 20ms or 0.5s") from None


def _token(text: str) -> str:
    # An empty one is a variable that was not set: it must not open the folder to all.
    if not re.fullmatch(r"[!-~]+", text):
        raise argparse.ArgumentTypeError("expected characters that a header can hold, no spaces")
    return text


def _fault(text: str) -> faults.Fault:
    name, _, times = text.partition(":")
    if name not in faults.CATALOGUE or not (times in ("", "always") or times.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no fault; see --help")
    fault = faults.CATALOGUE[name]()
    return fault.always() if times == "always" else fault.repeat(int(times or 1))


if __name__ == "__main__":
    sys.exit(main())
