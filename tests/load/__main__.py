"""`python -m tests.load first-sync|push|memory|image|transfer|stars`: prints figures, with JSON=1 one object a line.

Exit codes: 0 measured (whether or not the goals hold), 1 not measured, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys

from tests.local_cluster import ClusterError

from . import measure, stars, transfer
from .errors import NotMeasured
from .figures import show
from .push import push
from .stars import Size

MEASUREMENTS = {
    "first-sync": measure.first_sync,
    "push": push,
    "memory": measure.memory,
    "image": measure.image,
}
_ROUNDS = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__.partition(":")[0])
    measurements = parser.add_subparsers(dest="measurement", required=True)
    for name in MEASUREMENTS:
        measurements.add_parser(name)
    moving = measurements.add_parser("transfer", description="Our worker beside git, on this machine.")
    moving.add_argument("parts", nargs="*", help=f"of {', '.join(transfer.PARTS)}; default: all")
    moving.add_argument("--rounds", type=int, default=_ROUNDS, help=f"how often each thing is done; default {_ROUNDS}")
    starring = measurements.add_parser("stars", description="A sync of many stars, on the cluster of the tests.")
    starring.add_argument("--stars", type=int, default=Size.stars, help=f"how many; default {Size.stars:,}")
    chosen = parser.parse_args()
    if unknown := set(getattr(chosen, "parts", ())) - transfer.PARTS.keys():
        moving.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(transfer.PARTS)}")
    try:
        if chosen.measurement == "transfer":
            show(transfer.measure(chosen.parts or list(transfer.PARTS), chosen.rounds, _say))
        elif chosen.measurement == "stars":
            show(stars.measure(Size(stars=chosen.stars), _say))
        else:
            show(MEASUREMENTS[chosen.measurement]())
    except (ClusterError, NotMeasured) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
