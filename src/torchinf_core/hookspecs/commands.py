"""The hooks for the command line: commands of a plugin's own, and those that ask a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torchinf_core.hookspecs.marking import hookspec

if TYPE_CHECKING:
    import typer


class CommandHooks:
    """Signatures only; the docstrings are the contract."""

    @hookspec
    def commands(self, app: typer.Typer) -> None:
        """Add commands to ``app``, which is mounted as ``torchinf <plugin> …``.

        Asked of every plugin when a command is called that the core has not;
        can't be wrapped.

        The app is empty and the plugin's own: no core command can be replaced.

        * Adding commands does nothing else: no connection, no process, no output.
          [commands_are_only_added]
        * Each command has a help text.  [commands_explain_themselves]

        Args:
            app: where to register commands.

        Example::

            @hookimpl
            def commands(app):
                @app.command()
                def mirrors():
                    "Show the mirrors of the Zoo."
                    print("https://zoo.example")
        """
        raise NotImplementedError

    @hookspec
    def remote(self, app: typer.Typer, server: str) -> None:
        """Add commands to ``app`` that have a server do what the core's do here.

        Asked when ``--server URL`` or ``$TORCHINF_SERVER`` names a server; one plugin
        may implement it; can't be wrapped.

        A command has the name of the core's command it stands in for, its output and
        its ``--json``; it may have others beside.  What is not added is refused as a
        matter of this machine.

        * No connection is made before a command is called.  [remote_waits_for_a_command]
        * Each command has a help text.  [remote_explains_itself]

        Args:
            app: empty; its commands become ``torchinf --server URL …``.
            server: the address as the user wrote it.

        Example::

            @hookimpl
            def remote(app, server):
                @app.command("list")
                def list_command():
                    "Show the models of the server."
                    print(httpx.get(f"{server}/names").text)
        """
        raise NotImplementedError
