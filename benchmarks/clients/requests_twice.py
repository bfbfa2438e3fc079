"""``requests_twice.py URL FILE SHA256``: what projects write by hand.

8 KiB chunks through requests, then a second pass over the file for its digest.
"""

import hashlib
import sys

import requests

url, target, sha256 = sys.argv[1:]
with requests.get(url, stream=True, timeout=60) as answer:
    answer.raise_for_status()
    with open(target, "wb") as file:
        file.writelines(answer.iter_content(8192))
digest = hashlib.sha256()
with open(target, "rb") as file:
    while chunk := file.read(8192):
        digest.update(chunk)
if digest.hexdigest() != sha256:
    raise SystemExit("digests differ")
