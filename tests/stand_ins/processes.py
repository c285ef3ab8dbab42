"""Git as child processes, each in a process group of its own, so that none outlives the request it serves."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

CHUNK = 65536


class GitFailed(RuntimeError):
    """git ended with an error; the text is what it said."""


def environment(settings: Mapping[str, str] | None = None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for git: nobody's own configuration, only `settings` (name to value)."""
    # Whoever started the stand-in may own the repositories or not: a pod's volume has its own owner.
    # A detached `gc --auto` would outlive the request.
    chosen = {"safe.directory": "*", "gc.autoDetach": "false", "receive.autogc": "false", **(settings or {})}
    counted = {"GIT_CONFIG_COUNT": str(len(chosen))}
    for number, (name, value) in enumerate(chosen.items()):
        counted |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _PERSON.items()},
        **counted,
        **(extra or {}),
    }


_PERSON = {"NAME": "Stand-in", "EMAIL": "stand-in@example.com"}


def run_git(repository: Path, *arguments: str, data: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
    """Runs git in `repository` and returns its output without the last line end. Raises GitFailed."""
    return _text(
        subprocess.run(
            ["git", "-C", str(repository), *arguments],
            input=data,
            env=environment(extra=extra),
            capture_output=True,
            check=False,
        )
    )


def _text(done: "subprocess.CompletedProcess[bytes]") -> str:
    if done.returncode:
        raise GitFailed(done.stderr.decode(errors="replace").strip() or f"git ended with {done.returncode}")
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n")


class Processes:
    """The children that run now."""

    def __init__(self) -> None:
        self._running: set[asyncio.subprocess.Process] = set()
        self._closed = False

    @property
    def count(self) -> int:
        """How many run now."""
        return len(self._running)

    async def git(
        self, repository: Path, *arguments: str, data: bytes = b"", extra: Mapping[str, str] | None = None
    ) -> str:
        """As `run_git`, without blocking the server."""
        command = ("git", "-C", str(repository), *arguments)
        async with self._start(command, environment(extra=extra), subprocess.PIPE) as process:
            output, errors = await process.communicate(data)
        return _text(subprocess.CompletedProcess(command, process.returncode or 0, output, errors))

    async def stream(
        self,
        command: tuple[str, ...],
        variables: Mapping[str, str],
        body: AsyncIterator[bytes],
        send: Callable[[bytes], Awaitable[None]],
    ) -> int:
        """Pipes `body` through the command into `send`, both ways at once; returns the exit code.

        A body that raises TimeoutError ends the command's input as if the sender had stopped there. Any other error
        of the body, and any error of `send`, kills the command and is raised.
        """
        async with self._start(command, variables, subprocess.DEVNULL) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            feeder = asyncio.create_task(_feed(process.stdin, body))
            feeder.add_done_callback(lambda done: _kill_unless_fed(process, done))
            try:
                while chunk := await process.stdout.read(CHUNK):
                    await send(chunk)
                await feeder
                return await process.wait()
            finally:
                feeder.cancel()
                await asyncio.gather(feeder, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _start(
        self, command: tuple[str, ...], variables: Mapping[str, str], errors: int
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        if self._closed:
            raise ConnectionAbortedError("the server is stopping")
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        self._running.add(process)
        try:
            yield process
        finally:
            _kill_group(process)
            # Shielded, so that a cancelled request still leaves no zombie and no open pipe.
            await asyncio.shield(_reap(process))
            self._running.discard(process)

    async def close(self) -> None:
        """Kills what still runs; nothing starts after this."""
        self._closed = True
        running = list(self._running)
        for process in running:
            _kill_group(process)
        await asyncio.gather(*(process.wait() for process in running))


async def _reap(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is not None:
        while await process.stdout.read(CHUNK):
            pass
    await process.wait()


def _kill_group(process: asyncio.subprocess.Process) -> None:
    # The leader may be gone while a child of it (index-pack) still runs in the group.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_unless_fed(process: asyncio.subprocess.Process, feeder: "asyncio.Task[None]") -> None:
    # git would wait for the rest of a broken body for ever; half a pack must not be kept either.
    if feeder.cancelled() or feeder.exception() is not None:
        _kill_group(process)


async def _feed(pipe: asyncio.StreamWriter, body: AsyncIterator[bytes]) -> None:
    listening = True
    with contextlib.suppress(TimeoutError):
        async for piece in body:
            # A command that has heard enough closes its input; the sender is still heard out, as a servlet would.
            if listening:
                try:
                    pipe.write(piece)
                    await pipe.drain()
                except (BrokenPipeError, ConnectionResetError):
                    listening = False
    pipe.close()
