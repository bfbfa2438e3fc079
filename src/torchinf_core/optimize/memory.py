"""What earlier optimisations of a model found, so that none is repeated in vain."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from torchinf_core import hardware
from torchinf_core.loading import Bid, bids
from torchinf_core.loading.derived import derived_artifacts
from torchinf_core.optimize.forming import plugin_versions
from torchinf_core.optimize.offering import Surroundings
from torchinf_core.optimize.report import Report
from torchinf_core.runtimes import Derived
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import verdicts
from torchinf_core.store.verdicts import Verdict
from torchinf_core.types import Json, Record

_DECIDES = ("precision", "runtime", "threads", "tolerance", "arch", "optimize_time")
"""Settings with which another candidate might be tried, or pass, than with others."""


def recall(around: Surroundings, bid: Bid) -> Report | None:
    """The outcome of an earlier optimisation that still holds, or None.

    A form that is good here is an outcome; so is the verdict that nothing was faster,
    as long as the runtimes are the same.
    """
    record, device = bid.artifact.record, bid.claim.device
    found = verdicts.fresh(around.store.layout, record.name, record.generation)
    verdict = next((each for each in found if _answers(each, around, device)), None)
    if around.run.optimize == "full" and verdict is None:
        return None
    form = _form(around, bid)
    if form is not None:
        reason = f"{form.label} was found on {form.created[:10]}"
        return Report(record.name, device, derived=form, kept=True, remembered=True, reason=reason)
    if verdict is None or verdict.chosen:
        return None
    because = f": {verdict.reason}" if verdict.reason else ""
    reason = f"nothing was faster on {verdict.created[:10]}{because}"
    return Report(record.name, device, remembered=True, reason=reason)


def remember(
    around: Surroundings, record: Record, report: Report, distributions: Iterable[str]
) -> None:
    """Keep the outcome; durable.

    Args:
        around: the store and the runtimes.
        record: of the model.
        report: the outcome.
        distributions: that the candidates were bound to.

    Raises:
        OSError: it could not be written.
    """
    derived = report.derived
    verdict = Verdict(
        device=report.device,
        asked=_asked(around.run),
        hardware=hardware.fingerprint(),
        versions={
            **plugin_versions(around.plugins, *around.plugins.implementing("optimize")),
            **hardware.versions(distributions),
        },
        runtime=report.reference.partition(" ")[0],
        seconds=report.reference_seconds,
        chosen=derived.label if derived else "",
        reason=report.reason,
        rows=tuple(row.to_json() for row in report.rows),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    verdicts.write(around.store.layout, record.name, record.generation, verdict)


def _form(around: Surroundings, bid: Bid) -> Derived | None:
    forms = [
        form
        for form in derived_artifacts(bid.artifact, around.store, around.run)
        if form.derived is not None and form.derived.device == bid.claim.device
    ]
    for found in bids(forms, bid.claim.device, around.settings, around.plugins):
        if found.claim.score and around.run.runtime in ("", found.claim.runtime):
            return found.artifact.derived
    return None


def _answers(verdict: Verdict, around: Surroundings, device: str) -> bool:
    asked = _asked(around.run)
    same = all(verdict.asked.get(key) == asked[key] for key in _DECIDES)
    thorough = verdict.asked.get("optimize") == "full" or around.run.optimize != "full"
    runtimes = plugin_versions(around.plugins, *around.plugins.implementing("optimize"))
    known = all(verdict.versions.get(name) == version for name, version in runtimes.items())
    return verdict.device == device and same and thorough and known


def _asked(run: RunSettings) -> dict[str, Json]:
    return {key: getattr(run, key) for key in (*_DECIDES, "optimize")}
