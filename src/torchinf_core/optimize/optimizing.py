"""Optimising one model: what is tried, in what order, and what is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torchinf_core.errors import InputError, StoreError, TorchinfError
from torchinf_core.loading import Bid, bids, choose, open_record
from torchinf_core.optimize import measure, memory
from torchinf_core.optimize.examples import gather
from torchinf_core.optimize.offering import Offer, Surroundings, left_out, offers
from torchinf_core.optimize.reference import (
    Reference,
    load_reference,
    reference_seconds,
    run_reference,
)
from torchinf_core.optimize.report import Report, Row
from torchinf_core.optimize.trial import Passed, attempt
from torchinf_core.plugins import load_plugins
from torchinf_core.plugins.boundary import describe
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store, locks
from torchinf_core.store import derived as shelf
from torchinf_core.store.durable import translated
from torchinf_core.types import Event, Record

if TYPE_CHECKING:
    from torchinf_core.manager import ModelDownloader

OnEvent = Callable[[Event], None]


def optimize(
    downloader: ModelDownloader,
    name: str,
    run: RunSettings | None = None,
    *,
    inputs: Sequence[Any] | None = None,
    keep: str | None = None,
    dry_run: bool = False,
    on_event: OnEvent | None = None,
) -> Report:
    """Try every form of a stored model anew, and keep the fastest that computes the same.

    Args:
        downloader: tells the store and the settings.
        name: of the model, or a reference it was downloaded by.
        run: device, tolerance, time and so on; default: the settings for the model.
        inputs: further inputs to compare on, as ``predict`` takes them, or paths of
            ``.npy``, ``.npz`` and ``.json`` files; times are of the first.
        keep: label of the candidate to keep if it passes, however fast it is.
        dry_run: try everything, and leave the store as it is.
        on_event: told what is tried, as notes.

    Raises:
        NotCachedError: the store has no such model.
        UntrustedError, IntegrityError: see :func:`torchinf_core.loading.open_record`.
        LoadError: no runtime can load the model as downloaded, or it failed.
        InputError: one of ``inputs`` is nothing the model takes, or nobody knows what is.
        OptionError: no candidate is called ``keep``.
    """
    record = downloader.get_record(name)
    chosen = run or downloader.settings.run_for(record.name)
    task = _Task(downloader, record, chosen, on_event, tuple(inputs or ()), keep, not dry_run)
    with task.store.lease():
        bid = task.best_bid()
        with _alone(task, bid):
            return _optimize(task, bid)


def optimize_once(
    downloader: ModelDownloader,
    record: Record,
    run: RunSettings,
    on_event: OnEvent | None = None,
) -> Report:
    """Optimise a model unless that was done before and still holds.

    What goes wrong is in the report: the model is as usable as before.

    Args:
        downloader: tells the store and the settings.
        record: of the model.
        run: ``optimize="full"`` tries more than ``auto``, ``off`` nothing.
        on_event: told what is tried, as notes.

    Raises:
        UntrustedError, IntegrityError: see :func:`torchinf_core.loading.open_record`.
        LoadError, MissingError: no runtime can load the model as downloaded.
    """
    if run.optimize == "off":
        return Report(record.name, reason="optimize is off")
    task = _Task(downloader, record, run, on_event, once=True)
    with task.store.lease():
        bid = task.best_bid()
        try:
            report = memory.recall(task.around, bid)
            if report is not None:
                return report
            with _alone(task, bid):
                # Whoever held the lock may have done it.
                return memory.recall(task.around, bid) or _optimize(task, bid)
        except Exception as error:
            told = str(error) if isinstance(error, TorchinfError) else describe(error)
            log = logging.getLogger("torchinf")
            log.debug("optimising %s failed", record.name, exc_info=error)
            if on_event is None:
                log.warning("%s was not optimised: %s", record.name, told)
            task.note(f"{record.name} was not optimised: {told}")
            return Report(record.name, bid.claim.device, reason=told)


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be done, and with what."""

    downloader: ModelDownloader
    record: Record
    run: RunSettings
    on_event: OnEvent | None = None
    inputs: tuple[Any, ...] = ()
    keep: str | None = None
    publish: bool = True
    once: bool = False

    @property
    def store(self) -> Store:
        return self.downloader.store

    @property
    def around(self) -> Surroundings:
        settings = self.downloader.settings
        return Surroundings(self.downloader.store, settings, self.run, load_plugins(settings))

    def best_bid(self) -> Bid:
        """Open the model; the best bid for it as it was downloaded."""
        around = self.around
        artifact = open_record(self.record, around.store, around.settings, self.run, around.plugins)
        found = bids([artifact], self.run.device, around.settings, around.plugins)
        return choose(found, self.run, artifact, around.settings, around.plugins)

    def note(self, message: str) -> None:
        if self.on_event is not None:
            self.on_event(Event("note", message=message))


