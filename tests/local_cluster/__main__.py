"""A real Kubernetes cluster for the demo and the tests.

Exit codes: 0 done, 1 it failed (error:/why:/fix: on standard error), 2 wrong usage, 3 (status) not up, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import images
from .choice import Cluster, choose
from .errors import ClusterError


def main() -> int:
    options = _parser().parse_args()
    quiet = options.command in ("kubeconfig", "status")
    try:
        cluster = choose(options.name, _silent if quiet else _say)
        return _run(options, cluster)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next up removes what is left", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, cluster: Cluster) -> int:
    match options.command:
        case "up":
            cluster.up()
            print(f"export KUBECONFIG={cluster.kubeconfig}")
        case "down":
            cluster.down()
            print(f"cluster {cluster.name} is down")
        case "load":
            cluster.load_image(options.archive)
        case "image":
            for image in images.build(_say):
                cluster.load_image(image.archive)
                print(f"{image.reference} loaded")
        case "kubeconfig":
            print(cluster.kubeconfig)
        case "status":
            print(f"{cluster.name} {'up' if cluster.running() else 'not up'}")
            return 0 if cluster.running() else 3
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.local_cluster", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    what = {
        "up": "bring it up until its node is Ready and its DNS answers",
        "down": "remove it without a trace",
        "load": "load the images of an OCI or Docker archive",
        "image": "build the operator's and the stand-ins' image and load them",
        "kubeconfig": "print the path of its kubeconfig",
        "status": "say whether it is up",
    }
    for name, help_text in what.items():
        command = commands.add_parser(name, help=help_text, description=help_text)
        command.add_argument("--name", default="tests", help="which cluster (default: %(default)s)")
        if name == "load":
            command.add_argument("archive", type=Path)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _silent(_: str) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
