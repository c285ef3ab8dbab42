"""What GitHub writes into its webhooks, each as its documentation has it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import documents
from .accounts import Installation
from .people import Account, People
from .repository import Repository

ZEROS = "0" * 40
ZEN = "Keep it logically awesome."


@dataclass(frozen=True)
class Commit:
    id: str
    tree: str
    message: str
    timestamp: str


@dataclass
class Payloads:
    """where: the base URL of pages, and here of the API as well; it is known once the server listens."""

    people: People
    where: Callable[[], str]

    @property
    def site(self) -> str:
        return self.where()

    def user(self, login: str) -> dict[str, Any]:
        return documents.user(self.people.of(login), self.site, self.site)

    def sender(self, found: Repository) -> dict[str, Any]:
        """Who did it: the owner, of an organisation's repository one of its members."""
        owner = self.people.of(found.owner)
        return self.user(next(iter(sorted(owner.members)), "octocat") if owner.organization else owner.login)

    def organization(self, who: Account) -> dict[str, Any]:
        shown = documents.organization(who, self.site, self.site)
        short = ("login", "id", "node_id", "url", "repos_url", "events_url", "hooks_url", "issues_url", "members_url")
        return {name: shown[name] for name in (*short, "public_members_url", "avatar_url", "description")}

    def repository(self, found: Repository) -> dict[str, Any]:
        owner = self.people.of(found.owner)
        return documents.repository(found, owner, self.site, self.site, full=False)

    def short(self, found: Repository) -> dict[str, Any]:
        """As installations list what they were given."""
        shown = {"id": found.id, "node_id": documents.node_id("R", found.id), "name": found.name}
        return {**shown, "full_name": found.full_name, "private": found.metadata.private}

    def common(self, found: Repository, sender: str | None = None) -> dict[str, Any]:
        who = self.sender(found) if sender is None else self.user(sender)
        return {"repository": self.repository(found), "sender": who}

    def push(self, found: Repository, ref: str, before: str, after: str, forced: bool, commits: list[Commit]) -> Any:
        """The full name of the ref; times of the repository as numbers, its owner with a name and an e-mail address."""
        repository, sender = self.repository(found), self.sender(found)
        for name in ("created_at", "pushed_at"):
            repository[name] = int(datetime.fromisoformat(repository[name]).timestamp())
        repository["owner"] = {"name": found.owner, "email": None, **repository["owner"]}
        repository |= {"stargazers": found.metadata.stars, "master_branch": found.default_branch}
        shown = [self._commit(found, one) for one in commits]
        fresh = before == ZEROS
        page = f"{self.site}/{found.full_name}/compare/{before[:12]}...{after[:12]}"
        return {
            "ref": ref,
            "before": before,
            "after": after,
            "repository": repository,
            "pusher": {"name": sender["login"], "email": f"{sender['login']}@example.com"},
            "sender": sender,
            "created": fresh,
            "deleted": after == ZEROS,
            "forced": forced,
            "base_ref": None,
            "compare": page,
            "commits": [] if fresh and ref != f"refs/heads/{found.default_branch}" else shown,
            "head_commit": shown[-1] if shown else None,
        }

    def _commit(self, found: Repository, one: Commit) -> dict[str, Any]:
        person = {"name": "Stand-in", "email": "stand-in@example.com"}
        return {
            "id": one.id,
            "tree_id": one.tree,
            "distinct": True,
            "message": one.message,
            "timestamp": one.timestamp,
            "url": f"{self.site}/{found.full_name}/commit/{one.id}",
            "author": person,
            "committer": person,
            "added": [],
            "removed": [],
            "modified": ["changes.txt"],
        }

    def ref_made(self, found: Repository, kind: str, name: str) -> dict[str, Any]:
        """`create`: the short name of the ref."""
        described = {"master_branch": found.default_branch, "description": found.metadata.description}
        return {"ref": name, "ref_type": kind, **described, "pusher_type": "user", **self.common(found)}

    def ref_gone(self, found: Repository, kind: str, name: str) -> dict[str, Any]:
        """`delete`, as `create`."""
        return {"ref": name, "ref_type": kind, "pusher_type": "user", **self.common(found)}

    def repository_event(self, found: Repository, action: str, changes: Any = None) -> dict[str, Any]:
        return {"action": action, **({} if changes is None else {"changes": changes}), **self.common(found)}

    def renamed(self, found: Repository, before: str) -> dict[str, Any]:
        return self.repository_event(found, "renamed", {"repository": {"name": {"from": before.partition("/")[2]}}})

    def transferred(self, found: Repository, before: str) -> dict[str, Any]:
        old = self.people.of(before.partition("/")[0])
        kind = "organization" if old.organization else "user"
        shown = self.organization(old) if old.organization else self.user(old.login)
        return self.repository_event(found, "transferred", {"owner": {"from": {kind: shown}}})

    def star(self, found: Repository, login: str, at: str | None) -> dict[str, Any]:
        """at: None where it is taken back."""
        return {"action": "deleted" if at is None else "created", "starred_at": at, **self.common(found, login)}

    def installation(self, one: Installation) -> dict[str, Any]:
        account = self.user(one.account or "octocat")
        return {**documents.installation(one, account, self.site)}

    def installed(self, one: Installation, action: str, repositories: list[Repository]) -> dict[str, Any]:
        return {
            "action": action,
            "installation": self.installation(one),
            "repositories": [self.short(found) for found in repositories],
            "requester": None,
            "sender": self.user(one.account or "octocat"),
        }

    def installation_repositories(
        self, one: Installation, added: list[Repository], removed: list[Repository]
    ) -> dict[str, Any]:
        return {
            "action": "added" if added else "removed",
            "installation": self.installation(one),
            "repository_selection": one.selection,
            "repositories_added": [self.short(found) for found in added],
            "repositories_removed": [self.short(found) for found in removed],
            "requester": None,
            "sender": self.user(one.account or "octocat"),
        }
