"""`python -m github_onedev_sync ROLE`: one image, one package, one role a process; and commands, with arguments."""

import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__

# A role is imported only when it is asked for: a worker's start-up time and memory are counted.
ROLES = {
    "controller": "controller.main",
    "worker": "worker.main",
    "webhook": "webhook.main",
}
COMMANDS = {
    "restore": "cli.restore",
    "replay": "cli.replay",
}
_WORDS = "|".join([*ROLES, *COMMANDS, "version"])
_USAGE = 2


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of the role or command; 2 where the command line names none."""
    if list(arguments) == ["version"]:
        sys.stdout.write(f"{__version__}\n")
        return 0
    if list(arguments) in (["--help"], ["-h"]):
        sys.stdout.write(f"usage: python -m github_onedev_sync {_WORDS}\n")
        return 0
    if arguments and arguments[0] in COMMANDS:
        command = import_module(f".{COMMANDS[arguments[0]]}", __package__)
        return int(command.main(arguments[1:]))
    if len(arguments) != 1 or arguments[0] not in ROLES:
        given = " ".join(arguments) or "nothing"
        sys.stderr.write(
            f"error: {given!r} is not a role of github-onedev-sync\n"
            "  why: a process has exactly one role, and it is the only argument\n"
            f"  fix: python -m github_onedev_sync {_WORDS}\n"
        )
        return _USAGE
    role = import_module(f".{ROLES[arguments[0]]}", __package__)
    return int(role.main() or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
