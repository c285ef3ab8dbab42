"""One git command after the other in a scratch repository, through GitPython, each in a process group of its own.

GitPython's own time-outs do not reach every call, so a command ends with the task that awaits it: cancelling kills
the whole group, helpers like git-remote-https included.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryFile

from git import Git, RemoteProgress
from git.cmd import handle_process_output

from .engine import Progress

_TAIL = 100  # lines of stderr that are kept
_LINE = 1000  # characters of each


@dataclass(frozen=True)
class Completed:
    """A finished command: its status, every line of stdout, and the last lines of stderr that are no progress."""

    status: int
    stdout: list[str]
    stderr: list[str]


class _Reports(RemoteProgress):
    """Hands git's progress lines on as phase and percent."""

    _PHASES: Mapping[int, str] = {
        RemoteProgress.COUNTING: "Counting objects",
        RemoteProgress.COMPRESSING: "Compressing objects",
        RemoteProgress.WRITING: "Writing objects",
        RemoteProgress.RECEIVING: "Receiving objects",
        RemoteProgress.RESOLVING: "Resolving deltas",
    }

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def update(
        self, op_code: int, cur_count: str | float, max_count: str | float | None = None, message: str = ""
    ) -> None:
        phase = self._PHASES.get(op_code & self.OP_MASK)
        if phase and max_count:
            self._progress(phase, int(100 * float(cur_count) / float(max_count)))


class GitProcess:
    """Runs git in the bare repository at `directory` with `environment` on top of the process's own."""

    def __init__(self, directory: Path, environment: Mapping[str, str], progress: Progress) -> None:
        self._directory = directory
        self._git = Git(directory)
        self._git.update_environment(**environment)
        self._progress = progress

    async def run(self, *arguments: str, stdin: str = "", silence_seconds: int = 0) -> Completed:
        """Runs `git` to its end. `silence_seconds` without a byte on the network end it with an error of git's own.

        Raises OSError where it cannot be started.
        """
        low_speed = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": str(silence_seconds)}
        with TemporaryFile(dir=self._directory) as file:
            file.write(stdin.encode())
            file.seek(0)
            process = self._git.execute(
                ["git", *arguments],
                istream=file,
                as_process=True,
                env=low_speed if silence_seconds else {},
                universal_newlines=True,
                errors="backslashreplace",
                start_new_session=True,
            )
        popen = process.proc
        assert popen is not None, "a process that was just started"  # noqa: S101
        stdout: list[str] = []
        stderr: deque[str] = deque(maxlen=_TAIL)
        try:
            await asyncio.to_thread(_drain, process, stdout, self._on_stderr(stderr))
        except BaseException:
            # Cancelled, most likely: nothing of the group outlives this call.
            with suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            raise
        return Completed(popen.returncode, stdout, list(stderr))

    def _on_stderr(self, tail: deque[str]) -> Callable[[str], None]:
        on_progress = _Reports(self._progress).new_message_handler()

        def on_line(line: str) -> None:
            if "% (" in line:
                on_progress(line)
            else:
                tail.append(line.rstrip()[:_LINE])

        return on_line


def _drain(process: Git.AutoInterrupt, stdout: list[str], on_stderr: Callable[[str], None]) -> None:
    """Reads both streams to their end and waits for the process."""

    def finish(ended: Popen[str] | Git.AutoInterrupt) -> None:
        if isinstance(ended, Git.AutoInterrupt) and ended.proc:
            ended.proc.wait()

    handle_process_output(
        process,
        lambda line: stdout.append(line.rstrip("\n")),
        on_stderr,
        finish,
        decode_streams=False,
    )
