"""The ports in memory: a cluster, a GitHub, a OneDev, a clock, and a loop on which no test ever sleeps.

They keep what they are given and count what they are asked; a test sets `trouble` where a call shall fail.
"""

import asyncio
import itertools
import selectors
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from github_onedev_sync.api import mirror, names, owned, server, starred
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import ClusterRefused, ClusterUnavailable, Retry, Stalled
from github_onedev_sync.api.hooks import Attempt, AttemptPage, Hook, HookList, HookPlace
from github_onedev_sync.api.identity import describe
from github_onedev_sync.api.mirror import Access, RepositoryMirror
from github_onedev_sync.api.model import show_time
from github_onedev_sync.api.observed import (
    Account,
    Change,
    ListedRepository,
    Page,
    RateLimit,
    Scope,
    SourceRepository,
    TargetProject,
)
from github_onedev_sync.api.refs import BRANCHES, Listing
from github_onedev_sync.api.server import OneDevServer
from github_onedev_sync.api.urgency import Urgency
from github_onedev_sync.decide.job import WorkerSettings
from github_onedev_sync.engine.children import Children
from github_onedev_sync.engine.engine import Engine
from github_onedev_sync.engine.launch import Launcher
from github_onedev_sync.engine.look import Looker
from github_onedev_sync.engine.mirrors import MirrorReconciler
from github_onedev_sync.engine.ports import Body, SourceConnection, TargetConnection
from github_onedev_sync.engine.queue import DelayQueue
from github_onedev_sync.engine.recorder import Recorder
from github_onedev_sync.engine.removal import Remover
from github_onedev_sync.engine.repair import Repairer
from github_onedev_sync.engine.servers import ServerReconciler
from github_onedev_sync.engine.slots import Slots
from github_onedev_sync.engine.store import Store
from github_onedev_sync.engine.syncs import SyncReconciler
from github_onedev_sync.observability.metrics import Metrics

from . import builders as build

T = TypeVar("T")


class FakeClock:
    """`ports.Clock`, moved by hand, or by a loop with virtual time. `jump` is how wrong the clock on the wall is."""

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self.seconds = 0.0
        self._read = read or (lambda: self.seconds)
        self.jump = timedelta(0)

    def now(self) -> datetime:
        return build.NOW + timedelta(seconds=self._read()) + self.jump

    def monotonic(self) -> float:
        return self._read()

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class _VirtualSelector(selectors.DefaultSelector):
    """Instead of waiting it moves the time on."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            assert timeout is not None, "everything waits, and nothing is due: nothing would ever happen again"
            self.now += max(timeout, 0)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time moves on by itself whenever all tasks wait."""

    def __init__(self) -> None:
        self.virtual = _VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now


def in_virtual_time(scenario: Callable[[FakeClock], Awaitable[T]]) -> T:
    """Runs `scenario` with a clock that shows the loop's own, virtual time."""

    async def run() -> T:
        return await scenario(FakeClock(asyncio.get_running_loop().time))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


@dataclass
class Troubled:
    """Counts calls by name, and raises what `trouble` holds for a name."""

    calls: Counter[str] = field(default_factory=Counter)
    trouble: dict[str, Exception] = field(default_factory=dict)

    def called(self, name: str) -> None:
        self.calls[name] += 1
        if name in self.trouble:
            raise self.trouble[name]


