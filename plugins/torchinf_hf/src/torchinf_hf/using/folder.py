"""The files of a downloaded repository that say how it is used; read as data, never run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from torchinf_core.errors import FormatError
from torchinf_core.runtimes import Artifact
from torchinf_core.types import Json

MOST_BYTES = 64 << 20
"""Of a file of settings; tokenizers are read by their own library."""


class Folder:
    """What a repository says of itself.

    Args:
        artifact: a downloaded model.

    Attributes:
        path: of its directory.
        name: of the model.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.path = Path(artifact.directory)
        self.name = artifact.name
        self._files = frozenset(file.path for file in artifact.files)

    def has(self, path: str) -> bool:
        """True when the model has such a file."""
        return path in self._files

    def json(self, path: str) -> Mapping[str, Json]:
        """A file's object; empty where there is no such file.

        Raises:
            FormatError: it is not a JSON object, or too large to be one of settings.
        """
        value = self.json_value(path)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise FormatError(f"{path} of {self.name!r} is not a JSON object")
        return value

    def json_value(self, path: str) -> Json:
        """A file's value, or None where there is no such file.

        Raises:
            FormatError: it is not JSON, or too large to be settings.
        """
        if not self.has(path):
            return None
        file = self.path / path
        if file.stat().st_size > MOST_BYTES:
            raise FormatError(f"{path} of {self.name!r} has more than {MOST_BYTES >> 20} MiB")
        try:
            return json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{path} of {self.name!r} is not JSON: {str(error)[:200]}") from None

    @cached_property
    def config(self) -> Mapping[str, Json]:
        """``config.json``."""
        return self.json("config.json")

    @property
    def model_type(self) -> str:
        """The word of transformers for the family, or ``""``."""
        found = self.config.get("model_type")
        return found if isinstance(found, str) else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that the weights were saved from."""
        found = self.config.get("architectures")
        return (
            tuple(name for name in found if isinstance(name, str))
            if isinstance(found, list)
            else ()
        )

    def number(self, key: str) -> int:
        """A whole number of the configuration, or 0."""
        found = self.config.get(key)
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    @property
    def labels(self) -> list[str]:
        """Labels by index; ``LABEL_0`` and so on where the configuration has none."""
        found = self.config.get("id2label")
        if not isinstance(found, Mapping) or not found:
            return [f"LABEL_{index}" for index in range(self.number("num_labels") or 2)]
        try:
            named = {int(key): str(value) for key, value in found.items()}
        except ValueError:
            raise FormatError(f"the labels of {self.name!r} have no numbers") from None
        return [named.get(index, f"LABEL_{index}") for index in range(max(named) + 1)]
