"""``torchinf`` and ``python -m torchinf_core``.

What needs nothing but a record is answered before the command line is imported.
"""

import sys


def main() -> int:
    """Run the command line of this process; returns the exit status."""
    argv = sys.argv[1:]
    try:
        from torchinf_core.cli.fast import answer

        status = answer(argv)
        if status is None:
            from torchinf_core.cli.run import run

            status = run(argv)
    except KeyboardInterrupt:
        status = 130
    return status


if __name__ == "__main__":
    sys.exit(main())