@dataclass
class FakeCluster(Troubled):
    """Resources with optimistic locking, merge-patches and server-side apply as the API server does them.

    `watch` hears of each change, `gone` of each deletion, and `watch_job` of each Job that is made or gone. `words` are
    what each manager has applied; what it says no more goes. `refuse` are names of mirrors that are not legal.
    """

    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Body] = field(default_factory=list)
    writes: list[Body] = field(default_factory=list)
    versions: Iterator[int] = field(default_factory=lambda: itertools.count(100))
    watch: Callable[[str, str], object] = lambda plural, name: None
    watch_job: Callable[[Body, bool], object] = lambda job, gone: None
    now: Callable[[], datetime] = lambda: build.NOW
    words: dict[str, dict[str, Body]] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    gone: Callable[[dict[str, Any]], object] = lambda body: None
    uids: "itertools.count[int]" = field(default_factory=itertools.count)

    def put(self, plural: str, body: Mapping[str, Any]) -> dict[str, Any]:
        kept = build.plain(body)
        kept["metadata"]["resourceVersion"] = str(next(self.versions))
        self.resources[plural, f"{kept['metadata']['namespace']}/{kept['metadata']['name']}"] = kept
        self.watch(plural, kept["metadata"]["name"])
        return kept

    async def patch_status(self, plural: str, key: str, resource_version: str, status: Body) -> Body | None:
        self.called("patch_status")
        body = self.resources.get((plural, key))
        if body is None or body["metadata"]["resourceVersion"] != resource_version:
            return None
        self.writes.append(status)
        return build.plain(self.put(plural, {**body, "status": apply_merge_patch(body.get("status") or {}, status)}))

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        raise NotImplementedError("connections are faked as a whole")

    async def create_job(self, manifest: Body) -> Body:
        self.called("create_job")
        made = build.plain(manifest)
        name = made["metadata"]["name"]
        if name not in self.jobs:
            made["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": show_time(self.now())}
            self.jobs[name] = made
            self.watch_job(build.plain(made), False)
        return build.plain(self.jobs[name])

    async def read_job(self, namespace: str, name: str) -> Body | None:
        self.called("read_job")
        return self.jobs.get(name)

    async def read_resource(self, plural: str, key: str) -> Body | None:
        self.called("read_resource")
        body = self.resources.get((plural, key))
        return build.plain(body) if body is not None else None

    async def list_resources(self, plural: str, namespace: str) -> AsyncIterator[Body]:
        for (kind, _), body in list(self.resources.items()):
            if kind == plural:
                yield build.plain(body)

    async def apply(self, plural: str, manifest: Body, manager: str, *, take_over: bool = False) -> Body | None:
        self.called("apply")
        meta = manifest["metadata"]
        name, key = meta["name"], f"{meta['namespace']}/{meta['name']}"
        if name in self.refuse:
            raise ClusterRefused(f"{name} is not legal")
        words, body = self.words.setdefault(key, {}), self.resources.get((plural, key))
        for other, word in words.items():
            theirs, ours = _holder(word), _holder(manifest)
            if other != manager and theirs and ours and theirs != ours and not take_over:
                return None
        if body is None:
            if "spec" not in manifest:
                raise ClusterRefused("spec: Required value")
            fresh = {"uid": f"uid-{next(self.uids)}", "generation": 1, "namespace": meta["namespace"], "name": name}
            body = {"metadata": fresh, "spec": {}, "status": {}}
        before, changed = words.get(manager, {"metadata": {}}), dict(body["metadata"])
        for part in ("labels", "annotations"):
            kept = {
                label: value
                for label, value in changed.get(part, {}).items()
                if label not in before["metadata"].get(part, {})
            }
            changed[part] = {**kept, **meta.get(part, {})}
        mine = [one["uid"] for one in before["metadata"].get("ownerReferences", ())]
        owners = [one for one in changed.get("ownerReferences", ()) if one["uid"] not in mine]
        changed["ownerReferences"] = owners + list(meta.get("ownerReferences", ()))
        changed["finalizers"] = list(meta.get("finalizers", changed.get("finalizers", ())))
        spec = manifest.get("spec", body["spec"])
        changed["generation"] += spec != body["spec"]
        words[manager] = manifest
        return build.plain(self.put(plural, {**body, "metadata": changed, "spec": spec}))

    async def delete_resource(self, plural: str, key: str, uid: str) -> None:
        self.called("delete_resource")
        body = self.resources.pop((plural, key))
        assert body["metadata"]["uid"] == uid
        self.words.pop(key, None)
        self.gone(build.plain(body))

    async def list_jobs(self, namespace: str) -> list[Body]:
        self.called("list_jobs")
        return [build.plain(job) for job in self.jobs.values()]

    async def list_pods(self, namespace: str, job_uid: str = "") -> list[Body]:
        self.called("list_pods")
        return [build.plain(pod) for pod in self.pods.values() if job_uid in ("", _owner(pod)["uid"])]

    async def create_secret(self, manifest: Body) -> None:
        self.called("create_secret")
        self.secrets[manifest["metadata"]["name"]] = build.plain(manifest)

    async def delete_job(self, namespace: str, name: str) -> None:
        self.called("delete_job")
        gone = self.jobs.pop(name, None)
        if gone is not None:
            self.watch_job(gone, True)
        self.pods = {key: pod for key, pod in self.pods.items() if _owner(pod)["name"] != name}

    async def record_event(self, manifest: Body) -> None:
        self.called("record_event")
        self.events.append(manifest)


