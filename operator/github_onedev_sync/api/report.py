"""What a worker reports: its exit code and a termination message of at most 4096 bytes of JSON.

The kubelet cuts a longer message, a killed worker leaves none, and a node can lose both: `Report.from_json` takes
whatever is there and says `None` where nothing can be trusted.
"""

import base64
import json
import zlib
from dataclasses import asdict, dataclass, fields, replace
from enum import IntEnum, StrEnum
from typing import Any

from .conditions import Reason

LIMIT = 4096
MESSAGE_LIMIT = 512
# A packed report is never larger than this, unpacked.
_UNPACKED_LIMIT = 256 * 1024
TERMINATION_LOG = "/dev/termination-log"


class ExitCode(IntEnum):
    """Why a worker ended. Those in `PERMANENT` make the Job fail at once."""

    OK = 0
    SOURCE_AUTHENTICATION = 10
    SOURCE_GONE = 11
    SOURCE_BLOCKED = 12
    TARGET_AUTHENTICATION = 20
    TARGET_REFUSED = 21
    TRANSIENT = 30
    OUR_BUG = 40


PERMANENT = tuple(code for code in ExitCode if code not in (ExitCode.OK, ExitCode.TRANSIENT))


class Outcome(StrEnum):
    """How one mirror's part ended.

    `Partial`: what can be mirrored is, and `unequal` names the rest. `Blocked`: a rewrite waits for a person.
    """

    SYNCED = "Synced"
    UNCHANGED = "Unchanged"
    PARTIAL = "Partial"
    BLOCKED = "Blocked"
    FAILED = "Failed"


@dataclass(frozen=True)
class TaskReport:
    """How one mirror's part ended.

    `seconds` of wall time, `bytes` of pack data received from the source. `created`, `updated`, `deleted`, `archived`
    and `rejected` count refs of this run; `branches`, `tags` and `archives` what the target holds now.
    `digest` is over the source's selected refs. `unequal` names the first refs that differ, `unequal_count` counts all
    and `unequal_digest` (`refs.digest_differences`) tells whether they are still the same ones. `head` is the target's
    default branch. `approval` is the digest that lets what is `Blocked` through, empty where nothing does.
    `fallback` says why git moved the data although the relay should have, empty where it did not have to.
    `pruned` counts archived tips whose time was over. `lfs_objects` and `lfs_bytes` count the LFS objects that the
    target is known to hold, `lfs_missing` those that the source itself lacks; None where LFS was not asked for.
    """

    key: str
    outcome: Outcome
    reason: Reason
    message: str = ""
    engine: str = "Relay"
    seconds: float = 0.0
    bytes: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    archived: int = 0
    rejected: int = 0
    branches: int = 0
    tags: int = 0
    archives: int = 0
    digest: str = ""
    unequal: tuple[str, ...] = ()
    unequal_count: int = 0
    unequal_digest: str = ""
    head: str | None = None
    approval: str = ""
    fallback: str = ""
    pruned: int = 0
    lfs_objects: int | None = None
    lfs_bytes: int | None = None
    lfs_missing: int | None = None


@dataclass(frozen=True)
class Report:
    """All task reports of one run."""

    run: str
    tasks: tuple[TaskReport, ...]
    v: int = 1

    def to_json(self) -> str:
        """At most `LIMIT` bytes: where it would be longer it is packed, and where that does not do, messages and lists
        are cut before anything that the controller decides on."""
        for message, names in ((MESSAGE_LIMIT, 8), (200, 3), (80, 0), (0, 0)):
            text = json.dumps(
                {"v": self.v, "run": self.run, "tasks": [_shorten(task, message, names) for task in self.tasks]},
                separators=(",", ":"),
            )
            if len(text.encode()) > LIMIT:
                text = _pack(text)
            if len(text.encode()) <= LIMIT:
                break
        return text

    @classmethod
    def from_json(cls, text: str | None) -> "Report | None":
        """The report, or None where `text` is missing, cut, or not ours."""
        try:
            data = json.loads(_unpack(text or ""))
            if data["v"] != 1:
                return None
            return cls(str(data["run"]), tuple(_task_report(task) for task in data["tasks"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error):
            return None

    def of(self, key: str) -> TaskReport | None:
        return next((task for task in self.tasks if task.key == key), None)


def _pack(text: str) -> str:
    return json.dumps({"z": base64.b85encode(zlib.compress(text.encode(), 9)).decode()}, separators=(",", ":"))


def _unpack(text: str) -> str:
    """`text` itself where it is not packed. Raises ValueError where it is packed and wrong."""
    data = json.loads(text)
    if not isinstance(data, dict) or "z" not in data:
        return text
    unpacked = zlib.decompressobj().decompress(base64.b85decode(str(data["z"])), _UNPACKED_LIMIT)
    return unpacked.decode()


_DEFAULTS = {f.name: f.default for f in fields(TaskReport)}
_COUNTED_WHERE_ASKED = {"lfs_objects", "lfs_bytes", "lfs_missing"}


def _shorten(task: TaskReport, message: int, names: int) -> dict[str, Any]:
    short = replace(
        task,
        message=task.message[:message],
        fallback=task.fallback[:message],
        unequal=task.unequal[:names],
        seconds=round(task.seconds, 3),
    )
    return {name: value for name, value in asdict(short).items() if value != _DEFAULTS[name]}


def _task_report(data: dict[str, Any]) -> TaskReport:
    known: dict[str, Any] = {name: value for name, value in data.items() if name in _DEFAULTS}
    known["outcome"] = Outcome(known["outcome"])
    known["reason"] = Reason(known["reason"])
    known["unequal"] = tuple(str(name) for name in known.get("unequal", ()))
    for name, default in _DEFAULTS.items():
        if name in known and isinstance(default, (int, float, str)):
            known[name] = _checked(known[name], default)
    for name in _COUNTED_WHERE_ASKED & known.keys():
        known[name] = _checked(known[name], 0)
    return TaskReport(**known)


def _checked(value: Any, default: float | str) -> Any:
    """`value` where it is of its default's kind: text, or a finite number that is not below zero."""
    if isinstance(default, str):
        if not isinstance(value, str):
            raise TypeError(value)
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
        raise TypeError(value)
    return type(default)(value)
