"""The two modules with TensorRT's interface: finding, importing, and what they say."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torchinf_core.errors import LoadError, MissingDependencyError

MODULES = ("tensorrt", "tensorrt_rtx")
INSTALL = "pip install tensorrt-rtx, or tensorrt"


def installed(*, target: bool = False) -> tuple[str, ...]:
    """Those of the two modules that can be imported, the one to use first.

    Args:
        target: only TensorRT for RTX builds for a GPU that is not there.
    """
    order = reversed(MODULES) if target else MODULES
    return tuple(name for name in order if find_spec(name) is not None)


def load_module(name: str | None = None, *, target: bool = False) -> Any:
    """Import one of the modules.

    Args:
        name: the one that is meant, or None for the first that can be imported.
        target: as for :func:`installed`.

    Raises:
        MissingDependencyError: there is none, or it can't be imported.
    """
    names = (name,) if name else installed(target=target)
    reason = "neither is installed"
    for each in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return import_module(each)
        except (ImportError, OSError, RuntimeError) as error:  # a library of CUDA may lack
            reason = f"{each}: {str(error)[:300]}"
    wanted = name or " or ".join(MODULES)
    raise MissingDependencyError(f"{wanted} can't be imported: {reason}", hint=INSTALL)


def distributions(name: str) -> tuple[str, ...]:
    """Names on PyPI of what brings the module, whose versions engines are bound to."""
    from importlib.metadata import packages_distributions  # slow to import, and rarely needed

    return tuple(sorted(set(packages_distributions().get(name, ()))))


class Log:
    """Collects what TensorRT says, for error messages; nothing is printed.

    Attributes:
        logger: to give to TensorRT.
        errors: what went wrong, in the order it was said.
    """

    def __init__(self, trt: Any) -> None:
        self.errors: list[str] = []
        errors = self.errors

        class Logger(trt.ILogger):  # type: ignore[misc]
            """TensorRT calls it from its own threads."""

            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                """Keep errors."""
                if int(severity) <= int(trt.ILogger.ERROR):
                    errors.append(message.strip())

        self.logger = Logger()

    def failure(self, what: str) -> LoadError:
        """A LoadError that ends with the last thing TensorRT complained of."""
        last = self.errors[-1].splitlines()[0][:400] if self.errors else "it did not say why"
        return LoadError(f"{what}: {last}")
