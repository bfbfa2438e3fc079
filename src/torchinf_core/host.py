"""What a plugin may use of the core while one of its hooks runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from torchinf_core.settings import Settings, host_token, plugin_setting

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    import httpx

    from torchinf_core.types import Json


class Host:
    """The core as one plugin sees it, for the length of one hook call.

    The core makes and closes it; a test writes ``with Host(Settings(), "zoo") as host``.
    A wrapper around another plugin's hook gets that plugin's host.

    Args:
        settings: in force for this call.
        plugin: name of the plugin the call is routed to.
        http: client to use instead of the core's own; for tests.

    Attributes:
        settings: as above.
        plugin: as above.
    """

    __slots__ = ("_http", "_notes", "plugin", "settings")

    def __init__(self, settings: Settings, plugin: str, http: httpx.Client | None = None) -> None:
        self.settings = settings
        self.plugin = plugin
        self._http = http
        self._notes: list[str] = []

    @property
    def log(self) -> logging.Logger:
        """The logger ``torchinf.plugin.<name>``."""
        import logging

        return logging.getLogger(f"torchinf.plugin.{self.plugin}")

    @property
    def offline(self) -> bool:
        """True when no connection may be made; ``http`` then raises OfflineError."""
        return self.settings.offline

    @property
    def http(self) -> httpx.Client:
        """An HTTP client with the user's proxies, certificates, tokens and time-outs.

        It follows redirects, repeats GET and HEAD after passing failures, and
        is closed when the hook returns.  A header ``authorization`` that the plugin
        gives is sent in place of the user's.  Its exceptions may be left to the core.
        """
        if self._http is None:
            from torchinf_core.network.http import client

            self._http = client(self.settings)
        return self._http

    def json(self, url: str, headers: Mapping[str, str] | None = None) -> Json:
        """What a server answers in JSON to a GET of ``url``, at most 64 MiB.

        Raises:
            SourceError: the answer is no JSON, or larger.
            httpx.HTTPError: as of ``http``; it may be left to the core.
        """
        from torchinf_core.network.http import get_json

        return get_json(self.http, url, headers)

    def setting(self, key: str) -> Any:
        """The plugin's own setting, or None.

        From ``TORCHINF_<PLUGIN>_<KEY>`` (upper case, anything but letters and digits
        as ``_``), always a text, where that is not empty; else from ``[plugins.<plugin>]``
        of the settings file.
        """
        return plugin_setting(self.settings, self.plugin, key)

    def token(self, host: str) -> str:
        """The user's bearer token for exactly this host, or ``""``.

        From ``TORCHINF_TOKEN_<HOST>`` (upper case, anything but letters and digits as
        ``_``, without the port), else from ``[tokens]`` of the settings file.  ``http``
        sends it by itself; this is for other means of transport.
        """
        return host_token(self.settings, host)

    def note(self, message: str) -> None:
        """Tell the user something, in a sentence.

        Notes of ``resolve`` are appended to the plan's; others are logged.
        """
        from torchinf_core.refs import redact

        self._notes.append(redact(message))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted so far."""
        return tuple(self._notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client, if the plugin used one."""
        if self._http is not None:
            self._http.close()
            self._http = None