def _alone(task: _Task, bid: Bid) -> AbstractContextManager[None]:
    """Two that measure at once would measure each other."""
    key = f"optimize:{task.record.generation}:{bid.claim.device}"
    return locks.hold(
        task.store.layout.lock(key),
        shared=False,
        timeout=task.store.lock_timeout,
        what=f"{task.record.name!r} is being optimised",
        waiting=lambda holder: task.note(f"waiting for {holder}"),
    )


def _optimize(task: _Task, bid: Bid) -> Report:
    started = measure.clock()
    with ExitStack() as stack:
        predictor = load_reference(task.around, bid)
        stack.callback(predictor.close)
        report = Report(
            task.record.name, bid.claim.device, f"{predictor.runtime} {predictor.precision}"
        )
        found, rows = offers(task.around, bid, task.keep)
        reference, problem = _reference(task, bid, predictor)
        best: Passed | None = None
        if reference is None:
            report = replace(report, reason=problem)
        else:
            best, tried = _try_all(task, found, reference, started, stack)
            rows += tried
            seconds = best.derived.reference_seconds if best else reference_seconds(reference, rows)
            report = replace(report, reference_seconds=seconds)
        report = replace(report, rows=tuple(rows), derived=best.derived if best else None)
        if task.publish:
            names = {name for each in found for name in each.candidate.distributions}
            report = _settle(task, report, best, names)
        _tell(task, report)
        return replace(report, seconds=measure.clock() - started)


def _reference(task: _Task, bid: Bid, predictor: Predictor) -> tuple[Reference | None, str]:
    examples = gather(predictor, task.inputs)
    if examples:
        return run_reference(bid, predictor, examples, task.run.tolerance)
    problem = f"nobody knows what {predictor.name!r} takes"
    if task.once:
        return None, problem
    raise InputError(problem, hint="give some of your own: --inputs FILE")


def _try_all(
    task: _Task, wanted: Sequence[Offer], reference: Reference, started: float, stack: ExitStack
) -> tuple[Passed | None, list[Row]]:
    """The best that passes, and a row for each candidate."""
    if wanted:
        task.note(
            f"optimising {task.record.name} on {reference.bid.claim.device}: {len(wanted)} "
            f"candidate{'s' if len(wanted) > 1 else ''}, none is begun after "
            f"{task.run.optimize_time:g} s"
        )
    best: Passed | None = None
    rows: list[Row] = []
    for offer in wanted:
        spent = measure.clock() - started
        if spent > task.run.optimize_time and task.keep is None:
            rows.append(left_out(offer, "skipped: time", f"{spent:.0f} s had passed"))
            continue
        outcome = attempt(offer, reference, task.around, keep=task.keep is not None)
        if isinstance(outcome, Passed):
            stack.callback(outcome.files.close)
            loser: Passed | None = outcome
            if best is None or outcome.derived.speedup > best.derived.speedup:
                loser, best = best, outcome
            if loser is not None:
                loser.files.close()
        rows.append(outcome.row if isinstance(outcome, Passed) else outcome)
        task.note(_line(rows[-1]))
    return best, [_final(row, best) for row in rows]


def _final(row: Row, best: Passed | None) -> Row:
    if best is None or row.verdict != "slower":
        return row
    if row is best.row:
        return replace(row, verdict="chosen", reason="")
    return row if row.reason else replace(row, reason=f"than {best.row.label}")


def _settle(task: _Task, report: Report, best: Passed | None, names: Iterable[str]) -> Report:
    """Put the outcome into the store, unless the model is another by now."""
    record, layout = task.record, task.store.layout
    with task.store.naming(record.name):
        now = task.downloader.registry.find(record.name)
        if now is None or now.generation != record.generation:
            return replace(report, reason="the model was changed or removed meanwhile")
        with translated(layout.home(record.name)):
            try:
                if best is not None:
                    shelf.publish(layout, record.name, best.derived, str(best.stage))
                    report = replace(report, kept=True)
                elif _proved_nothing_faster(task, report):
                    shelf.retire(layout, record.name, record.generation, report.device)
            except ValueError as error:
                raise StoreError(f"the form of {record.name!r} can't be kept: {error}") from error
            memory.remember(task.around, record, report, names)
    return report


def _proved_nothing_faster(task: _Task, report: Report) -> bool:
    """True when a form from an earlier time has had its chance, and did not pass."""
    untried = task.keep or task.run.runtime or report.reason
    return not untried and not any(row.verdict == "skipped: time" for row in report.rows)


def _tell(task: _Task, report: Report) -> None:
    if report.derived is None:
        task.note(f"nothing was faster than {report.reference}{_because(report.reason)}")
        return
    found = f"{report.derived.label} is {report.derived.speedup:.2f} times as fast"
    task.note(f"{found} and {'is used from now on' if report.kept else 'was not kept'}")


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _line(row: Row) -> str:
    if row.speedup is None:
        return f"{row.label}: {row.verdict}{_because(row.reason)}"
    return f"{row.label}: {row.speedup:.2f} times as fast, error {row.error:.1e}"
