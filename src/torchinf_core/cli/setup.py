"""Commands about this machine: config and doctor."""

from __future__ import annotations

from torchinf_core.cli import output
from torchinf_core.cli.options import AsJson, CacheDir, Verbose, open_downloader
from torchinf_core.settings import Settings, config_path


def config_command(
    cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> None:
    """Show every setting and where it comes from.

    Arguments win over the environment (TORCHINF_CACHE_DIR, TORCHINF_OFFLINE, …),
    that over the settings file, that over the defaults.
    """
    settings = open_downloader(cache_dir, verbose).settings
    rows = [
        (key, _shown(settings, key), settings.origins.get(key, "default"))
        for key in sorted(settings.origins)
    ]
    if as_json:
        output.document(
            {
                "file": config_path(),
                "settings": {
                    key: {"value": value, "origin": origin} for key, value, origin in rows
                },
            }
        )
        return
    output.table(
        ["SETTING", "VALUE", "FROM"], [(key, _text(value), origin) for key, value, origin in rows]
    )
    output.tell(f"settings file: {config_path()}")


def _shown(settings: Settings, key: str) -> object:
    """A setting as JSON, with secrets hidden."""
    from torchinf_core.refs import redact

    if key.startswith("run."):
        return getattr(settings.run, key.removeprefix("run."))
    value = getattr(settings, key)
    if key == "tokens":
        return dict.fromkeys(value, "***")
    if key == "plugins":
        return {
            plugin: {k: redact(str(v)) if isinstance(v, str) else v for k, v in table.items()}
            for plugin, table in value.items()
        }
    if key == "disable":
        return list(value)
    return redact(value) if isinstance(value, str) else value


def _text(value: object) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, (list, dict)):
        import json

        return json.dumps(value) if value else "-"
    return str(value) if value != "" else "-"


def doctor_command(
    cache_dir: CacheDir = None, as_json: AsJson = False, verbose: Verbose = 0
) -> int:
    """Check that this machine is ready: store, disk, TLS, plugins, runtimes, devices.

    Nothing is sent anywhere.  The exit status is 0 when all is well, else that
    of the worst finding.
    """
    from torchinf_core.cli.checkup import examine

    findings = examine(open_downloader(cache_dir, verbose))
    if as_json:
        output.document(
            [
                {"check": f.check, "state": f.state, "detail": f.detail, "hint": f.hint}
                for f in findings
            ]
        )
    else:
        for finding in findings:
            output.say(f"{finding.state:4}  {finding.check:8}  {finding.detail}")
            if finding.hint:
                output.say(f"{'':16}hint: {finding.hint}")
    return max((f.status for f in findings if f.state == "fail"), default=0)
