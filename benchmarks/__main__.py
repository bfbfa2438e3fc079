"""``python -m benchmarks [--only NAME …] [--rounds 5] [--size 1GiB] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.report import FAILED, Report, as_json, summary, table
from benchmarks.scenarios import SCENARIOS

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def size(text: str) -> int:
    """Bytes of ``512MiB``."""
    if text[-3:] not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} does not end in {', '.join(UNITS)}")
    return int(float(text[:-3]) * UNITS[text[-3:]])


def counts(text: str) -> tuple[int, ...]:
    """Numbers of ``100,10000``."""
    return tuple(int(part) for part in text.split(","))


def main() -> int:
    """Measure, print the table, and say by the exit code whether everything ran."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5, help="of every peer (5)")
    parser.add_argument("--size", type=size, default="1GiB", help="of the large file (1GiB)")
    parser.add_argument("--count", type=int, default=500, help="of small files (500)")
    parser.add_argument("--records", type=counts, default="100,10000,100000")
    parser.add_argument("--dir", type=Path, help="on the disk to measure (the temporary folder)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too
    reports: list[Report] = []
    with tempfile.TemporaryDirectory(prefix="torchinf-bench-", dir=options.dir) as root:
        bench = Bench(Path(root), options.rounds, options.size, options.count, options.records)
        for name in options.only:
            report = SCENARIOS[name](bench)
            print(table(report), end="\n\n", flush=True)
            reports.append(report)
    print(summary(reports))
    if options.json:
        options.json.write_text(json.dumps(as_json(reports), indent=1))
    failed = any(row.note.startswith(FAILED) for report in reports for row in report.rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
