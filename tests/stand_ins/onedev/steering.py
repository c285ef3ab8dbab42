"""What a test or a person can make happen on the OneDev stand-in: each method is an action of the admin API."""

from typing import Any

from ..processes import GitFailed
from ..serving import Action, ActionError, StandIn
from .accounts import Accounts
from .git import GitEndpoint
from .hooks import Hooks, seed_pull_request
from .model import Project
from .projects import Projects
from .store import ADMINISTRATOR, Store

MODES = ("ready", "starting", "not-ready")


class Steering(StandIn):
    """The actions. Projects are named by their path."""

    store: Store
    git: GitEndpoint
    hooks: Hooks
    projects: Projects
    accounts: Accounts
    mode: str = "ready"

    def actions(self) -> dict[str, Action]:
        return {
            "add_token": self.grant_token,
            "revoke_token": self.revoke_token,
            "set_mode": self.set_mode,
            "configure": self.configure,
            "list_projects": self.list_projects,
            "refs": self.refs,
            "fsck": self.fsck,
            "seed_pull_request": self.seed_pull_request,
            "set_slots": self.set_slots,
        }

    def add_token(self, value: str, owner: int = ADMINISTRATOR) -> None:
        """A token with its owner's permissions; one that is there stays as it is."""
        known = [token for token in self.store.tokens.values() if token.value == value]
        if not known:
            self.store.add_token(f"given-{len(self.store.tokens) + 1}", owner, value)

    async def grant_token(self, token: str, owner: int = ADMINISTRATOR) -> None:
        self.add_token(token, owner)

    async def revoke_token(self, token: str) -> bool:
        found = [one.id for one in self.store.tokens.values() if one.value == token]
        for number in found:
            del self.store.tokens[number]
        self.store.save()
        return bool(found)

    async def set_mode(self, mode: str) -> None:
        """starting: HTML 404 but for the probes. not-ready: 503 for REST and git. ready: as usual."""
        if mode not in MODES:
            raise ActionError(f"no mode {mode!r}; there are {', '.join(MODES)}")
        self.mode = mode

    async def set_slots(self, slots: int | None = None) -> None:
        """Pack requests that run at once from now on; None: all."""
        self.git.set_slots(slots)

    async def configure(
        self,
        version: str | None = None,
        strict_names: bool | None = None,
        validation_status: int | None = None,
        idle_seconds: float | None = None,
        seed_pull_requests: bool | None = None,
        creation_gap: float | None = None,
    ) -> None:
        """Changes how the server behaves: another release's version and checks, a shorter idle time.

        seed_pull_requests: each project gets a pull request of its own with its first push. creation_gap: seconds in
        which two creations of the same name both find it free.
        """
        self.accounts.version = version or self.accounts.version
        self.projects.validation_status = validation_status or self.projects.validation_status
        self.git.idle_seconds = idle_seconds or self.git.idle_seconds
        if strict_names is not None:
            self.projects.strict_names = strict_names
        if creation_gap is not None:
            self.projects.creation_gap = creation_gap
        if seed_pull_requests is not None:
            self.hooks.seed_pull_requests = seed_pull_requests

    def project(self, path: str) -> Project:
        found = self.store.find(path)
        if found is None:
            raise ActionError(f"no project {path}")
        return found

    async def list_projects(self) -> list[dict[str, Any]]:
        return [one.as_json() for one in sorted(self.store.projects.values(), key=lambda one: one.path)]

    async def refs(self, project: str) -> dict[str, str]:
        """Every ref and the object it points to, OneDev's own ones included, and what HEAD names."""
        repository = self.store.repository(self.project(project))
        lines = await self.processes.git(repository, "for-each-ref", "--format=%(objectname) %(refname)")
        found = {ref: oid for oid, _, ref in (line.partition(" ") for line in lines.splitlines())}
        return {**found, "HEAD": await self.processes.git(repository, "symbolic-ref", "HEAD")}

    async def fsck(self, project: str) -> dict[str, Any]:
        """Whether every object of the repository is there and whole; and what git says of it."""
        repository = self.store.repository(self.project(project))
        try:
            said = await self.processes.git(repository, "fsck", "--full", "--no-dangling")
        except GitFailed as failed:
            return {"whole": False, "said": str(failed)}
        return {"whole": True, "said": said}

    async def seed_pull_request(self, project: str) -> None:
        """Gives the project `refs/pulls/1/*` and `refs/updates/1`, which a mirror must leave alone."""
        await seed_pull_request(self.processes, self.store.repository(self.project(project)))
