"""torchinf: any model, from any source, pinned and verified in one local store.

Names are imported when they are first used, so ``import torchinf_core`` costs
nothing and never loads a framework.
"""

from __future__ import annotations

__version__ = "0.1.0"

# typing takes longer to import than a warm answer of the command line takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from torchinf_core.errors import (
        AccessDeniedError,
        AmbiguousRuntimeError,
        BusyError,
        DeviceError,
        DiskSpaceError,
        FormatError,
        InputError,
        IntegrityError,
        LoadError,
        MissingDependencyError,
        MissingError,
        ModelNotFoundError,
        NameTakenError,
        NetworkError,
        NoRuntimeError,
        NotCachedError,
        NotFoundError,
        OfflineError,
        OptionError,
        PluginConflictError,
        PluginContractError,
        PluginError,
        PolicyError,
        RefError,
        SizeLimitError,
        SourceError,
        StoreError,
        TorchinfError,
        UnknownSourceError,
        UntrustedError,
        UsageError,
    )
    from torchinf_core.hookspecs import hookimpl
    from torchinf_core.host import Host
    from torchinf_core.manager import (
        ModelDownloader,
        download_model,
        get_model_downloader,
        list_available_models,
    )
    from torchinf_core.models import LoadedModel, ModelManager, get_model_manager, load
    from torchinf_core.predicting.predictor import Predictor
    from torchinf_core.refs import parse_ref
    from torchinf_core.runtimes import (
        Architecture,
        Artifact,
        Candidate,
        Claim,
        Derived,
        LoadOptions,
        Signature,
        TensorSpec,
    )
    from torchinf_core.settings import Settings, load_settings
    from torchinf_core.settings.run import RunSettings
    from torchinf_core.types import (
        Event,
        ModelInfo,
        ModelRef,
        Plan,
        Record,
        RemoteFile,
        SearchHit,
        SourceInfo,
        StoredFile,
        Trust,
    )

__all__ = [
    "AccessDeniedError",
    "AmbiguousRuntimeError",
    "Architecture",
    "Artifact",
    "BusyError",
    "Candidate",
    "Claim",
    "Derived",
    "DeviceError",
    "DiskSpaceError",
    "Event",
    "FormatError",
    "Host",
    "InputError",
    "IntegrityError",
    "LoadError",
    "LoadOptions",
    "LoadedModel",
    "MissingDependencyError",
    "MissingError",
    "ModelDownloader",
    "ModelInfo",
    "ModelManager",
    "ModelNotFoundError",
    "ModelRef",
    "NameTakenError",
    "NetworkError",
    "NoRuntimeError",
    "NotCachedError",
    "NotFoundError",
    "OfflineError",
    "OptionError",
    "Plan",
    "PluginConflictError",
    "PluginContractError",
    "PluginError",
    "PolicyError",
    "Predictor",
    "Record",
    "RefError",
    "RemoteFile",
    "RunSettings",
    "SearchHit",
    "Settings",
    "Signature",
    "SizeLimitError",
    "SourceError",
    "SourceInfo",
    "StoreError",
    "StoredFile",
    "TensorSpec",
    "TorchinfError",
    "Trust",
    "UnknownSourceError",
    "UntrustedError",
    "UsageError",
    "download_model",
    "get_model_downloader",
    "get_model_manager",
    "hookimpl",
    "list_available_models",
    "load",
    "load_settings",
    "parse_ref",
]

_HOMES = {
    "hookspecs": ("hookimpl",),
    "host": ("Host",),
    "manager": (
        "ModelDownloader",
        "download_model",
        "get_model_downloader",
        "list_available_models",
    ),
    "models": ("LoadedModel", "ModelManager", "get_model_manager", "load"),
    "predicting.predictor": ("Predictor",),
    "refs": ("parse_ref",),
    "settings.run": ("RunSettings",),
    "runtimes": (
        "Architecture",
        "Artifact",
        "Candidate",
        "Claim",
        "Derived",
        "LoadOptions",
        "Signature",
        "TensorSpec",
    ),
    "settings": ("Settings", "load_settings"),
    "types": (
        "Event",
        "ModelInfo",
        "ModelRef",
        "Plan",
        "Record",
        "RemoteFile",
        "SearchHit",
        "SourceInfo",
        "StoredFile",
        "Trust",
    ),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Import a public name from its module on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_MODULE_OF.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
