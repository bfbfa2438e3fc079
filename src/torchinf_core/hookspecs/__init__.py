"""The hooks a plugin may implement: the contract of the plugin API.

A plugin is a module (or object) whose functions carry ``@hookimpl`` and which
an entry point in the group ``torchinf.v1`` names.  An implementation may take
fewer arguments than the hook offers, by name; it may not have defaults or
keyword-only arguments.  Heavy packages are imported inside functions.

``resolve``, ``fetch``, ``search`` and the other hooks of a source go to the plugin
that owns the scheme; those of a runtime (``claim``, ``load``, ``optimize``) need no
source beside them.  Any plugin may wrap the hooks of a source with
``@hookimpl(wrapper=True)``: its generator runs around the owner's implementation,
gets the owner's result from ``yield`` and returns what the caller is to see.

Each line of a contract ends with the name of the check that proves it: a test of the
conformance kit (:mod:`torchinf_core.conformance`), which ``torchinf check-plugin`` runs too.
"""

from __future__ import annotations

from torchinf_core.hookspecs.commands import CommandHooks
from torchinf_core.hookspecs.marking import hookimpl
from torchinf_core.hookspecs.runtimes import RuntimeHooks
from torchinf_core.hookspecs.sources import SourceHooks

API_VERSION = 1
GROUP = f"torchinf.v{API_VERSION}"


class Hooks(SourceHooks, RuntimeHooks, CommandHooks):
    """Signatures only; the docstrings are the contract.

    * What carries ``@hookimpl`` is a plain function with the name of a hook, and takes
      some of its arguments, without defaults.  [hooks_are_well_formed]
    * Importing the plugin loads the standard library, torchinf_core and the plugin's
      own package; anything else is imported inside functions.  [importing_is_light]
    * Importing it opens no connection, starts no process, writes no file, prints
      nothing and leaves the environment as it is.  [importing_does_nothing]
    """


def hook_names() -> tuple[str, ...]:
    """Names of all hooks, in the order a model travels."""
    parts = (SourceHooks, RuntimeHooks, CommandHooks)
    return tuple(
        name
        for part in parts
        for name, value in vars(part).items()
        if callable(value) and name[0] != "_"
    )


__all__ = ["API_VERSION", "GROUP", "Hooks", "hook_names", "hookimpl"]
