"""``xet_put.py FOLDER FILE…``: puts files into a Xet storage; prints their hashes as JSON."""

import json
import sys

import hf_xet

folder, *files = sys.argv[1:]
with hf_xet.XetSession().new_upload_commit(endpoint=f"local://{folder}") as commit:
    uploads = [commit.start_upload_file(file) for file in files]
print(json.dumps([upload.result().xet_info.hash for upload in uploads]))
