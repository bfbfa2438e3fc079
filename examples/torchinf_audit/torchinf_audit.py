"""torchinf plugin that writes what is downloaded to ``$TORCHINF_AUDIT_LOG``.

One JSON line for each file of a plan, once its transfer ended, by the core or by a source's own
means; without a log nothing is transferred.  Of the files of a model those are listed too that
the store has already.
"""

import getpass
import json
import os
import re
import time
from datetime import UTC, datetime

from torchinf_core import Host, hookimpl


@hookimpl(wrapper=True)
def fetch(plan, host):
    with Host(host.settings, "audit") as own:  # ``host`` is that of the wrapped plugin
        log = own.setting("log")
    if not log:
        return (yield)
    append(log, [])  # fails before anything moves if it can't be written
    started, failed, done = time.monotonic(), None, None
    try:
        done = yield
    except BaseException as error:
        failed = type(error).__name__
        raise
    finally:
        by = None if failed else host.plugin if done else "core"
        seconds = round(time.monotonic() - started, 3)
        append(
            log,
            [
                {
                    "time": datetime.now(UTC).isoformat(timespec="seconds"),
                    "who": getpass.getuser(),
                    "ref": without_secrets(str(plan.ref)),
                    "revision": plan.revision,
                    "file": file.path,
                    "url": without_secrets(file.url),
                    "size": file.size,
                    "sha256": file.sha256,
                    "by": by,
                    "seconds": seconds,
                    "failed": failed,
                }
                for file in plan.files
            ],
        )
    return done


def append(log, lines):
    """Write whole lines in one go: other processes append to the same file."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def without_secrets(text):
    """A URL or reference without login, query and fragment."""
    return re.split(r"[?#]", re.sub(r"//[^/?#]*@", "//", text), maxsplit=1)[0]
