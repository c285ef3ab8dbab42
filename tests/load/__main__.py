"""`python -m tests.load first-sync|memory|image`: measures and prints, with JSON=1 one object a line.

Exit codes: 0 measured (whether or not the goals hold), 1 not measured, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys

from tests.local_cluster import ClusterError

from . import measure
from .figures import show

MEASUREMENTS = {"first-sync": measure.first_sync, "memory": measure.memory, "image": measure.image}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.partition(":")[0])
    parser.add_argument("measurement", choices=MEASUREMENTS)
    chosen = parser.parse_args()
    try:
        show(MEASUREMENTS[chosen.measurement]())
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
