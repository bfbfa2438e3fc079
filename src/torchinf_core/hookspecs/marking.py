"""What marks a function as a hook's contract, or as a plugin's implementation of it."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("torchinf")
hookimpl = pluggy.HookimplMarker("torchinf")
"""Marks a function of a plugin as the implementation of the hook it is named after."""
