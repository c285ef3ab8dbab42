"""The engine that any server can work with: git itself, in a scratch repository that is empty at first."""

import errno
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..api.errors import SyncError
from ..api.refs import TAGS, Listing
from .engine import Endpoint, Progress
from .git_words import fetch_error, out_of_space, push_error, refusal_error, refusals, shallow
from .side import USER_AGENT, basic
from .steps import Command, Kind, Knowledge, Push, PushResult

if TYPE_CHECKING:
    from .git_process import Completed, GitProcess

_SOURCE_SILENCE = 120
# A push that waits for one of OneDev's slots gets no byte at all, so this outlasts the queue.
_TARGET_SILENCE = 900
_FETCH = (
    "fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules", "--stdin",
    "--",
)  # fmt: skip
_ARGUMENTS = 1_000_000
_OURS = "refs/source/"


def environment(scratch: Path, source: Endpoint, target: Endpoint) -> dict[str, str]:
    """What every git command gets: no configuration but ours, no prompt, credentials scoped to their URL."""
    settings = [
        ("protocol.version", "2"),
        ("gc.auto", "0"),
        ("fetch.unpackLimit", "1"),
        ("transfer.fsckObjects", "false"),
        ("credential.helper", ""),
        # Git sends our header along to whatever host the first answer redirects to.
        ("http.followRedirects", "false"),
    ]
    for end in (source, target):
        if end.token:
            settings.append((f"http.{end.url}.extraHeader", f"Authorization: {basic(end.token)}"))
        if end.ca_file:
            settings.append((f"http.{end.url}.sslCAInfo", end.ca_file))
    schemes = {urlsplit(end.url).scheme for end in (source, target)}
    result = {
        "GIT_DIR": str(scratch),
        "HOME": str(scratch / "home"),
        "XDG_CONFIG_HOME": str(scratch / "home"),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ALLOW_PROTOCOL": "http:https" if "http" in schemes else "https",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_USER_AGENT": USER_AGENT.replace(" ", "-"),
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for number, (key, value) in enumerate(settings):
        result[f"GIT_CONFIG_KEY_{number}"] = key
        result[f"GIT_CONFIG_VALUE_{number}"] = value
    return result


class GitEngine:
    """Fetches what differs into `scratch` (made now, removed by `close`) and pushes it from there."""

    name = "Git"

    def __init__(self, scratch: Path, source: Endpoint, target: Endpoint, progress: Progress) -> None:
        self._scratch = scratch
        self._source = source
        self._target = target
        self._progress = progress
        self._git: GitProcess | None = None
        self._received = 0
        self._named: list[str] = []

    @property
    def received(self) -> int:
        return self._received

    async def prepare(self, wanted: Sequence[Command], source: Listing, target: Listing) -> Knowledge:
        """Fetches the wanted objects by id, so that a source that moves meanwhile cannot mix two states."""
        self._source = self._source.at(source.url)
        await self._init()
        if not wanted:
            return Knowledge()
        # As refs, so that the fetch from the target that archiving needs knows what is here already.
        specs = "".join(f"+{c.new}:{_OURS}{c.name.removeprefix('refs/')}\n" for c in wanted)
        done = await self._run(
            *_FETCH, self._source.url, stdin=specs, silence_seconds=_SOURCE_SILENCE
        )  # fmt: skip
        if done.status:
            raise fetch_error(self._source.url, done.stderr, authenticated=self._source.token is not None)
        if any("shallow roots" in line for line in done.stderr):
            raise shallow(self._source.url)
        self._named = [_OURS + command.name.removeprefix("refs/") for command in wanted]
        self._received = sum(pack.stat().st_size for pack in (self._scratch / "objects/pack").glob("*.pack"))
        return Knowledge(await self._forced(wanted), await self._other_objects())

    async def _init(self) -> None:
        if self._git:
            return
        # GitPython is a quarter of a worker's start, and a run that finds nothing to do goes without.
        from .git_process import GitProcess

        try:
            (self._scratch / "home").mkdir(parents=True)
        except OSError as error:
            raise _local(error) from error
        self._git = GitProcess(self._scratch, environment(self._scratch, self._source, self._target), self._progress)
        done = await self._run("init", "--quiet", "--bare", "--template=")
        if done.status:
            raise push_error(self._target.url, done.stderr)

    async def _forced(self, wanted: Sequence[Command]) -> frozenset[str]:
        forced = set()
        for command in wanted:
            if command.old is None or command.new is None or command.name.startswith(TAGS):
                continue
            # Also not zero where the old tip is no part of what came from the source.
            done = await self._run("merge-base", "--is-ancestor", command.old, command.new)
            if done.status:
                forced.add(command.name)
        return frozenset(forced)

    async def _other_objects(self) -> frozenset[str]:
        done = await self._run("for-each-ref", "--format=%(objecttype) %(*objecttype) %(refname)", f"{_OURS}tags/")
        names = set()
        for line in done.stdout:
            kind, peeled, name = line.split(" ", 2)
            if (peeled or kind) != "commit":
                names.add("refs/" + name.removeprefix(_OURS))
        return frozenset(names)

    async def push(self, push: Push) -> PushResult:
        try:
            await self._init()
            await self._make(push)
            if push.kind is Kind.ARCHIVE:
                await self._fetch_from_target([command.new for command in push.commands if command.new])
            elif push.kind is not Kind.MARK:  # which goes before the archive
                await self._forget_names()
            return await self._push_all(push.commands)
        except SyncError as error:
            return PushResult(error=error)

    async def _make(self, push: Push) -> None:
        for kind, content in push.objects:
            done = await self._run("hash-object", "-t", kind, "-w", "--stdin", stdin=content.decode())
            if done.status:
                raise push_error(self._target.url, done.stderr)

    async def _fetch_from_target(self, oids: list[str]) -> None:
        """Git pushes only what it has, even where the other side has it: the tips to be kept come here first."""
        specs = "".join(f"{oid}\n" for oid in sorted(set(oids)))
        done = await self._run(
            *_FETCH, self._target.url, stdin=specs, silence_seconds=_TARGET_SILENCE
        )  # fmt: skip
        if done.status:
            raise push_error(self._target.url, done.stderr)

    async def _forget_names(self) -> None:
        """Git searches every ref of ours for each refspec of a push, twice: seconds for thousands, then minutes."""
        if self._named:
            deletions = "".join(f"delete {name}\n" for name in self._named)
            done = await self._run("update-ref", "--stdin", stdin=deletions)
            if done.status:
                raise push_error(self._target.url, done.stderr)
            self._named = []

    async def _push_all(self, commands: Sequence[Command]) -> PushResult:
        result = PushResult()
        for batch in _batches(commands):
            done = await self._push_batch(batch)
            result = PushResult(result.done + done.done, {**result.refused, **done.refused}, done.error)
            if done.error or done.refused:
                break
        return result

    async def _push_batch(self, commands: Sequence[Command]) -> PushResult:
        arguments = [argument for command in commands for argument in _lease(command)]
        specs = [f"{command.new or ''}:{command.name}" for command in commands]
        done = await self._run(
            "push", "--porcelain", "--progress", "--no-verify", *arguments, "--", self._target.url, *specs,
            silence_seconds=_TARGET_SILENCE,
        )  # fmt: skip
        names, refused = refusals(done.stdout)
        carried_out = tuple(command for command in commands if command.name in names)
        if refused:
            return PushResult(carried_out, refused, refusal_error(refused, done.stderr))
        if done.status or len(carried_out) < len(commands):
            return PushResult(carried_out, error=push_error(self._target.url, done.stderr))
        return PushResult(carried_out)

    async def _run(self, *arguments: str, stdin: str = "", silence_seconds: int = 0) -> "Completed":
        assert self._git is not None, "_init comes first"  # noqa: S101
        try:
            return await self._git.run(*arguments, stdin=stdin, silence_seconds=silence_seconds)
        except OSError as error:
            raise _local(error) from error

    async def close(self) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)


def _local(error: OSError) -> SyncError | OSError:
    return out_of_space() if error.errno in (errno.ENOSPC, errno.EDQUOT) else error


def _lease(command: Command) -> list[str]:
    """Lets an update be forced, but only from where we saw the ref. A creation is never forced."""
    return [f"--force-with-lease={command.name}:{command.old}"] if command.old else []


def _size(arguments: Sequence[str]) -> int:
    """Bytes that `arguments` take of what the kernel allows for a new process."""
    return sum(len(argument.encode()) + 9 for argument in arguments)


def _batches(commands: Sequence[Command]) -> list[list[Command]]:
    """`commands` in pieces whose command line the kernel takes."""
    batches: list[list[Command]] = [[]]
    size = 0
    for command in commands:
        cost = _size([*_lease(command), f"{command.new}:{command.name}"])
        if batches[-1] and size + cost > _ARGUMENTS:
            batches.append([])
            size = 0
        batches[-1].append(command)
        size += cost
    return batches
