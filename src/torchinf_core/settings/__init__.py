"""Settings: defaults < TOML file < environment < arguments → one frozen value.

The file is ``$TORCHINF_CONFIG``, else ``$XDG_CONFIG_HOME/torchinf/config.toml``
(``~/.config`` without that variable).  Each key ``key`` is also the variable
``TORCHINF_KEY``.  The environment is read when :func:`load_settings` is called,
never at import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields, replace
from typing import Any

from torchinf_core.errors import UsageError
from torchinf_core.frozen import dataclass
from torchinf_core.settings.parsing import (
    parse_bool,
    parse_count,
    parse_networks,
    parse_seconds,
    parse_size,
    parse_text,
    parse_words,
)
from torchinf_core.settings.run import RUN_PARSERS, RunSettings

DEFAULT_CACHE_DIR = "~/.torch_inference/models"
ENV_PREFIX = "TORCHINF_"
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with its default.

    Attributes:
        cache_dir: absolute path of the store.
        offline: make no connection at all.
        max_bytes: most bytes of one model.
        limit_rate: bytes per second over all connections; 0 is no limit.
        connections: most connections to one server; how many are used is
            decided by what is measured.
        retries: attempts in a row without progress before giving up.
        connect_timeout, idle_timeout: seconds.
        min_speed, min_speed_time: a transfer below this many bytes per second
            for this many seconds is given up.
        lock_timeout: seconds to wait for another process; 0 does not wait.
        allow_unverified: accept a file of which neither size nor digest is known.
        ca_file: PEM file with the certificates to trust instead of the default.
        proxy: URL for all connections instead of the environment's proxies.
        public_only: connect to public addresses alone, as a server must that fetches
            what its clients name; proxies are not used then.
        private_networks: networks that ``public_only`` lets pass all the same.
        disable: plugin names that are not loaded.
        tokens: host → bearer token, sent to that host only.
        plugins: plugin name → its own settings.
        memory_budget: most bytes that loaded models may take together, by the size
            of their files; 0 is no limit.
        run: how models are loaded and run.
        models: model → what of ``run`` is otherwise for it; see :meth:`run_for`.
        origins: setting → ``default``, ``argument``, ``$VARIABLE`` or the file.
    """

    cache_dir: str = DEFAULT_CACHE_DIR
    offline: bool = False
    max_bytes: int = 1 << 40
    limit_rate: int = 0
    connections: int = 16
    retries: int = 6
    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    min_speed: int = 1024
    min_speed_time: float = 60.0
    lock_timeout: float = 3600.0
    allow_unverified: bool = False
    ca_file: str = ""
    proxy: str = ""
    public_only: bool = False
    private_networks: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    memory_budget: int = 0
    run: RunSettings = field(default_factory=RunSettings)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def run_for(self, name: str, **asked: Any) -> RunSettings:
        """How one model is loaded and run.

        Args:
            name: of the model.
            asked: any setting of :class:`RunSettings`; those that are not None win.

        Raises:
            UsageError: an unknown setting, or a value that it can't have.
        """
        own = {k: v for k, v in self.models.get(name, {}).items() if not self._is_nearer(k)}
        for key, raw in asked.items():
            if raw is not None:
                own[key] = _parse_run(key, raw, "argument")
        return replace(self.run, **own)

    def _is_nearer(self, key: str) -> bool:
        """True when the environment or an argument said so, which wins over the file."""
        origin = self.origins.get(f"run.{key}", "")
        return origin == "argument" or origin.startswith("$")


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "cache_dir": parse_text,
    "offline": parse_bool,
    "max_bytes": parse_size,
    "limit_rate": parse_size,
    "connections": parse_count,
    "retries": parse_count,
    "connect_timeout": parse_seconds,
    "idle_timeout": parse_seconds,
    "min_speed": parse_size,
    "min_speed_time": parse_seconds,
    "lock_timeout": parse_seconds,
    "allow_unverified": parse_bool,
    "ca_file": parse_text,
    "proxy": parse_text,
    "public_only": parse_bool,
    "private_networks": parse_networks,
    "disable": parse_words,
    "memory_budget": parse_size,
}
_TABLES = ("tokens", "plugins", "run", "models")


def config_path(environ: Mapping[str, str] | None = None) -> str:
    """Path of the settings file, whether or not it exists."""
    env = os.environ if environ is None else environ
    if chosen := env.get("TORCHINF_CONFIG"):
        return chosen
    base = env.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "torchinf", "config.toml")


