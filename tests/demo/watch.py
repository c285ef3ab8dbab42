"""The live table of the mirrors: drawn anew on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.local_cluster import ClusterError

from .client import Client
from .screen import Screen, Stopwatch

_WITHIN = 300.0
_EVERY = 0.5
_HEAD = ("NAME", "READY", "PHASE", "SOURCE", "REFS", "LAST SYNC", "AGE")
_RIGHT = "REFS"
_LOG_LINES = 3
_CLOCK_SLACK = 3.0
_NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Row:
    """A mirror as the table shows it.

    `settled`: Ready and verified, at its newest generation. `seconds`: its age.
    """

    name: str
    ready: str
    phase: str
    source: str
    refs: str
    last_sync: str
    age: str
    settled: bool
    message: str
    seconds: float

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.name, self.ready, self.phase, self.source, self.refs, self.last_sync, self.age)

    @property
    def news(self) -> tuple[str, ...]:
        """What is worth a new line."""
        return (self.ready, self.phase, self.refs, self.message if self.ready == "False" else "")


def read(mirror: dict[str, Any], now: datetime) -> Row:
    metadata, status = mirror["metadata"], mirror.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    verified = conditions.get("Verified", {}).get("status") == "True"
    return Row(
        name=metadata["name"],
        ready=ready.get("status", _NOTHING),
        phase=status.get("phase", _NOTHING),
        source=mirror["spec"]["source"]["repository"],
        refs=str(status.get("refs", {}).get("total", _NOTHING)),
        last_sync=_ago(status.get("lastSyncTime"), now),
        age=_ago(metadata["creationTimestamp"], now),
        settled=ready.get("status") == "True" and verified
        and ready.get("observedGeneration") == metadata["generation"],
        message=f"{ready.get('reason', '')}: {ready.get('message', '')}" if ready else "",
        seconds=(now - datetime.fromisoformat(metadata["creationTimestamp"])).total_seconds(),
    )  # fmt: skip


def watch(client: Client, namespace: str, screen: Screen, declared: Stopwatch) -> None:
    """Shows the mirrors until all are Ready and verified. Raises ClusterError when that takes too long."""
    shown: dict[str, tuple[str, ...]] = {}
    screen.plain()
    while True:
        listed = client.get("repositorymirrors", f"--namespace={namespace}")["items"]
        rows = sorted((read(mirror, datetime.now(UTC)) for mirror in listed), key=lambda row: row.name)
        if screen.live:
            screen.redraw(table(rows))
        else:
            _tell_news(rows, shown, screen, declared)
        if rows and all(row.settled for row in rows):
            break
        if declared.seconds > _WITHIN:
            raise _too_long(client, namespace, [row for row in rows if not row.settled])
        time.sleep(_EVERY)
    if not screen.live:
        screen.plain()
        for line in table(rows):
            screen.plain(line)
    declared_before = max(row.seconds for row in rows) > declared.seconds + _CLOCK_SLACK
    since = " (declared by an earlier demo)" if declared_before else f", {declared} after they were declared"
    screen.plain()
    screen.plain(f" All {len(rows)} mirrors are Ready and verified equal to their source{since}.")


def table(rows: Sequence[Row]) -> list[str]:
    cells = [_HEAD, *(row.cells for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    return [" " + "   ".join(map(_pad, line, widths, _HEAD)).rstrip() for line in cells]


def _pad(text: str, width: int, head: str) -> str:
    return text.rjust(width) if head == _RIGHT else text.ljust(width)


def _tell_news(rows: Sequence[Row], shown: dict[str, tuple[str, ...]], screen: Screen, declared: Stopwatch) -> None:
    for row in rows:
        if shown.get(row.name) != row.news:
            shown[row.name] = row.news
            why = f"   {row.message}" if row.ready == "False" else ""
            screen.plain(f" {declared!s:>5}  {row.name:<15} Ready {row.ready:<8} {row.phase:<11} refs {row.refs}{why}")


def _ago(moment: str | None, now: datetime) -> str:
    if moment is None:
        return _NOTHING
    seconds = max(int((now - datetime.fromisoformat(moment)).total_seconds()), 0)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _too_long(client: Client, namespace: str, late: Sequence[Row]) -> ClusterError:
    why = [f"{row.name}: {row.message or 'nothing said yet'}" for row in late]
    log = ("logs", "deployment/github-onedev-sync-controller", "--namespace=github-onedev-sync", "--tail=200")
    why += [line for line in client.kubectl(*log).splitlines() if " ERROR " in line or " WARNING " in line][
        -_LOG_LINES:
    ]
    more = client.shown(f"kubectl --namespace={namespace} describe rmir {late[0].name if late else ''}")
    what = f"{len(late)} mirrors were not Ready within {_WITHIN:.0f} s" if late else "there are no mirrors"
    return ClusterError(what, "\n       ".join(why), more)
