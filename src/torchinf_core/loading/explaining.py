"""What every runtime says of every form of a model: the choice in the open."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torchinf_core.errors import TorchinfError
from torchinf_core.loading.choosing import Bid, bids, choose
from torchinf_core.loading.derived import Form, forms
from torchinf_core.loading.opening import open_record
from torchinf_core.plugins import load_plugins
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store, verdicts
from torchinf_core.types import Json, Record


@dataclass(frozen=True, slots=True)
class Explained:
    """One runtime's bid for one form of a model.

    Attributes:
        runtime: that bids.
        form: label of the optimised form, or ``""`` for the model as downloaded.
        score: of the bid; 0 when it can't, or is not to be used.
        device: that it would run on.
        reason: of the bid, or why the form is not to be used.
        hint: how to make a bid of 0 possible, or ``""``.
        chosen: True for what ``load`` would take.
        precision: that the form computes with, or ``""`` for the model as downloaded.
        seconds: median time of one call when it was optimised, or None.
        speedup: times as fast as the model as downloaded then, or None.
        error: to the outputs of that, or None.
    """

    runtime: str
    form: str
    score: int
    device: str
    reason: str
    hint: str = ""
    chosen: bool = False
    precision: str = ""
    seconds: float | None = None
    speedup: float | None = None
    error: float | None = None

    def to_json(self) -> dict[str, Json]:
        """JSON values."""
        return asdict(self)


def explain(record: Record, store: Store, settings: Settings, run: RunSettings) -> list[Explained]:
    """Every bid for every form of a model, the best first, and forms that are of no use here.

    Where none is chosen, :func:`torchinf_core.loading.choose` raises what ``load`` would.

    Raises:
        UntrustedError, IntegrityError: see :func:`open_record`.
    """
    plugins = load_plugins(settings)
    with store.lease():
        artifact = open_record(record, store, settings, run, plugins)
        known = forms(artifact, store, run)
        usable = [form.artifact for form in known if not form.problem]
        found = bids([*usable, artifact], run.device, settings, plugins)
        try:
            best = choose(found, run, artifact, settings, plugins)
        except TorchinfError:
            best = None
        times = _times(record, store)
        rows = [_bid_row(bid, bid is best, times) for bid in found]
        heard = {bid.artifact.directory for bid in found}
        rows += [
            _form_row(form)
            for form in known
            if form.problem or form.artifact.directory not in heard
        ]
        return rows


def _times(record: Record, store: Store) -> dict[tuple[str, str], float]:
    """(Runtime, device) → seconds of the model as downloaded, when it was last measured."""
    found: dict[tuple[str, str], float] = {}
    for verdict in verdicts.fresh(store.layout, record.name, record.generation):
        if verdict.seconds:
            found.setdefault((verdict.runtime, verdict.device), verdict.seconds)
    return found


def _bid_row(bid: Bid, chosen: bool, times: dict[tuple[str, str], float]) -> Explained:
    claim, derived = bid.claim, bid.artifact.derived
    return Explained(
        runtime=claim.runtime,
        form=derived.label if derived else "",
        score=claim.score,
        device=claim.device,
        reason=claim.reason,
        hint=claim.hint,
        chosen=chosen,
        precision=derived.precision if derived else "",
        seconds=derived.seconds if derived else times.get((claim.runtime, claim.device)),
        speedup=derived.speedup if derived else None,
        error=derived.error if derived else None,
    )


def _form_row(form: Form) -> Explained:
    derived = form.derived
    return Explained(
        runtime=derived.runtime,
        form=derived.label,
        score=0,
        device=derived.device,
        reason=form.problem or f"the runtime {derived.runtime!r} is not installed",
        hint="" if form.problem else f"pip install 'torchinf[{derived.runtime}]'",
        precision=derived.precision,
        seconds=derived.seconds,
        speedup=derived.speedup,
        error=derived.error,
    )
