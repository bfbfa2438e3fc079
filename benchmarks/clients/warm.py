"""``warm.py REF STORE``: what asking for a cached model costs in a program that runs.

Prints the seconds of the first call and the median of many, as JSON.
"""

import json
import sys
import time
from statistics import median

from torchinf_core import ModelDownloader

ref, store = sys.argv[1:]
downloader = ModelDownloader(cache_dir=store)
times = []
for _ in range(201):
    start = time.perf_counter()
    downloader.download(ref)
    times.append(time.perf_counter() - start)
print(json.dumps({"first": times[0], "median": median(times[1:])}))