def load_settings(environ: Mapping[str, str] | None = None, **arguments: Any) -> Settings:
    """Gather the settings; an argument that is None was not given.

    Raises:
        UsageError: an unknown key, or a value that does not parse; the message
            names where it came from.
    """
    env = os.environ if environ is None else environ
    found = _Gathered()
    path = config_path(env)
    for key, raw in _read_file(path, required="TORCHINF_CONFIG" in env).items():
        if key in _TABLES:
            found.put_table(key, raw, path)
        else:
            found.put(key, raw, path)
    for key in (*_PARSERS, *RUN_PARSERS):
        if raw := env.get(ENV_PREFIX + key.upper()):
            found.put(key, raw, f"${ENV_PREFIX}{key.upper()}", run=key in RUN_PARSERS)
    for key, raw in arguments.items():
        if key not in _PARSERS and key not in RUN_PARSERS:
            raise UsageError(f"there is no setting {key!r}{_did_you_mean(key)}")
        if raw is not None:
            value = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
            found.put(key, value, "argument", run=key in RUN_PARSERS)
    return found.settings()


class _Gathered:
    """Settings as they come in; what comes later wins."""

    def __init__(self) -> None:
        names = [item.name for item in fields(Settings) if item.name not in ("origins", "run")]
        names += [f"run.{item.name}" for item in fields(RunSettings)]
        self._origins = dict.fromkeys(names, "default")
        self._values: dict[str, Any] = {}
        self._run: dict[str, Any] = {}
        self._tables: dict[str, Any] = {"tokens": {}, "plugins": {}, "models": {}}

    def put(self, key: str, raw: Any, origin: str, *, run: bool = False) -> None:
        """One setting, parsed."""
        if run:
            self._run[key] = _parse_run(key, raw, origin)
            self._origins[f"run.{key}"] = origin
            return
        if key not in _PARSERS:
            raise UsageError(f"{origin}: there is no setting {key!r}{_did_you_mean(key)}")
        try:
            self._values[key] = _PARSERS[key](raw)
        except ValueError as error:
            raise UsageError(f"{origin}: {key} is {raw!r}, expected {error}") from None
        self._origins[key] = origin

    def put_table(self, key: str, raw: Any, path: str) -> None:
        """One table of the settings file."""
        if not isinstance(raw, dict):
            raise UsageError(f"{path}: [{key}] must be a table")
        if key == "run":
            for name, value in raw.items():
                self.put(name, value, path, run=True)
            return
        self._tables[key].update(_read_models(raw, path) if key == "models" else raw)
        self._origins[key] = path

    def settings(self) -> Settings:
        """All of them together."""
        directory = self._values.get("cache_dir", DEFAULT_CACHE_DIR)
        self._values["cache_dir"] = os.path.abspath(os.path.expanduser(directory))
        run = RunSettings(**self._run)
        return Settings(**self._values | self._tables, run=run, origins=self._origins)


def _read_models(table: dict[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """``[models.NAME]`` tables, each value parsed."""
    found: dict[str, dict[str, Any]] = {}
    for name, own in table.items():
        if not isinstance(own, dict):
            raise UsageError(f"{path}: [models.{name}] must be a table")
        where = f"{path}: [models.{name}]"
        found[name] = {key: _parse_run(key, raw, where) for key, raw in own.items()}
    return found


def _parse_run(key: str, raw: Any, origin: str) -> Any:
    if key not in RUN_PARSERS:
        raise UsageError(f"{origin}: there is no setting {key!r} of running{_did_you_mean(key)}")
    try:
        return RUN_PARSERS[key](raw)
    except ValueError as error:
        raise UsageError(f"{origin}: {key} is {raw!r}, expected {error}") from None


def host_token(settings: Settings, host: str, environ: Mapping[str, str] | None = None) -> str:
    """The bearer token for exactly this host, or ``""``.

    From ``TORCHINF_TOKEN_<HOST>`` (upper case, anything but letters and digits
    as ``_``), else from the ``[tokens]`` table of the settings file.
    """
    env = os.environ if environ is None else environ
    return env.get(token_variable(host)) or settings.tokens.get(host.lower(), "")


def token_variable(host: str) -> str:
    """Name of the environment variable that holds the token for a host."""
    return "TORCHINF_TOKEN_" + re.sub(r"[^A-Z0-9]", "_", host.upper())


def plugin_setting(
    settings: Settings, plugin: str, key: str, environ: Mapping[str, str] | None = None
) -> Any:
    """A plugin's own setting, or None.

    From ``TORCHINF_<PLUGIN>_<KEY>``, else from ``[plugins.<plugin>]``.
    """
    env = os.environ if environ is None else environ
    variable = re.sub(r"[^A-Z0-9]", "_", f"{ENV_PREFIX}{plugin}_{key}".upper())
    return env.get(variable) or settings.plugins.get(plugin, {}).get(key)


def _did_you_mean(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, [*_PARSERS, *RUN_PARSERS, *_TABLES], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _read_file(path: str, *, required: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except FileNotFoundError:
        if required:
            raise UsageError(f"$TORCHINF_CONFIG names {path}, which does not exist") from None
        return {}
    except OSError as error:
        raise UsageError(f"the settings file {path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"the settings file {path} is not TOML: {error}") from None
