"""``torch_hub.py URL FILE SHA256``: torch's own downloader, with its check of the digest."""

import sys

from torch.hub import download_url_to_file

url, target, sha256 = sys.argv[1:]
download_url_to_file(url, target, hash_prefix=sha256, progress=False)
