"""Plugins: found without importing, loaded one by one, called by the scheme they own."""

from torchinf_core.plugins.discovery import EntryPoint, find_entry_points
from torchinf_core.plugins.loading import PluginState
from torchinf_core.plugins.routing import Plugins, load_plugins

__all__ = ["EntryPoint", "PluginState", "Plugins", "find_entry_points", "load_plugins"]
