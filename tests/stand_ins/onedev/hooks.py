"""OneDev's receive hooks: git calls a script, the script calls the server back with the ref list as a broken form."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ..processes import GitFailed, Processes
from .model import Privilege, Project
from .protections import Protections, Update

FORM_LIMIT = 5_000_000
CALLBACK_FAILED = "curl: (22) The requested URL returned error: 500"
NOTHING = "0" * 40
HEX = set(b"0123456789abcdefABCDEF")
# As in OneDev: the lines of git's list are run together and sent as they are.
SCRIPT = """#!/bin/bash
LC_ALL=C
refs=$(tr -d '\\r\\n')
exec 3<>"/dev/tcp/127.0.0.1/$STAND_IN_PORT" || exit 1
printf '%s\\n' {kind} "$STAND_IN_PUSH" "$GIT_QUARANTINE_PATH" "${{#refs}}" >&3
printf '%s' "$refs" >&3
read -r -u 3 code
cat <&3 >&2
exit "$code"
"""


class CallbackFailed(Exception):
    """OneDev's callback threw: HTTP 500."""


@dataclass
class Push:
    """One run of receive-pack. `hint_url`: where a pull request for a branch is made."""

    project: Project
    repository: Path
    privilege: Privilege
    hint_url: str
    key: str = field(default_factory=lambda: secrets.token_hex(8))


class Hooks:
    """The listener that the scripts call, and what it decides."""

    def __init__(self, folder: Path, processes: Processes, protections: Protections) -> None:
        self._folder = folder
        self._processes = processes
        self._protections = protections
        self._pushes: dict[str, Push] = {}
        self._server: asyncio.Server | None = None
        self.seed_pull_requests = False
        self._seeded: set[int] = set()

    async def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind in ("pre-receive", "post-receive"):
            script = self._folder / kind
            script.write_text(SCRIPT.format(kind=kind))
            script.chmod(0o755)
        self._server = await asyncio.start_server(self._called, "127.0.0.1", 0, limit=FORM_LIMIT)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def settings(self) -> dict[str, str]:
        return {"core.hooksPath": str(self._folder.absolute())}

    @contextlib.contextmanager
    def expecting(self, push: Push) -> Iterator[dict[str, str]]:
        """Yields the variables that git must pass on to the scripts of this push."""
        assert self._server is not None
        self._pushes[push.key] = push
        port = self._server.sockets[0].getsockname()[1]
        try:
            yield {"STAND_IN_PORT": str(port), "STAND_IN_PUSH": push.key}
        finally:
            del self._pushes[push.key]

    async def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            kind, key, quarantine, length = [(await reader.readline()).decode().strip() for _ in range(4)]
            form = await reader.readexactly(int(length))
            code, lines = await self._decide(kind, self._pushes.get(key), quarantine, form)
            writer.write("\n".join([str(code), *lines, ""]).encode())
            await writer.drain()
        writer.close()

    async def _decide(self, kind: str, push: Push | None, quarantine: str, form: bytes) -> tuple[int, list[str]]:
        lines: list[str] = []
        try:
            if push is None or len(form) > FORM_LIMIT:
                raise CallbackFailed
            updates = parse_form(form)
            if kind == "pre-receive":
                lines = await self._protections.check(
                    push.project, push.repository, push.privilege, quarantine, updates
                )
                return (1 if lines else 0), lines
            await self._after(push, updates, lines)
        except (CallbackFailed, GitFailed):
            lines.append(CALLBACK_FAILED)
        return 1, lines

    async def _after(self, push: Push, updates: list[Update], lines: list[str]) -> None:
        """Walks the list from its end, links an unborn HEAD, hints, and fails at the first ref without a commit."""
        head = (push.repository / "HEAD").read_text().strip().removeprefix("ref: ")
        born = await _exists(self._processes, push.repository, head)
        with_commit = await _peeling(self._processes, push.repository, (update.new for update in updates))
        for update in reversed(updates):
            if update.new == NOTHING or not update.ref.startswith(("refs/heads/", "refs/tags/")):
                continue
            if update.new not in with_commit:
                raise CallbackFailed
            if not update.ref.startswith("refs/heads/"):
                continue
            if not born:
                await self._processes.git(push.repository, "symbolic-ref", "HEAD", update.ref)
                head, born = update.ref, True
            elif update.ref != head:
                branch = update.ref.removeprefix("refs/heads/")
                lines += ["", f"Create a pull request for '{branch}' by visiting:", f"    {push.hint_url}{branch}", ""]
        if self.seed_pull_requests and born and push.project.id not in self._seeded:
            self._seeded.add(push.project.id)
            await seed_pull_request(self._processes, push.repository)


async def seed_pull_request(processes: Processes, repository: Path) -> None:
    """Gives the project a pull request of its own, as its refs show it."""
    tip = await processes.git(repository, "rev-parse", "HEAD")
    refs = ("refs/pulls/1/head", "refs/pulls/1/base", "refs/updates/1")
    commands = "".join(f"update {ref} {tip}\n" for ref in refs)
    await processes.git(repository, "update-ref", "--stdin", data=commands.encode())


def parse_form(form: bytes) -> list[Update]:
    """The updates that OneDev reads out of the run-together list, in order. Raises CallbackFailed.

    The list is taken for a form: `&` begins another parameter, `=` ends a name, `+` is a space, `%41` an A. The last
    parameter whose *name* holds a space is the list, and it is read from its end.
    """
    names = [_decode(part.partition(b"=")[0]) for part in form.split(b"&")]
    listing = next((name for name in reversed(names) if b" " in name), None)
    if listing is None:
        raise CallbackFailed
    fields = [part for part in listing.split(b" ") if part]
    updates: list[Update] = []
    while fields:
        if len(fields) < 3:
            raise CallbackFailed
        ref, new, rest = fields.pop(), fields.pop(), fields.pop()
        old, before = rest[-40:], rest[:-40]
        if not (_is_oid(new) and _is_oid(old)):
            raise CallbackFailed
        updates.append(Update(old.decode(), new.decode(), ref.decode(errors="surrogateescape")))
        if before:
            fields.append(before)
        elif fields:
            break
    return updates[::-1]


def _decode(part: bytes) -> bytes:
    for position in (index for index, byte in enumerate(part) if byte == ord("%")):
        if len(part) < position + 3 or not set(part[position + 1 : position + 3]) <= HEX:
            raise CallbackFailed
    return unquote_to_bytes(part.replace(b"+", b" "))


def _is_oid(text: bytes) -> bool:
    return len(text) == 40 and set(text) <= HEX


async def _exists(processes: Processes, repository: Path, ref: str) -> bool:
    try:
        await processes.git(repository, "rev-parse", "--quiet", "--verify", ref)
    except GitFailed:
        return False
    return True


async def _peeling(processes: Processes, repository: Path, oids: Iterable[str]) -> set[str]:
    """Those of the objects that are commits or tags of commits."""
    asked = list(dict.fromkeys(oid for oid in oids if oid != NOTHING))
    lines = "".join(f"{oid}^{{commit}}\n" for oid in asked).encode()
    answer = await processes.git(repository, "cat-file", "--batch-check=%(objecttype)", data=lines)
    return {oid for oid, kind in zip(asked, answer.splitlines(), strict=True) if kind == "commit"}
