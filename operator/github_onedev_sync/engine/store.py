"""What the watches told, by key: a cache that is never the truth and can be thrown away at any time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..api import names
from ..api.mirror import RepositoryMirror
from ..api.model import Metadata
from ..api.server import OneDevServer
from ..api.sync import ReposSync
from ..decide.run import Run, members_of, read_run

Body = Mapping[str, Any]
R = TypeVar("R", RepositoryMirror, OneDevServer, ReposSync)


@dataclass(frozen=True)
class Seat:
    """A slot that is taken: on which server (uid), with which credential, and by which mirrors (uids and keys)."""

    server: str
    credential: str
    uids: frozenset[str]
    keys: frozenset[str]


@dataclass
class Store:
    """Mirrors, servers and Jobs by `namespace/name`, syncs by their `ref`; pods by their Job."""

    mirrors: dict[str, RepositoryMirror] = field(default_factory=dict)
    servers: dict[str, OneDevServer] = field(default_factory=dict)
    syncs: dict[str, ReposSync] = field(default_factory=dict)
    _jobs: dict[str, Body] = field(default_factory=dict)
    _jobs_of: dict[str, dict[str, Body]] = field(default_factory=dict)
    _pods: dict[str, dict[str, Body]] = field(default_factory=dict)
    _mirror_by_uid: dict[str, str] = field(default_factory=dict)
    # Asked for at every reconcile, and made anew only when a Job or a pod has changed.
    _seats: list[Seat] | None = field(default=None, compare=False)

    def put_mirror(self, mirror: RepositoryMirror) -> None:
        """Keeps the newer of what is known and what is told: our own write can be ahead of the watch."""
        if _put(self.mirrors, mirror.key, mirror):
            self._mirror_by_uid[mirror.metadata.uid] = mirror.key

    def drop_mirror(self, mirror: RepositoryMirror) -> bool:
        """Whether it was there: the end of one may be told after the beginning of its namesake."""
        self._mirror_by_uid.pop(mirror.metadata.uid, None)
        return _drop(self.mirrors, mirror.key, mirror)

    def put_server(self, server: OneDevServer) -> None:
        """As `put_mirror`."""
        _put(self.servers, server.key, server)

    def drop_server(self, server: OneDevServer) -> bool:
        return _drop(self.servers, server.key, server)

    def put_sync(self, sync: ReposSync) -> None:
        """As `put_mirror`."""
        _put(self.syncs, sync.ref, sync)

    def drop_sync(self, sync: ReposSync) -> bool:
        return _drop(self.syncs, sync.ref, sync)

    def mirrors_of_run(self, body: Body) -> list[str]:
        """The keys of the mirrors that a Job, or a pod whose Job is known, works for."""
        job = next((job for job in self._jobs.values() if job["metadata"]["uid"] == _job_of(body)), body)
        uids = (member.uid for member in members_of(job))
        return [self._mirror_by_uid[uid] for uid in uids if uid in self._mirror_by_uid]

    def mirrors_on(self, server_key: str) -> Iterator[RepositoryMirror]:
        return (mirror for mirror in list(self.mirrors.values()) if server_of(mirror) == server_key)

    def put_job(self, job: Body) -> None:
        key = _key_of(job)
        self.forget_job(key)  # of its namesakes' mirrors, too
        self._jobs[key] = job
        for member in members_of(job):
            self._jobs_of.setdefault(member.uid, {})[key] = job

    def drop_job(self, job: Body) -> None:
        self.forget_job(_key_of(job))

    def forget_job(self, key: str) -> None:
        for member in members_of(self._jobs.pop(key, {"metadata": {}})):
            _remove(self._jobs_of, member.uid, key)
        self._seats = None

    def put_pod(self, pod: Body) -> None:
        self._pods.setdefault(_job_of(pod), {})[pod["metadata"]["name"]] = pod
        self._seats = None

    def drop_pod(self, pod: Body) -> None:
        _remove(self._pods, _job_of(pod), pod["metadata"]["name"])
        self._seats = None

    def run_of(self, mirror: RepositoryMirror) -> Run | None:
        """The mirror's newest run that the cluster still shows."""
        jobs = [job for job in self._jobs_of.get(mirror.metadata.uid, {}).values() if not _deleted(job)]
        if not jobs:
            return None
        return self._run(max(jobs, key=_age), mirror.metadata.uid)

    def _run(self, job: Body, mirror_uid: str = "") -> Run:
        """With the newest pod of the Job, for one on a drained node is replaced."""
        pods = self._pods.get(job["metadata"]["uid"], {})
        return read_run(job, max(pods.values(), key=_age, default=None), mirror_uid)

    def live_runs(self) -> list[Seat]:
        """What every Job holds that is not at its end."""
        if self._seats is None:
            self._seats = list(self._live_runs())
        return self._seats

    def _live_runs(self) -> Iterator[Seat]:
        for job in self._jobs.values():
            if not _deleted(job) and not (run := self._run(job)).ended:
                keys = frozenset(f"{run.namespace}/{member.name}" for member in run.mirrors)
                uids = frozenset(member.uid for member in run.mirrors)
                yield Seat(_label(job, names.SERVER_UID), _label(job, names.CREDENTIAL), uids, keys)


def _put(known: dict[str, R], key: str, told: R) -> bool:
    """Whether it was taken: what is known may be newer."""
    kept = known.get(key)
    if kept is not None and _newer(kept.metadata, told.metadata):
        return False
    known[key] = told
    return True


def _drop(known: dict[str, R], key: str, gone: R) -> bool:
    kept = known.get(key)
    if kept is None or kept.metadata.uid != gone.metadata.uid:
        return False
    del known[key]
    return True


def server_of(mirror: RepositoryMirror) -> str:
    """The key of the OneDevServer that a mirror writes to."""
    return f"{mirror.metadata.namespace}/{mirror.spec.target.server_ref.name}"


def _newer(known: Metadata, told: Metadata) -> bool:
    """Kubernetes 1.35 made the order of resource versions of one resource official (KEP-5504)."""
    ours, theirs = known.resource_version, told.resource_version
    return known.uid == told.uid and ours.isdecimal() and theirs.isdecimal() and int(ours) > int(theirs)


def _key_of(job: Body) -> str:
    return f"{job['metadata']['namespace']}/{job['metadata']['name']}"


def _age(body: Body) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def _remove(found: dict[str, dict[str, Body]], group: str, name: str) -> None:
    members = found.get(group, {})
    members.pop(name, None)
    if not members:
        found.pop(group, None)


def _label(body: Body, label: str) -> str:
    return str((body["metadata"].get("labels") or {}).get(label, ""))


def _deleted(body: Body) -> bool:
    return bool(body["metadata"].get("deletionTimestamp"))


def _job_of(pod: Body) -> str:
    """The uid of the Job that owns a pod."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("kind") == "Job"), "")
