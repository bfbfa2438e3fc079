"""What the runtimes offer for a model, and which of it is to be tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchinf_core.errors import OptionError, TorchinfError
from torchinf_core.loading import Bid
from torchinf_core.optimize.quiet import stdout_on_stderr
from torchinf_core.optimize.report import Outcome, Row
from torchinf_core.plugins import Plugins
from torchinf_core.plugins.results import check_candidates
from torchinf_core.runtimes import Candidate, LoadOptions
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store


@dataclass(frozen=True, slots=True)
class Offer:
    """A candidate, and who offers it."""

    runtime: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What loading needs."""

    store: Store
    settings: Settings
    run: RunSettings
    plugins: Plugins


def offers(around: Surroundings, bid: Bid, keep: str | None) -> tuple[list[Offer], list[Row]]:
    """What is to be tried, and a row for each runtime that failed and each that is left out.

    Args:
        around: the runtimes and what the user wants of them.
        bid: for the model as downloaded.
        keep: label of the only candidate that is wanted, or None.

    Raises:
        OptionError: no candidate has that label.
    """
    run, own = around.run, bid.claim.runtime
    arguments = {
        "artifact": bid.artifact,
        "device": bid.claim.device,
        "options": LoadOptions(run.precision, run.threads, run.batch_size, around.settings),
    }
    found: list[Offer] = []
    rows: list[Row] = []
    names = [name for name in around.plugins.implementing("optimize") if run.runtime in ("", name)]
    for name in sorted(names, key=lambda name: (name != own, name)):
        try:
            with stdout_on_stderr():
                made = around.plugins.call_one(
                    name,
                    "optimize",
                    bid.artifact.name,
                    arguments,
                    around.settings,
                    check_candidates,
                )
        except TorchinfError as error:
            rows.append(Row("", name, "failed", reason=str(error)))
            continue
        found += [Offer(name, candidate) for candidate in made]
    if keep is not None:
        return _only(found, keep), rows
    wanted = []
    for offer in sorted(found, key=lambda offer: offer.candidate.thorough):
        if run.precision not in ("auto", offer.candidate.precision):
            rows.append(left_out(offer, "skipped: precision", f"{run.precision} was asked for"))
        elif offer.candidate.thorough and run.optimize != "full":
            rows.append(
                left_out(offer, "skipped: thorough", "it takes long; optimize=full tries it")
            )
        else:
            wanted.append(offer)
    return wanted, rows


def _only(offers: Sequence[Offer], keep: str) -> list[Offer]:
    """The candidate that was asked for by its label, or by ``runtime:label``."""
    found = [
        offer
        for offer in offers
        if keep in (offer.candidate.label, f"{offer.runtime}:{offer.candidate.label}")
    ]
    if not found:
        there = ", ".join(sorted({offer.candidate.label for offer in offers}))
        raise OptionError(
            f"no candidate is called {keep!r}",
            hint=f"those there are: {there}" if there else "no runtime offers any",
        )
    return found


def left_out(offer: Offer, verdict: Outcome, reason: str) -> Row:
    """The row of an offer that was not tried."""
    return Row(offer.candidate.label, offer.runtime, verdict, reason=reason)
