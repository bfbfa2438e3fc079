"""The one table of first-party plugins, so that an absent one can be named.

For hints and the plugin listing only: nothing is decided by a name in here.
"""

from __future__ import annotations

from torchinf_core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class FirstParty:
    """A plugin of this project that may not be installed.

    Attributes:
        name: of the plugin; also the extra of ``torchinf`` that brings it.
        schemes: those it serves; none for a runtime.
        description: one line without a period.
    """

    name: str
    schemes: tuple[str, ...]
    description: str

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'torchinf[{self.name}]'"


FIRST_PARTY = (
    FirstParty("hf", ("hf", "huggingface"), "Models of the Hugging Face hub"),
    FirstParty("hub", ("hub", "pytorch_hub"), "Repositories of PyTorch Hub"),
    FirstParty("torchvision", ("torchvision",), "Models and weights of torchvision"),
    FirstParty("url", ("https", "http", "file"), "Files by URL or path"),
    FirstParty("torch", (), "The PyTorch runtime, on any device"),
    FirstParty("cuda", (), "PyTorch on NVIDIA GPUs, with what only they have"),
    FirstParty("onnx", (), "ONNX Runtime"),
    FirstParty("tensorrt", (), "TensorRT engines on NVIDIA GPUs"),
    FirstParty("serve", (), "The REST server"),
)


def serving(scheme: str) -> FirstParty | None:
    """The first-party plugin for a scheme, installed or not."""
    return next((plugin for plugin in FIRST_PARTY if scheme in plugin.schemes), None)
