"""Opens, lets runtimes bid, and has the winner load."""

from __future__ import annotations

import os

from torchinf_core.errors import PluginContractError, TorchinfError
from torchinf_core.loading.choosing import Bid, bids, choose
from torchinf_core.loading.opening import open_record
from torchinf_core.plugins import Plugins, load_plugins
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Artifact, LoadOptions
from torchinf_core.settings import Settings
from torchinf_core.settings.run import RunSettings
from torchinf_core.store import Store
from torchinf_core.types import Record


def load_record(record: Record, store: Store, settings: Settings, run: RunSettings) -> Predictor:
    """Load a stored model with the runtime that fits best.

    Args:
        record: of the model.
        store: that has its files.
        settings: of the user.
        run: device, runtime, precision and so on.

    Raises:
        UntrustedError, IntegrityError: see :func:`open_record`.
        MissingError, NoRuntimeError, DeviceError, AmbiguousRuntimeError: see
            :func:`choose`.
        LoadError: the runtime could not load it.
    """
    plugins = load_plugins(settings)
    with store.lease():
        artifact = open_record(record, store, settings, run, plugins)
        forms = [*_derived(artifact, store, run), artifact]
        found = bids(forms, run.device, settings, plugins)
        bid = choose(found, run, artifact, settings, plugins)
        try:
            return load_artifact(bid, settings, run, plugins)
        except TorchinfError as error:
            if bid.artifact.derived is None:
                raise
            # An optimised form is a gain, never a reason for not having the model.
            import logging

            logging.getLogger("torchinf.loading").warning(
                "%s is used as downloaded: its form %r can't be loaded: %s",
                record.name,
                bid.artifact.derived.label,
                error,
            )
        found = [bid for bid in found if bid.artifact.derived is None]
        bid = choose(found, run, artifact, settings, plugins)
        return load_artifact(bid, settings, run, plugins)


def _derived(artifact: Artifact, store: Store, run: RunSettings) -> list[Artifact]:
    """What reads the forms is imported for models that have any."""
    record = artifact.record
    if not os.path.isdir(store.layout.derived(record.name, record.generation)):
        return []
    from torchinf_core.loading.derived import derived_artifacts

    return derived_artifacts(artifact, store, run)


def load_artifact(bid: Bid, settings: Settings, run: RunSettings, plugins: Plugins) -> Predictor:
    """Have the runtime of a bid load its artifact.

    Raises:
        TorchinfError: what the runtime raised.
    """
    artifact, claim = bid.artifact, bid.claim
    options = LoadOptions(run.precision, run.threads, run.batch_size, settings)

    def check(made: object) -> Predictor:
        if not isinstance(made, Predictor):
            raise PluginContractError(f"it returned a value of type {type(made).__name__}")
        return made

    arguments = {"artifact": artifact, "claim": claim, "options": options}
    return plugins.call_one(claim.runtime, "load", artifact.name, arguments, settings, check)
