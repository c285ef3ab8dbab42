"""Which mirrors may share a Job, and how many of them fit into one.

Small ones of one namespace, server and credential do: a pod's start takes longer than their whole run. One whose last
run failed goes alone, so that what fails by itself is not in a position to fail others twice.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from ..api.mirror import Access, EngineChoice, RepositoryMirror
from ..api.report import LIMIT, Outcome

MOST = 20
SMALL_KB = 10 * 1024
TOGETHER_KB = 50 * 1024
# All tasks of a run are told in one environment variable, which Linux limits to 128 KiB.
_GLOBS_BYTES = 2000
# They share its time, too.
_TASK_TIME = timedelta(seconds=15)
# What a packed report takes, and each mirror's part of it: two digests and numbers, and its key, which packs well.
_REPORT_BYTES = 64
_TASK_BYTES = 160


@dataclass(frozen=True)
class Load:
    """What one mirror adds to a Job: its key takes room in the report, `kb` (expected) time and traffic."""

    key: str
    kb: int

    @property
    def report_bytes(self) -> int:
        return _TASK_BYTES + len(self.key) // 2


def group_of(mirror: RepositoryMirror) -> tuple[str, ...]:
    """Mirrors of one group can share a pod: its Secrets, its server and its time are theirs, too."""
    spec = mirror.spec
    secret = spec.source.secret_ref.name if spec.source.secret_ref else ""
    server = spec.target.server_ref.name
    return (mirror.metadata.namespace, server, spec.source.api_url, secret, str(spec.timeout.total_seconds()))


def credential_of(mirror: RepositoryMirror) -> str:
    return credential_in(mirror.spec.source, mirror.metadata.namespace)


def credential_in(source: Access, namespace: str) -> str:
    """A label value that tells credentials apart; those who have none share GitHub's limit for an address."""
    secret = f"{namespace}/{source.secret_ref.name}" if source.secret_ref else ""
    return _hashed(source.api_url, secret)


@lru_cache(maxsize=4096)
def _hashed(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def expected_kb(mirror: RepositoryMirror, size_kb: int) -> int:
    """How much a run is expected to move: the repository, or once it is there what the last run moved. Git itself
    clones it each time."""
    last = mirror.status.last_run
    if mirror.status.last_sync_time is None or last is None or last.bytes is None:
        return size_kb
    if mirror.spec.engine is EngineChoice.GIT or last.fallback:
        return size_kb
    return min(size_kb, last.bytes // 1024)


def may_share(mirror: RepositoryMirror, kb: int) -> bool:
    last = mirror.status.last_run
    failed = last is not None and last.outcome == Outcome.FAILED
    refs = mirror.spec.refs
    wordy = len(json.dumps((refs.include, refs.exclude))) > _GLOBS_BYTES
    return kb <= SMALL_KB and not failed and not wordy and not mirror.spec.lfs


def fill(leader: Load, timeout: timedelta, others: Iterable[Load]) -> list[Load]:
    """Those of `others`, in their order, that fit into one Job beside `leader`."""
    most = min(MOST, timeout // _TASK_TIME)
    room_kb = TOGETHER_KB - leader.kb
    room_bytes = LIMIT - _REPORT_BYTES - leader.report_bytes
    taken: list[Load] = []
    for load in others:
        if len(taken) + 1 >= most:
            break
        if load.kb <= room_kb and load.report_bytes <= room_bytes:
            taken.append(load)
            room_kb -= load.kb
            room_bytes -= load.report_bytes
    return taken
