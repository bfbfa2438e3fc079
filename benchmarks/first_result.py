"""From the start of a process to its first result, beside a script that does the least.

    python -m benchmarks.first_result MODEL.onnx INPUT.npy [ROUNDS]

The script imports numpy and onnxruntime, opens a session, runs it and prints.  Both
are started in turns; the time is that until the first byte arrives.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from statistics import median

SCRIPT = """
import sys
import numpy
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
[name] = [each.name for each in session.get_inputs()]
print(session.run(None, {name: numpy.load(sys.argv[2])}), flush=True)
"""
COMMAND = "import sys\nfrom torchinf_core.__main__ import main\nsys.exit(main())"
"""What the installed ``torchinf`` does."""


def main(argv: list[str]) -> int:
    model, given = argv[:2]
    rounds = int(argv[2]) if len(argv) > 2 else 21
    with tempfile.TemporaryDirectory() as folder:
        # Without compiled modules both would measure the compiler.
        environment = {**os.environ, "TORCHINF_CACHE_DIR": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        ours = [sys.executable, "-c", COMMAND]
        subprocess.run(
            [*ours, "download", os.path.abspath(model), "--name", "model"],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        commands = {
            "the script": [sys.executable, "-c", SCRIPT, model, given],
            "torchinf predict": [*ours, "predict", "model", given],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(rounds + 1):
            for name, command in commands.items():
                took = _first_byte(command, environment)
                if turn:  # the first one warms the disk cache
                    times[name].append(took)
    least = times["the script"]
    for name, taken in times.items():
        ratio = median(a / b for a, b in zip(taken, least, strict=True))
        print(
            f"{name:18} {median(taken) * 1e3:6.0f} ms, least {min(taken) * 1e3:6.0f} ms, "
            f"{ratio:.2f} times the script in the same round"
        )
    return 0


def _first_byte(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not os.read(process.stdout.fileno(), 1):
            raise SystemExit(f"{command} printed nothing")
        took = time.perf_counter() - began
        process.stdout.read()
    return took


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
