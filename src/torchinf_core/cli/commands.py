"""The commands there are, and the page that lists them; imports none of them."""

from __future__ import annotations

COMMANDS = {
    "Models": {
        "download": ("download", "Get a model into the store, verified."),
        "list": ("models", "List the stored models."),
        "info": ("models", "Show what is known of a stored model."),
        "path": ("models", "Print where a stored model is."),
        "verify": ("models", "Hash stored models again and compare."),
        "remove": ("shelf", "Remove models from the store."),
        "rename": ("shelf", "Give a stored model another name."),
        "tag": ("shelf", "Add tags to a stored model, or remove them."),
        "trust": ("shelf", "Allow the code of a stored model to run."),
    },
    "Predict": {
        "run": ("predicting.command", "Predict with any model, downloaded if it is not here."),
        "predict": ("predicting.command", "Predict with a stored model."),
        "explain": ("predicting.explain", "Show which runtime would load a model, and why."),
        "optimize": ("predicting.optimize", "Build faster forms, keep what computes the same."),
        "bench": ("predicting.bench", "Measure a model: latency and throughput."),
    },
    "Store": {
        "cache": ("storage", "Show where the store is and what it holds."),
        "gc": ("storage", "Delete what no model needs any more."),
        "fsck": ("storage", "Check the store as a whole, and repair it."),
    },
    "Sources and setup": {
        "search": ("sources", "Search a source for models."),
        "plugins": ("sources", "Show the plugins, their sources and their health."),
        "config": ("setup", "Show every setting and where it comes from."),
        "doctor": ("setup", "Check that this machine is ready."),
    },
    "Writing plugins": {
        "new-plugin": ("authoring", "Start a plugin that works and passes its tests."),
        "check-plugin": ("authoring", "Check that a plugin keeps the contract of its hooks."),
    },
}
"""Section → command → (module of :mod:`torchinf_core.cli`, summary)."""

MODULE_OF = {name: module for section in COMMANDS.values() for name, (module, _) in section.items()}

_HEAD = """\
Usage: torchinf COMMAND [ARGS]...

Any model, from any source, pinned and verified in one local store.

  torchinf run torchvision:resnet18 cat.jpg   get a model and use it
  torchinf download torchvision:resnet18      get it only
  torchinf list                               see what is there
  torchinf COMMAND --help                     read about a command
"""
_TAIL = """
Options:
  -h, --help            Show this page.
  -V, --version         Print the version.
  --server URL          Have that server do it; or $TORCHINF_SERVER.
  --install-completion  Complete commands and model names in this shell.
  --show-completion     Print what that would install.
"""


def help_page() -> str:
    """What ``torchinf --help`` prints."""
    parts = [_HEAD]
    for section, commands in COMMANDS.items():
        rows = [(name, summary) for name, (_, summary) in commands.items()]
        parts.append(_section(section, rows))
    extra, wrong = _of_plugins()
    if extra:
        parts.append(_section("Plugins", extra))
    return "".join([*parts, _TAIL, f"\n{wrong}\n" if wrong else ""])


def _of_plugins() -> tuple[list[tuple[str, str]], str]:
    """Commands that plugins bring, each with a summary, and a line if one is not well, or ``""``.

    Which plugins bring commands is known only once they are imported, so the line costs nothing.
    """
    from torchinf_core.errors import TorchinfError
    from torchinf_core.plugins import load_plugins
    from torchinf_core.settings import load_settings

    try:
        states = load_plugins(load_settings()).states()
    except TorchinfError as error:
        return [], f"The commands of plugins are missing here: {error}"
    commands = [
        (state.name, f"Commands of {state.distribution}.")
        for state in states
        if state.usable and "commands" in state.hooks and state.name not in MODULE_OF
    ]
    wrong = list(dict.fromkeys(s.name for s in states if s.state not in ("ok", "disabled")))
    if not wrong:
        return commands, ""
    shown = ", ".join(wrong[:3]) + (", …" if len(wrong) > 3 else "")
    count = "A plugin has" if len(wrong) == 1 else f"{len(wrong)} plugins have"
    return commands, f"{count} a problem ({shown}): torchinf plugins shows it, and the mend."


def _section(title: str, rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name in [*MODULE_OF, *(name for name, _ in rows)])
    return f"\n{title}:\n" + "".join(f"  {name:{width}}  {summary}\n" for name, summary in rows)
