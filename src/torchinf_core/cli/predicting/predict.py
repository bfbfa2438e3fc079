"""``torchinf predict`` and ``torchinf run``: load, predict input by input, tell.

Imported by the fast path: nothing here needs Typer, click or rich unless a bar is
drawn.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from torchinf_core.cli import output
from torchinf_core.cli.predicting.answering import Answer, Answers
from torchinf_core.cli.predicting.hushing import hushed
from torchinf_core.cli.predicting.inputs import Inputs, see_files
from torchinf_core.cli.predicting.request import Request
from torchinf_core.errors import OptionError, TorchinfError
from torchinf_core.manager import ModelDownloader

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torchinf_core.predicting.exporting import Export
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.types import Record


MOST = 100
"""Characters of an input's name in an error."""


def predict(
    request: Request,
    load: Callable[[Request], Predictor] | None = None,
    picture: Callable[[str], Any] | None = None,
) -> int:
    """Do what was asked for; returns the exit status: that of the worst failed input.

    Args:
        request: what was asked for.
        load: gives the predictor; default: it is loaded here.
        picture: reads a picture; default: as pipelines take them.

    Raises:
        TorchinfError: the model can't be loaded, or its only input not be used.
    """
    see_files(request.inputs)
    options = _options(request)
    with ExitStack() as opened:
        out = _open(request, opened)
        predictor = opened.enter_context((load or _load)(request))
        inputs = Inputs(request.inputs, predictor.kind, predictor.signature, picture)
        lone = not inputs.several
        worst = done = 0
        count = opened.enter_context(_counting(request, inputs))
        found = iter(Answers(predictor, inputs, options, request.batch_size or 0))
        for item, result, error in _hushed(found, request.verbose):
            done += 1
            count(done)
            if error is None:
                _emit(request, out, item.name, result, several=inputs.several)
            elif lone or request.fail_fast:
                raise error
            else:
                worst = max(worst, error.exit_code)
                _tell_failure(request, item.name, error)
    if out is not None and not request.quiet:
        output.tell(f"{output.plural(done, 'input')}: {out.path}")
    return worst


def _hushed(found: Iterator[Answer], verbose: int) -> Iterator[Answer]:
    """The same, while what libraries print goes nowhere."""
    while True:
        with hushed(verbose=verbose):
            answer = next(found, None)
        if answer is None:
            return
        yield answer


def _load(request: Request) -> Predictor:
    from torchinf_core.loading import load_record

    settings = {"offline": request.offline}
    downloader = ModelDownloader(request.cache_dir, **settings)
    record = _record(request, downloader)
    run = downloader.settings.run_for(
        record.name,
        device=request.device,
        runtime=request.runtime,
        precision=request.precision,
        arch=request.arch,
        threads=request.threads,
        batch_size=request.batch_size,
        optimize="off" if request.original else None,
    )
    with hushed(verbose=request.verbose):
        predictor = load_record(record, downloader.store, downloader.settings, run)
    if not gc.isenabled():  # the fast path left it to us
        gc.freeze()  # what is loaded stays, and need not be looked at again and again
        gc.enable()
    if not request.quiet and (request.verbose or output.is_terminal(sys.stderr)):
        derived = predictor.artifact.derived
        form = f", {derived.label}" if derived else ""
        output.tell(
            f"{record.name}: {predictor.runtime} on {predictor.device}, {predictor.precision}{form}"
        )
    return predictor


def _record(request: Request, downloader: ModelDownloader) -> Record:
    if not request.obtain:
        return downloader.get_record(request.model)
    from torchinf_core.cli.progress import reporter
    from torchinf_core.models import find_or_obtain

    download = {"trust": True} if request.trust else {}
    # Events are no data here: with --json they stay on stderr too.
    with reporter(as_json=False, quiet=request.quiet) as on_event:
        return find_or_obtain(downloader, request.model, None, on_event, download)


def _open(request: Request, opened: ExitStack) -> Export | None:
    if request.out is None:
        return None
    from torchinf_core.predicting.exporting import export

    out = export(request.out, force=request.force)
    opened.push(out)  # before there is a file, so that an interrupt can't leave one
    out.open()
    return out


def _counting(request: Request, inputs: Inputs) -> AbstractContextManager[Any]:
    if request.quiet or not inputs.several or (not request.out and output.is_terminal(sys.stdout)):
        return nullcontext(lambda _done: None)
    from torchinf_core.cli.predicting.counting import counting

    return counting(inputs.count, shown=True)


def _options(request: Request) -> dict[str, Any]:
    """Options of the pipeline: JSON where it is JSON, else text."""
    options: dict[str, Any] = {"top": request.top} if request.top else {}
    for pair in request.options:
        key, sign, text = pair.partition("=")
        if not sign or not key.strip():
            raise OptionError(f"--option takes KEY=VALUE, not {pair!r}")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[key.strip().replace("-", "_")] = value
    if "batch_size" in options:
        raise OptionError("'batch_size' is not for --option", hint="--batch-size says that")
    return options


def _emit(request: Request, out: Export | None, name: str, result: Any, *, several: bool) -> None:
    if out is not None:
        out.add(name, result)
    elif request.as_json:
        from torchinf_core.predicting.exporting import to_json

        output.say(to_json({"input": name, "result": result}))
    else:
        from torchinf_core.cli.predicting import showing

        if request.quiet:
            showing.show_briefly(result)
        else:
            showing.show(name, result, several=several)


def _tell_failure(request: Request, name: str, error: TorchinfError) -> None:
    if request.as_json and request.out is None:
        told = {"type": type(error).__name__, "message": str(error), "hint": error.hint}
        output.json_line({"input": name, "error": {**told, "exit_code": error.exit_code}})
    message = str(error)
    name = name if len(name) <= MOST else f"{name[:MOST]}…"
    known = repr(name) in message or message.startswith(f"{name}:")
    output.labelled("error", message if known else f"{name}: {message}", "31")
    if error.hint:
        output.labelled("hint", error.hint, "36")
