"""`python -m tests.load first-sync|push|memory|image|transfer|stars|webhook`: figures, with JSON=1 one object a line.

Exit codes: 0 measured (whether or not the goals hold), 1 not measured, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys

from tests.local_cluster import ClusterError

from . import measure, stars, transfer, webhook
from .errors import NotMeasured
from .figures import show
from .push import push
from .stars import Size
from .webhook import Load

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
    receiving = measurements.add_parser("webhook", description="The webhook pod, on the cluster of the tests.")
    receiving.add_argument("--rate", type=int, default=Load.rate, help=f"deliveries a second; default {Load.rate}")
    receiving.add_argument(
        "--one-in", type=int, default=Load.one_in, help=f"of them, is a push to a mirror; default {Load.one_in}"
    )
    chosen = parser.parse_args()
    if unknown := set(getattr(chosen, "parts", ())) - transfer.PARTS.keys():
        moving.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(transfer.PARTS)}")
    try:
        if chosen.measurement == "transfer":
            show(transfer.measure(chosen.parts or list(transfer.PARTS), chosen.rounds, _say))
        elif chosen.measurement == "stars":
            show(stars.measure(Size(stars=chosen.stars), _say))
        elif chosen.measurement == "webhook":
            show(webhook.measure(Load(rate=chosen.rate, one_in=chosen.one_in), _say))
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
