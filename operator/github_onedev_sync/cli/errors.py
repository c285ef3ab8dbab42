"""How a command fails: in three lines, with an exit code that scripts can go by."""

import argparse
from enum import IntEnum
from typing import NoReturn

from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.redact import printable

# What a person at a command line can do, where a condition's message speaks of Secrets.
_FIXES = {
    Reason.TARGET_AUTHENTICATION_FAILED: "put a valid OneDev access token into the file that --token-file names",
    Reason.TARGET_NOT_PERMITTED: "take the token of an account that may write code in the project",
    Reason.TARGET_UNAVAILABLE: "check --server, and --ca where its certificate is of an authority of your own",
    Reason.SECRET_INVALID: "let --ca name a PEM file that begins with -----BEGIN CERTIFICATE-----",
}
_WHY = {
    Reason.TARGET_AUTHENTICATION_FAILED: "OneDev refuses the token",
    Reason.TARGET_NOT_PERMITTED: "the account of the token may not do that",
    Reason.SECRET_INVALID: "the file that --ca names is not a PEM certificate",
}


class ExitCode(IntEnum):
    """How a command ended. 2: nothing was asked of any server."""

    DONE = 0
    FAILED = 1
    USAGE = 2


class CommandError(Exception):
    """`what` is wrong with which input, `why`, and `fix`: the exact command or argument."""

    def __init__(self, what: str, why: str, fix: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code

    def __str__(self) -> str:
        # Part of it may be a server's own words, and it is read in a terminal.
        return f"error: {printable(self.what)}\n  why: {printable(self.why)}\n  fix: {printable(self.fix)}\n"


def usage(what: str, why: str, fix: str) -> CommandError:
    return CommandError(what, why, fix, ExitCode.USAGE)


class Parser(argparse.ArgumentParser):
    """Of a command line; takes no abbreviations, for a script that uses one breaks when an option is added."""

    def __init__(self, prog: str, description: str, epilog: str) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, epilog=epilog, formatter_class=formatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise usage("the command line cannot be understood", message, f"{self.prog} --help")


def unreadable(project: str, error: SyncError) -> CommandError:
    what = f"the refs of {project} cannot be read"
    if error.reason is Reason.TARGET_CHANGED:
        why = "OneDev has no such project, or hides it from the account of the token"
        return CommandError(what, why, "compare --project with status.target.path of the mirror")
    return CommandError(what, *_why_and_fix(error))


def not_made(ref: str, error: SyncError) -> CommandError:
    return CommandError(f"{ref} was not made", *_why_and_fix(error))


def _why_and_fix(error: SyncError) -> tuple[str, str]:
    return _WHY.get(error.reason, error.message), _FIXES.get(
        error.reason, "run the same command again when that is mended"
    )
