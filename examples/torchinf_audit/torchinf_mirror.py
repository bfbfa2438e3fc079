"""torchinf plugin for a company's mirror, whose address is in ``$TORCHINF_MIRROR_URL``.

Every file comes from ``<mirror>/<host>/<path>`` and from nowhere else; digests and sizes stay
those of the source, so the mirror can't change content that its source publishes a digest of.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from torchinf_core import Host, hookimpl


@hookimpl(wrapper=True)
def resolve(host):
    plan = yield
    with Host(host.settings, "mirror") as own:  # ``host`` is that of the wrapped plugin
        mirror = (own.setting("url") or "").rstrip("/")
    if not mirror:
        return plan
    files = (replace(file, url=there(file.url, mirror), mirrors=()) for file in plan.files)
    return replace(plan, files=tuple(files))


def there(url, mirror):
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url
    return f"{mirror}/{parts.netloc.rpartition('@')[2]}{parts.path}"  # no login, no signature
