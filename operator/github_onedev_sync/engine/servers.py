"""Reconciling a OneDevServer: does it answer, is the token good, may the account create projects?"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api import names
from ..api.conditions import ConditionType, Reason
from ..api.errors import Stalled, SyncError
from ..api.server import PLURAL, OneDevServer, ServerStatus
from ..decide import server as say
from ..observability.logs import event
from .ports import Clock, Connections
from .recorder import Recorder
from .store import Store

log = logging.getLogger(__name__)


@dataclass
class ServerReconciler:
    clock: Clock
    store: Store
    connections: Connections
    recorder: Recorder
    _due: dict[str, datetime] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    async def reconcile(self, key: str) -> datetime | None:
        server = self.store.servers.get(key)
        if server is None or server.metadata.deletion_timestamp is not None:
            self._due.pop(key, None)
            self._failures.pop(key, None)
            return None
        now = self.clock.now()
        if self._is_due(server, now):
            after = await self._look(server, now)
        elif server.spec.suspend and not server.status.conditions:
            after = say.suspended_before_first(server, now)
        else:
            after = server.status
        after = after.changed(mirrors=say.counts(mirror.status for mirror in self.store.mirrors_on(key)))
        return await self._write(server, after)

    def _is_due(self, server: OneDevServer, now: datetime) -> bool:
        if server.spec.suspend:
            return False
        asked = names.request_token(server.metadata.annotations)
        ready = server.status.condition(ConditionType.READY)
        untried = ready is None or ready.observed_generation != server.metadata.generation
        requested = asked is not None and asked != server.status.last_handled_reconcile_at
        return untried or requested or now >= self._due.get(server.key, now)

    async def _look(self, server: OneDevServer, now: datetime) -> ServerStatus:
        key, error = server.key, None
        try:
            after = await self._check(server, now)
            self._failures.pop(key, None)
        except SyncError as caught:
            error = caught
            self._failures[key] = self._failures.get(key, 0) + 1
            after = say.unavailable(server, error, now)
            event(
                log,
                "reconcile",
                level=logging.WARNING,
                server=key,
                decision=type(error).__name__,
                reason=error.reason,
                message=error.message,
            )
        self._due[key] = say.next_look(server, error, self._failures.get(key, 0), now)
        return after

    async def _check(self, server: OneDevServer, now: datetime) -> ServerStatus:
        target = (await self.connections.target(server)).api
        version = await target.version()
        await target.check_account()
        root = await target.ensure_project(server.spec.root_project, None)
        may_manage = await target.may_manage(root)
        if may_manage is False:
            raise Stalled(
                Reason.TARGET_NOT_PERMITTED,
                f"The account may not create projects below {server.spec.root_project}. "
                "Give it the role Project Owner there, or a role with Create Child Projects",
            )
        return say.available(server, version, may_manage, now)

    async def _write(self, server: OneDevServer, after: ServerStatus) -> datetime | None:
        written = await self.recorder.write(PLURAL, server, after)
        if written is None:
            return await self._catch_up(server)
        if written:
            self.store.put_server(OneDevServer.read(written))
        return None if server.spec.suspend else self._due.get(server.key)

    async def _catch_up(self, server: OneDevServer) -> datetime | None:
        """A write came too late. What was seen is not written down: look again, unless the server is gone."""
        self._due.pop(server.key, None)
        body = await self.recorder.cluster.read_resource(PLURAL, server.key)
        if body is None or body["metadata"]["uid"] != server.metadata.uid:
            self.store.drop_server(server)
        if body is None:
            return None
        self.store.put_server(OneDevServer.read(body))
        return self.clock.now() + timedelta(seconds=1)
