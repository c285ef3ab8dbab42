"""Branch and tag protection, as the pre-receive callback applies it: own rules first, then the parents'."""

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..processes import GitFailed, Processes
from .model import Privilege, Project
from .store import Store

NOTHING = "0" * 40
STARS = "*" * 55


@dataclass(frozen=True)
class Update:
    old: str
    new: str
    ref: str


class Protections:
    def __init__(self, store: Store, processes: Processes) -> None:
        self._store = store
        self._processes = processes

    async def check(
        self, project: Project, repository: Path, privilege: Privilege, quarantine: str, updates: list[Update]
    ) -> list[str]:
        """The lines that refuse the push, empty where it may pass.

        Raises GitFailed where a branch moves from an object that the repository does not have.
        """
        objects = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(repository / "objects"), "GIT_OBJECT_DIRECTORY": quarantine}
        variables = objects if quarantine else {}
        await self._demand_old_objects(repository, updates)
        for update in updates:
            reason = await self._reason(project, repository, privilege, variables, update)
            if reason is not None:
                return banner(update.ref, reason)
        return []

    async def _demand_old_objects(self, repository: Path, updates: Iterable[Update]) -> None:
        moves = [one for one in updates if one.ref.startswith("refs/heads/") and NOTHING not in (one.old, one.new)]
        if not moves:
            return
        lines = "".join(f"{one.old}\n" for one in moves).encode()
        answer = await self._processes.git(repository, "cat-file", "--batch-check=%(objecttype)", data=lines)
        if any(line.endswith(" missing") for line in answer.splitlines()):
            raise GitFailed("a branch moves from an unknown object")

    async def _reason(
        self, project: Project, repository: Path, privilege: Privilege, variables: dict[str, str], update: Update
    ) -> str | None:
        if update.ref.startswith(("refs/pulls/", "refs/updates/")) and privilege < Privilege.MANAGE:
            return "Only project managers can update onedev refs."
        if update.ref.startswith("refs/heads/"):
            rule = self._rule(project, "branch", update.ref.removeprefix("refs/heads/"))
            return await self._branch_reason(rule, repository, variables, update) if rule else None
        if update.ref.startswith("refs/tags/"):
            rule = self._rule(project, "tag", update.ref.removeprefix("refs/tags/"))
            return _tag_reason(rule, update) if rule else None
        return None

    def _rule(self, project: Project, kind: str, name: str) -> dict[str, Any] | None:
        patterns = {"branch": "branches", "tag": "tags"}[kind]
        for owner in self._store.ancestry(project):
            for rule in owner.setting.get(f"{kind}Protections") or []:
                if rule.get("enabled", True) and matches(rule.get(patterns) or "", name):
                    return dict(rule)
        return None

    async def _branch_reason(
        self, rule: dict[str, Any], repository: Path, variables: dict[str, str], update: Update
    ) -> str | None:
        if update.old == NOTHING:
            return _words("create", "branch") if rule.get("preventCreation", True) else None
        if update.new == NOTHING:
            return _words("delete", "branch") if rule.get("preventDeletion", True) else None
        if rule.get("preventForcedPush", True):
            ancestry = ("merge-base", "--is-ancestor", update.old, update.new)
            try:
                await self._processes.git(repository, *ancestry, extra=variables)
            except GitFailed:
                return "Cannot force-push to this branch according to branch protection setting"
        if rule.get("reviewRequirement"):
            return "Review required for your change. Please submit pull request instead"
        return None


def _tag_reason(rule: dict[str, Any], update: Update) -> str | None:
    if update.old == NOTHING:
        return _words("create", "tag") if rule.get("preventCreation", True) else None
    if update.new == NOTHING:
        return _words("delete", "tag") if rule.get("preventDeletion", True) else None
    return _words("update", "tag") if rule.get("preventUpdate", True) else None


def _words(verb: str, kind: str) -> str:
    return f"Cannot {verb} this {kind} according to {kind} protection setting"


def matches(patterns: str, name: str) -> bool:
    """Space-separated path patterns; one that begins with `-` excludes."""
    chosen = patterns.split()
    excluded = any(fnmatch.fnmatchcase(name, one[1:]) for one in chosen if one.startswith("-"))
    return not excluded and any(fnmatch.fnmatchcase(name, one) for one in chosen if not one.startswith("-"))


def banner(ref: str, reason: str) -> list[str]:
    return [
        "",
        STARS,
        "*",
        f"*  ERROR PUSHING REF: {ref}",
        "-" * 55,
        f"*  {reason}",
        "*",
        STARS,
        "",
    ]
