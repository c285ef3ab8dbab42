"""Sends deliveries over kept connections: so many a second whatever comes back, or as fast as they are taken."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from github_onedev_sync.api.delivery import sign

# GitHub gives up after ten seconds.
_TIMEOUT = 10.0
# Repositories that no mirror has.
_NOT_MIRRORED = range(1_000_000, 1_000_020)

Text = tuple[bytes, bytes]


@dataclass
class Sent:
    """What was answered, by status (0: nothing in time), and how long each took from the moment at which it was due."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0

    @property
    def not_taken(self) -> int:
        return self.answers.total() - self.answers[202]

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


class Deliveries:
    """As text of HTTP, each of about the size that GitHub's have, and signed once: the id of a delivery is not."""

    def __init__(self, secret: bytes, url: str, repositories: Sequence[int]) -> None:
        self.ids: list[str] = []
        self._secret, self._address = secret, urlsplit(url)
        self._pushes = itertools.cycle([self._text("push", number) for number in repositories])
        others = [self._text(event, number) for number in _NOT_MIRRORED for event in ("push", "workflow_job")]
        self._others = itertools.cycle(others)

    def pushes(self) -> Iterator[bytes]:
        """To the mirrored repositories in turn."""
        return self._with_ids(self._pushes)

    def mixed(self, one_in: int) -> Iterator[bytes]:
        """One in so many is such a push; the others are pushes to other repositories, and events of no use here."""
        turns = (self._others if number % one_in else self._pushes for number in itertools.count())
        return self._with_ids(next(turn) for turn in turns)

    def _with_ids(self, texts: Iterable[Text]) -> Iterator[bytes]:
        for before, after in texts:
            self.ids.append(f"load-{len(self.ids)}")
            yield before + self.ids[-1].encode() + after

    def _text(self, event: str, repository: int) -> Text:
        """Before and after the delivery's id."""
        commits = [{"id": f"{n:040x}", "message": "Turn faster\n" * 20, "modified": ["README.md"]} for n in range(20)]
        name = f"load/repository-{repository}"
        body = json.dumps(
            {
                "ref": "refs/heads/main",
                "before": "1" * 40,
                "after": "2" * 40,
                "repository": {"id": repository, "full_name": name, "owner": {"id": 1, "login": "load"}},
                "sender": {"id": 2, "login": "octocat", "url": "https://api.github.com/users/octocat"},
                "commits": commits,
            }
        ).encode()
        head = (
            f"POST {self._address.path} HTTP/1.1\r\nHost: {self._address.netloc}\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: {event}\r\nContent-Length: {len(body)}\r\n"
            f"X-Hub-Signature-256: {sign(self._secret, body)}\r\nX-GitHub-Delivery: "
        )
        return head.encode(), b"\r\n\r\n" + body


class Sender:
    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._place = address.hostname, address.port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def at_rate(self, texts: Iterator[bytes], rate: float, seconds: float) -> Sent:
        """Open loop: who is late does not make the next one late."""
        sent, loop = Sent(), asyncio.get_running_loop()
        began, tasks = loop.time(), []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            tasks.append(asyncio.create_task(self._send(next(texts), due, sent)))
        await asyncio.gather(*tasks)
        sent.wall = loop.time() - began
        return sent

    async def as_taken(self, texts: Iterator[bytes], count: int, connections: int) -> Sent:
        """Closed loop: each connection sends the next one when the one before was answered."""
        sent, loop = Sent(), asyncio.get_running_loop()
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                await self._send(next(texts), loop.time(), sent)

        began = loop.time()
        await asyncio.gather(*(work() for _ in range(connections)))
        sent.wall = loop.time() - began
        return sent

    async def close(self) -> None:
        for _, writer in self._free:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        self._free.clear()

    async def _send(self, text: bytes, due: float, sent: Sent) -> None:
        status = 0
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(_TIMEOUT):
                status = await self._exchange(text)
        sent.answers[status] += 1
        sent.seconds.append(asyncio.get_running_loop().time() - due)

    async def _exchange(self, text: bytes) -> int:
        while True:
            kept = bool(self._free)
            reader, writer = self._free.pop() if kept else await asyncio.open_connection(*self._place)
            try:
                writer.write(text)
                head = await reader.readuntil(b"\r\n\r\n")
            except (OSError, asyncio.IncompleteReadError):
                writer.close()
                if kept:  # the server had closed it meanwhile, and never saw this
                    continue
                raise
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
            self._free.append((reader, writer))
            return int(head.split(b" ", 2)[1])
