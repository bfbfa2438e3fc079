"""GitHub on loopback, as far as PyTorch Hub and git ask it, for tests of plugins.

::

    from torchinf_core.testing import Hub
    from torchinf_core.testing.github import GitHub

    with Hub() as hub:
        github = GitHub(hub)
        repo = github.add_repo("ada/nets", {"hubconf.py": b"def net(): ..."})
        repo.tag("v1")
        # github.web, github.api: put these in place of https://github.com and
        # https://api.github.com; archives come from another origin, as there.

A client that can't be told other addresses is sent here by its ``Host`` headers:
see :mod:`torchinf_core.testing.detour`.
"""

from torchinf_core.testing.github.repo import Repo
from torchinf_core.testing.github.service import GitHub

__all__ = ["GitHub", "Repo"]
