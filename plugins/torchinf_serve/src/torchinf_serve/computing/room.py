"""How much memory what waits to be computed may take, over all models."""

from __future__ import annotations

from torchinf_core.errors import BusyError


class FullError(BusyError):
    """The bodies of the predictions that wait take all the room there is for them."""

    retry_after = 1


class Room:
    """Bytes of bodies that are held at once.

    Args:
        most: over all requests.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, size: int) -> None:
        """Hold so many more.

        Raises:
            FullError: others hold too many.
        """
        if size > self._left:
            raise FullError("too many predictions wait", hint="try again in a second")
        self._left -= size

    def give(self, size: int) -> None:
        """Hold so many less."""
        self._left += size
