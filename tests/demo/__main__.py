"""`python -m tests.demo up|down`: what `make demo` and `make demo-stop` run.

Exit codes: 0 done, 1 it failed (error:/why:/fix: on standard error), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys

from tests.local_cluster import ClusterError

from . import steps
from .screen import Screen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=("up", "down"))
    parser.add_argument("--name", default=steps.CLUSTER, help="the cluster's name (default: %(default)s)")
    options = parser.parse_args()
    screen = Screen(steps.STEPS)
    try:
        (steps.up if options.command == "up" else steps.down)(screen, options.name)
    except ClusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        where = f" in step {screen.step_name}" if screen.step_name else ""
        print(f"\ninterrupted{where}; `make demo` goes on from here, `make demo-stop` ends all", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
