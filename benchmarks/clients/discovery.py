"""``discovery.py [FOLDER]``: seconds to find the plugins there, or to load all, as JSON."""

import json
import sys
import time

from torchinf_core.plugins import find_entry_points, load_plugins
from torchinf_core.settings import load_settings

start = time.perf_counter()
found = find_entry_points(sys.argv[1:] or None)
find = time.perf_counter() - start
start = time.perf_counter()
load_plugins(load_settings())
print(json.dumps({"find": find, "load": time.perf_counter() - start, "found": len(found)}))