def _holder(manifest: Body) -> str:
    return str(manifest["metadata"].get("labels", {}).get(names.SYNC, ""))


def _owner(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = body["metadata"]["ownerReferences"][0]
    return found


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386, written down as the RFC does."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


@dataclass
class FakeWebhooks(Troubled):
    """Webhooks at GitHub by place, and its log of each, the newest first. `shown` is what is told of a place instead.

    What is sent again is answered `answers`, and not sent at all where that is 0.
    """

    webhooks: dict[HookPlace, list[Hook]] = field(default_factory=dict)
    shown: dict[HookPlace, HookList] = field(default_factory=dict)
    attempts_of: dict[int, list[Attempt]] = field(default_factory=dict)
    answers: int = 202
    again: list[tuple[datetime, int]] = field(default_factory=list)
    pages: int = 100
    now: Callable[[], datetime] = lambda: build.NOW

    async def hooks(self, place: HookPlace, etag: str = "") -> HookList:
        self.called("hooks")
        if place in self.shown:
            return self.shown[place]
        found = tuple(self.webhooks.get(place, ()))
        if etag == str(hash(found)):
            self.called("unchanged")
            return HookList(etag=etag, unchanged=True)
        return HookList(found, str(hash(found)))

    async def attempts(self, hook: Hook, cursor: str = "", etag: str = "") -> AttemptPage:
        self.called("attempts")
        rows = self.attempts_of.get(hook.id, [])
        start, now = int(cursor or 0), str(hash(tuple(rows)))
        if etag == now:
            self.called("unchanged")
            return AttemptPage(etag=etag, unchanged=True)
        found = tuple(rows[start : start + self.pages])
        after = str(start + self.pages) if start + self.pages < len(rows) else ""
        times = [row.at for row in found]
        return AttemptPage(found, after, now, newest=max(times, default=None), oldest=min(times, default=None))

    async def redeliver(self, hook: Hook, attempt: int) -> bool:
        self.called("redeliver")
        self.again.append((self.now(), attempt))
        found = next((row for row in self.attempts_of[hook.id] if row.id == attempt), None)
        if found is None or not self.answers:
            return False
        self.delivered(hook.id, found.guid, self.answers, redelivery=True)
        return True

    def delivered(self, hook: int, guid: str, status: int = 202, *, redelivery: bool = False) -> None:
        rows = self.attempts_of.setdefault(hook, [])
        number = max((row.id for log in self.attempts_of.values() for row in log), default=0) + 1
        rows.insert(0, Attempt(number, guid, self.now(), status, redelivery))


@dataclass
class FakeGitHub(FakeWebhooks):
    """`ports.Source`, with one repository under every name but those of `others`; `sizes` in KB for those that differ
    in it. `batches` are the ids that were asked for together.

    `rows` are what is listed, the newest first, `there` the repositories that it knows besides, by id; `between` runs
    before each page but the first.
    """

    found: SourceRepository = build.REPOSITORY
    others: dict[str, SourceRepository] = field(default_factory=dict)
    batches: list[tuple[str, ...]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    token: str | None = None
    anonymous: bool = True
    mints_tokens: bool = False
    rows: list[ListedRepository] = field(default_factory=list)
    there: dict[int, str] = field(default_factory=dict)
    size: int = 100
    me: Account | None = build.ME
    limit: RateLimit | None = None
    between: Callable[[], None] = lambda: None
    lists: dict[str, frozenset[int]] = field(default_factory=dict)

    async def repository(self, full_name: str) -> SourceRepository:
        self.called("repository")
        found = self.others.get(full_name, self.found)
        return replace(found, size_kb=self.sizes.get(full_name, found.size_kb))

    async def repository_by_id(self, repository_id: int) -> SourceRepository:
        self.called("repository_by_id")
        if not self.rows and not self.there:
            return self.found
        if repository_id not in self.there:
            raise Retry(Reason.PRIVATE_OR_GONE, "it is gone, or private")
        return replace(self.found, id=repository_id, full_name=self.there[repository_id])

    @property
    def rate_limit(self) -> RateLimit | None:
        return self.limit

    def star(self, *numbers: int) -> None:
        for number in numbers:
            self.rows.insert(0, build.row(number))
            self.there[number] = f"o/r{number}"

    def unstar(self, *numbers: int) -> None:
        self.rows = [one for one in self.rows if one.id not in numbers]

    async def account(self, login: str | None) -> Account:
        self.called("account")
        if self.me is None:
            raise Stalled(Reason.USER_NOT_FOUND, "nobody")
        return self.me

    async def page(self, scope: Scope, cursor: str = "", etag: str = "") -> Page:
        self.called("page")
        if cursor:
            self.between()
        start = int(cursor or 0)
        now = str(hash(tuple(self.rows[: self.size])))
        if not cursor and etag == now:
            self.called("unchanged")
            return Page(etag=etag, unchanged=True)
        after = start + self.size
        return Page(tuple(self.rows[start:after]), str(after) if after < len(self.rows) else "", now)

    async def is_starred(self, full_name: str) -> bool:
        self.called("is_starred")
        return any(one.full_name == full_name for one in self.rows)

    async def star_lists(self, user: str | None) -> Mapping[str, frozenset[int]]:
        self.called("star_lists")
        return self.lists

    async def changes(self, node_ids: Sequence[str]) -> dict[str, Change]:
        self.batches.append(tuple(node_ids))
        self.called("changes")
        known = {one.node_id: one for one in (self.found, *self.others.values())}
        return {node_id: build.change(known[node_id]) for node_id in node_ids if node_id in known}

    async def git_token(self) -> str | None:
        self.called("git_token")
        return self.token


@dataclass
class FakeOneDev(Troubled):
    """`ports.Target`, and what `info/refs` says of its projects. Ids are used once."""

    projects: dict[str, TargetProject] = field(default_factory=dict)
    refs: dict[str, dict[str, str]] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    manageable: bool | None = True
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(7))

    def make(self, path: str, description: str | None = None, refs: Mapping[str, str] | None = None) -> TargetProject:
        project = TargetProject(next(self.ids), path, description)
        self.projects[path], self.refs[path] = project, dict(refs or {})
        return project

    async def version(self) -> str:
        self.called("version")
        return "16.5.6"

    async def check_account(self) -> None:
        self.called("check_account")

    async def may_manage(self, project: TargetProject) -> bool | None:
        self.called("may_manage")
        return self.manageable

    async def find_project(self, path: str) -> TargetProject | None:
        self.called("find_project")
        return self.projects.get(path)

    async def ensure_project(self, path: str, description: str | None) -> TargetProject:
        self.called("ensure_project")
        return self.projects.get(path) or self.make(path, description)

    async def describe_project(self, project: TargetProject, description: str) -> None:
        self.called("describe_project")
        self.projects[project.path] = replace(project, description=description)

    async def move_project(self, project: TargetProject, parent: TargetProject, name: str) -> None:
        self.called("move_project")
        path = f"{parent.path}/{name}"
        self.projects[path] = replace(self.projects.pop(project.path), path=path)
        self.refs[path] = self.refs.pop(project.path)

    async def has_children(self, project: TargetProject) -> bool:
        self.called("has_children")
        return any(path.startswith(project.path + "/") for path in self.projects)

    async def delete_project(self, project: TargetProject) -> None:
        self.called("delete_project")
        del self.projects[project.path], self.refs[project.path]

    async def default_branch(self, project: TargetProject) -> str | None:
        return self.heads.get(project.path)

    async def set_default_branch(self, project: TargetProject, branch: str) -> None:
        self.called("set_default_branch")
        self.heads[project.path] = BRANCHES + branch


@dataclass
class FakeRefs(Troubled):
    """`ports.RefReader`: the source's refs are set by the test, for all but the addresses in `others`; the target's are
    OneDev's."""

    onedev: FakeOneDev = field(default_factory=FakeOneDev)
    others: dict[str, Listing] = field(default_factory=dict)
    source: Listing = field(default_factory=lambda: Listing({"refs/heads/main": build.OID}, "refs/heads/main"))

    async def source_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        self.called("source_refs")
        return self.others.get(url, self.source)

    async def target_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        self.called("target_refs")
        path = url.removeprefix("https://onedev/")
        if path not in self.onedev.refs:
            raise Retry(Reason.TARGET_CHANGED, f"OneDev has no project {path}")
        refs = self.onedev.refs[path]
        head = self.onedev.heads.get(path, "refs/heads/main")
        return Listing(dict(refs), head if head in refs else None)


@dataclass
class FakeConnections(Troubled):
    """One GitHub for all Secrets but those in `others`."""

    github: FakeGitHub = field(default_factory=FakeGitHub)
    onedev: FakeOneDev = field(default_factory=FakeOneDev)
    others: dict[str, FakeGitHub] = field(default_factory=dict)
    urgencies: Counter[Urgency] = field(default_factory=Counter)

    async def source(self, access: Access, namespace: str, urgency: Urgency = Urgency.ROUTINE) -> SourceConnection:
        self.called("source")
        self.urgencies[urgency] += 1
        secret = access.secret_ref.name if access.secret_ref is not None else ""
        return SourceConnection(self.others.get(secret, self.github), None)

    async def target(self, server: OneDevServer) -> TargetConnection:
        self.called("target")
        return TargetConnection(self.onedev, "secret-token", None)


UNAVAILABLE = ClusterUnavailable("PATCH was answered 500")


class World:
    """An engine on fakes. What the cluster holds reaches the engine only through `watch`, as in life."""

    def __init__(
        self, clock: FakeClock | None = None, limit: int = 4, per_credential: int = 100, webhook: str = ""
    ) -> None:
        self.clock = clock or FakeClock()
        self.cluster, self.onedev = FakeCluster(now=self.clock.now), FakeOneDev()
        self.github = FakeGitHub(now=self.clock.now)
        self.refs = FakeRefs(onedev=self.onedev)
        self.connections = FakeConnections(github=self.github, onedev=self.onedev)
        self.store, self.metrics = Store(), Metrics()
        self.slots = Slots(self.store, limit, self.clock.now, per_credential)
        kinds = {kind.PLURAL: kind.KIND for kind in (mirror, server, starred, owned)}
        self.recorder = Recorder(self.clock, self.cluster, kinds)
        self.remover = Remover(self.clock, self.store, self.cluster, self.connections, self.refs, self.recorder)
        self.launcher = Launcher(self.clock, self.store, self.cluster, self.slots, WorkerSettings(image="image:1"))
        self.looker = Looker(self.connections, self.refs)
        self.mirrors = MirrorReconciler(
            self.clock,
            self.store,
            self.cluster,
            self.looker,
            self.launcher,
            self.remover,
            self.recorder,
            self.metrics,
        )
        self.servers = ServerReconciler(self.clock, self.store, self.connections, self.recorder)
        self.syncs = SyncReconciler(self.clock, self.store, self.connections, Children(self.cluster), self.recorder)
        self.repairer = Repairer(self.clock, self.store, self.connections, self.recorder, self.metrics, webhook)
        self.engine = Engine(
            clock=self.clock,
            store=self.store,
            queue=DelayQueue(self.clock),
            slots=self.slots,
            remover=self.remover,
            mirrors=self.mirrors,
            servers=self.servers,
            syncs=self.syncs,
            repairer=self.repairer,
            metrics=self.metrics,
            workers=2,
        )

    # What people do with kubectl, seen by the engine at once.

    def apply_mirror(self, body: Mapping[str, Any] | None = None) -> RepositoryMirror:
        self.cluster.put(mirror.PLURAL, body or build.mirror_body())
        return self.watch_mirror((body or build.mirror_body())["metadata"]["name"])

    def watch_mirror(self, name: str = "click") -> RepositoryMirror:
        found = RepositoryMirror.read(self.cluster.resources[mirror.PLURAL, f"team/{name}"])
        self.engine.mirror_seen(found)
        return found

    def apply_server(self, body: Mapping[str, Any] | None = None) -> OneDevServer:
        self.cluster.put(server.PLURAL, body or build.server_body())
        return self.watch_server()

    def watch_server(self, name: str = "default") -> OneDevServer:
        found = OneDevServer.read(self.cluster.resources[server.PLURAL, f"team/{name}"])
        self.engine.server_seen(found)
        return found

    def delete_server(self) -> None:
        body = self.cluster.resources.pop((server.PLURAL, "team/default"))
        self.engine.server_gone(OneDevServer.read(body))

    def edit(self, name: str = "click", **meta: Any) -> RepositoryMirror:
        """Changes metadata of a mirror, such as its generation or annotations, behind the engine's back."""
        body = self.cluster.resources[mirror.PLURAL, f"team/{name}"]
        self.cluster.put(mirror.PLURAL, {**body, "metadata": {**body["metadata"], **meta}})
        return RepositoryMirror.read(self.cluster.resources[mirror.PLURAL, f"team/{name}"])

    # What the rest of the cluster does.

    def pod(self, job: str, **pod: Any) -> None:
        self.engine.pod_seen(self.untold_pod(job, **pod), gone=False)

    def untold_pod(self, job: str, **pod: Any) -> dict[str, Any]:
        """A pod that no watch tells of."""
        made = build.pod_body(job, **pod)
        self.cluster.pods[made["metadata"]["name"]] = made
        return made

    def verdict(self, job: str, verdict: str, reason: str = "") -> None:
        """The Job controller's word on `job`."""
        self.cluster.jobs[job]["status"] = {"conditions": [{"type": verdict, "status": "True", "reason": reason}]}
        self.engine.job_seen(build.plain(self.cluster.jobs[job]), gone=False)

    def end(self, job: str, text: str | None = None, exit_code: int = 0) -> None:
        """The pod of `job` ends with this report."""
        self.pod(job, state=build.terminated(exit_code, text))

    def synced(self, path: str = "github/pallets/click", name: str = "team/click") -> None:
        """OneDev as it is after a good run."""
        mark = build.mark(name)
        if path not in self.onedev.projects:
            self.onedev.make(path, describe(mark, "pallets/click", None))
        self.onedev.refs[path] = {**self.refs.source.refs, mark.ref: build.OTHER}

    # What came of it.

    def body(self, name: str = "click") -> RepositoryMirror:
        return RepositoryMirror.read(self.cluster.resources[mirror.PLURAL, f"team/{name}"])

    def job(self) -> str:
        (name,) = self.cluster.jobs
        return name

    async def reconcile(self, name: str = "click") -> datetime | None:
        return await self.mirrors.reconcile(f"team/{name}")
