"""Makes the page of what the tests of a plugin are written with, from the docstrings."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable

from rendering import MADE, call, markdown, members, one_paragraph, value

from torchinf_core import pytest_plugin, testing
from torchinf_core.conformance.checking import Checking
from torchinf_core.testing import faults
from torchinf_core.testing.__main__ import _parser

STARTS = """\
What `torchinf[testing]` brings beside the [conformance kit](testing.md). All but the fixture is
imported from `torchinf_core.testing`."""
OF_A_KIT = """\
A test that subclasses a kit has these besides its answers, such as for a server of its own that
answers:"""
SERVED = """\
```python
class TestZoo(SourceConformance):
    plugin = torchinf_zoo
    good_ref, missing_ref = "zoo:tiny@1", "zoo:nothing"

    def setup_method(self):
        super().setup_method()
        self.hub = self.keep(Hub())  # closed after the check
        self.hub.add("/tiny-1.safetensors", WEIGHTS)
        index = json.dumps(INDEX).encode()
        self.hub.add("/index.json", index, content_type="application/json")

    def respond(self, request):
        return forward(request, {"https://zoo.example": self.hub.url()})
```"""
IN_A_TEST = ("setup_method", "keep", "folder")
"""What a test calls of a kit; all else of it is for its checks."""


def tools_page() -> str:
    """docs/plugins/tools.md: what the tests of a plugin are written with."""
    makers = [made for name in faults.__all__ if inspect.isfunction(made := getattr(faults, name))]
    rows = [
        f"| `{made.__name__}{call(made)}` | {one_paragraph(made, brief=True)} |"
        for made in makers
        if made.__annotations__["return"] == "Fault" and made is not faults.together
    ]
    fixture = inspect.unwrap(pytest_plugin.torchinf_home)
    actions = _parser()._actions  # noqa: SLF001 - argparse has no other list of them
    parts = [
        *("# Tools for tests", MADE, STARTS),
        *("## torchinf_home", "A fixture of pytest; it is there wherever torchinf is installed."),
        markdown(fixture.__doc__ or ""),
        *("## Hub", f"```python\nHub{call(testing.Hub)}\n```"),
        markdown(testing.Hub.__doc__ or ""),
        members("hub", testing.Hub),
        "`python -m torchinf_core.testing DIR` is a hub for a folder, until it is stopped:",
        "\n".join(["| | |", "|---|---|", *(_option(one) for one in actions if one.dest != "help")]),
        *("### Exchange", "What `hub.requests` is a list of.", value(testing.Exchange, "")),
        *("### Request", "What the function of `hub.route` is given.", value(testing.Request, "")),
        "It returns a `Reply`, which `plain` makes, or None where the request is not its own:",
        _function(testing.plain),
        *("## Faults", markdown(faults.__doc__ or "")),
        "`from torchinf_core.testing import faults`, and of that:",
        "\n".join(["| | |", "|---|---|", *rows]),
        _function(faults.together),
        "A fault of your own is `Fault(name, change)`:",
        value(testing.Fault, ""),
        f"`--fault` takes {', '.join(f'`{name}`' for name in faults.CATALOGUE)}.",
        *("## forward", f"```python\nforward{call(testing.forward)}\n```"),
        markdown(testing.forward.__doc__ or ""),
        *("## Conformance", OF_A_KIT),
        members("self", Checking, only=IN_A_TEST),
        SERVED,
    ]
    return "\n\n".join([*parts, ""])


def _function(made: Callable[..., object]) -> str:
    return f"- **`{made.__name__}{call(made)}`**: {one_paragraph(made, brief=True)}"


def _option(action: argparse.Action) -> str:
    takes = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    shown = " ".join(filter(None, (*action.option_strings[:1], str(takes))))
    means = {"folder": "that is served; its URL is printed", "latency": "before each answer"}
    return f"| `{shown}` | {action.help or means[action.dest]} |".replace(_names(), "")


def _names() -> str:
    return f"; names: {', '.join(faults.CATALOGUE)}"
