"""`restore`: lists the archived tips of a OneDev project, and makes a branch or a tag from one of them."""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from ..api.names import PROJECT_SEGMENT
from ..api.redact import Redactor, printable
from ..api.refs import ARCHIVE, TAGS
from ..transfer.advertisement import is_legal
from ..transfer.chunks import breaks_pushes, refusal
from .archive import Archive, Project, table, target_ref
from .errors import CommandError, ExitCode, Parser, usage

PROGRAM = "python -m github_onedev_sync restore"
_PROJECT = re.compile(f"{PROJECT_SEGMENT}(/{PROJECT_SEGMENT})*")
_TOKEN_LIMIT = 4096
_EPILOG = """\
The branch is made as restored/NAME and so is the tag: the mirror never deletes or moves what is below restored/.
Exit codes: 0 done; 1 OneDev could not be asked, refused, or has no such tip; 2 the command line is wrong.
"""


def _parser() -> Parser:
    parser = Parser(
        PROGRAM, "Lists the archived tips of a OneDev project, or makes a branch or a tag from one of them.", _EPILOG
    )
    parser.add_argument("--server", required=True, metavar="URL", help="OneDev's front page, as in OneDevServer's url")
    parser.add_argument("--project", required=True, metavar="PATH", help="the whole path, as in status.target.path")
    parser.add_argument("--token-file", required=True, metavar="FILE", help="holds a OneDev access token; - is stdin")
    parser.add_argument("--ca", metavar="FILE", help="PEM certificates of the only authorities to trust")
    parser.add_argument("--insecure", action="store_true", help="allows http, over which the token travels in clear")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--list", action="store_true", help="lists the archived tips")
    task.add_argument("--archived", metavar="REF", help="the archived tip, refs/archive/...")
    made = parser.add_mutually_exclusive_group()
    made.add_argument("--branch", metavar="NAME", help="makes refs/heads/restored/NAME of it")
    made.add_argument("--tag", metavar="NAME", help="makes refs/tags/restored/NAME of it")
    parser.add_argument("--force", action="store_true", help="moves the branch or tag where there is one of that name")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns an `ExitCode`."""
    redact = Redactor()
    try:
        options = _parser().parse_args(arguments)
        _check(options)
        project = _project(options)
        redact = Redactor([project.token])
        said = asyncio.run(_run(options, project))
    except CommandError as error:
        sys.stderr.write(redact(str(error)))
        return error.code
    except KeyboardInterrupt:
        why, fix = "a ref is made whole or not at all", "run the same command again: it tells if it was done already"
        sys.stderr.write(str(CommandError("interrupted before OneDev had answered", why, fix)))
        return ExitCode.FAILED
    return _say(said)


def _say(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # such as `| head`: whoever read it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.DONE


async def _run(options: argparse.Namespace, project: Project) -> str:
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=jar) as session:
        archive = Archive(session, project)
        if options.list:
            return table(await archive.refs()) or f"{project.path} has no archived tips\n"
        ref = target_ref(options.branch, options.tag)
        return printable(await archive.restore(options.archived, ref, force=options.force)) + "\n"


def _check(options: argparse.Namespace) -> None:
    """What can be said without asking anybody. Raises `CommandError`."""
    name = options.branch if options.branch is not None else options.tag
    if options.list:
        if name is not None or options.force:
            raise usage("--list makes nothing", "--branch, --tag and --force say what to make", "leave them out")
        return
    if name is None:
        raise usage("nothing says what to make", "--archived needs a name for it", "add --branch NAME or --tag NAME")
    if not options.archived.startswith(ARCHIVE):
        raise usage(
            f"{options.archived!r} is no archived tip", f"their names begin with {ARCHIVE}", f"{PROGRAM} ... --list"
        )
    ref = target_ref(options.branch, options.tag)
    if name.startswith("refs/") or not is_legal(ref) or ref.encode(errors="ignore").decode() != ref:
        raise usage(f"{name!r} is no name for a branch or tag", f"git does not take {ref!r}", "such as --branch main")
    if breaks_pushes(ref) and ref.startswith(TAGS):
        raise usage(f"OneDev takes no tag {name!r}", "its name has + or a bare %", "choose another --tag NAME")
    if (why := refusal(ref)) is not None:
        raise usage(f"OneDev cannot hold {name[:80]!r}", why, "choose a shorter NAME")


def _project(options: argparse.Namespace) -> Project:
    server = options.server.rstrip("/")
    try:
        parts = urlsplit(server)
        legal = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        legal = False
    if not legal or not server.isascii() or "@" in server or parts.query or parts.fragment or "/~" in parts.path:
        # Never quoted: it may hold what should not be there.
        raise usage(
            "--server is not the address of a OneDev server",
            "it must be http(s) without user, password, query or fragment, and lead to the front page",
            "such as --server https://onedev.example.com",
        )
    if parts.scheme == "http" and not options.insecure:
        raise usage("--server is plain http", "the token would travel in clear", "use https, or add --insecure")
    path = options.project.strip("/")
    if not _PROJECT.fullmatch(path):
        raise usage(
            f"{options.project!r} is no path of a project",
            "it is made of segments of letters, digits, _ . and -, joined by slashes",
            "such as --project github/pallets/flask",
        )
    return Project(server, path, _token(options.token_file), _text("--ca", options.ca) if options.ca else None)


def _token(file: str) -> str:
    token = _text("--token-file", file).strip()
    if not token or len(token) > _TOKEN_LIMIT or not all("!" <= character <= "~" for character in token):
        raise usage(
            f"--token-file {file} holds no token", "one line of visible ASCII is expected", "put a OneDev token there"
        )
    return token


def _text(option: str, file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or "it cannot be read" if isinstance(error, OSError) else "it is not text"
        raise usage(f"{option} {file} cannot be read", why, f"let {option} name a file that can be read") from error
