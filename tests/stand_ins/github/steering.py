"""What a test or a person can make happen on the GitHub stand-in: each method is an action of the admin API."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..processes import GitFailed
from ..serving import Action, ActionError, StandIn
from .accounts import Accounts
from .catalogue import FULL_NAME, Catalogue, Metadata, Repository
from .rest import RestApi

NOTHING = "0" * 40


class Steering(StandIn):
    """The actions, over a catalogue on disk. Names are `owner/name`; branches and tags are short names."""

    catalogue: Catalogue
    accounts: Accounts
    rest: RestApi

    def actions(self) -> dict[str, Action]:
        names = [
            "create_repository",
            "rename_repository",
            "forget_former_names",
            "delete_repository",
            "recreate_repository",
            "set_metadata",
            "set_default_branch",
            "commit",
            "force_push",
            "create_branch",
            "delete_branch",
            "create_tag",
            "delete_tag",
            "refs",
            "add_token",
            "revoke_token",
            "add_app",
            "exhaust_limit",
            "secondary_limit",
            "star",
            "unstar",
        ]
        return {name: getattr(self, name) for name in names}

    def _repository(self, repository: str) -> Repository:
        found = self.catalogue.find(repository)
        if found is None:
            raise ActionError(f"no repository {repository}")
        return found

    async def _git(self, path: Path, *arguments: str, data: bytes = b"") -> str:
        try:
            return await self.processes.git(path, *arguments, data=data)
        except GitFailed as failed:
            raise ActionError(f"git {arguments[0]}: {failed}") from failed

    async def create_repository(self, repository: str, default_branch: str = "main", **metadata: Any) -> int:
        """An empty repository; returns its id. Further members are those of `Metadata`."""
        if not FULL_NAME.fullmatch(repository):
            raise ActionError(f"{repository!r} is not owner/name")
        if self.catalogue.find(repository) is not None:
            raise ActionError(f"{repository} exists")
        path = self.catalogue.root / f"{repository}.git"
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._git(path.parent, "init", "--quiet", "--bare", f"--initial-branch={default_branch}", path.name)
        described = Metadata(**{"id": self.catalogue.new_id(repository), **metadata})
        self.catalogue.save(Repository(repository, path, described))
        return described.id

    async def receive(self, path: str, body: bytes) -> str:
        """`PUT /_stand-in/bundles/{owner}/{name}`: a new repository out of a git bundle; HEAD names main."""
        kind, _, repository = path.partition("/")
        if kind != "bundles":
            return str(await super().receive(path, body))
        await self.create_repository(repository)
        found = self._repository(repository)
        bundle = found.path / "received.bundle"
        bundle.write_bytes(body)
        refspecs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        await self._git(found.path, "fetch", "--quiet", str(bundle.absolute()), *refspecs)
        bundle.unlink()
        return repository

    async def rename_repository(self, repository: str, to: str) -> None:
        """A rename or a transfer: the id stays, the old name redirects until somebody takes it."""
        if self.catalogue.find(to) is not None:
            raise ActionError(f"{to} exists")
        self.catalogue.move(self._repository(repository), to)

    async def forget_former_names(self, repository: str) -> None:
        """The old names redirect no more, as after somebody took one and let it go again."""
        found = self._repository(repository)
        found.metadata.former_names.clear()
        self.catalogue.save(found)

    async def delete_repository(self, repository: str) -> None:
        self.catalogue.delete(self._repository(repository))

    async def recreate_repository(self, repository: str) -> int:
        """Another repository takes the name: empty, with another id, which is returned."""
        await self.delete_repository(repository)
        return await self.create_repository(repository)

    async def set_metadata(self, repository: str, **members: Any) -> None:
        """Changes members of `Metadata`: archived, disabled, disabled_for_git, private, description, block_status …"""
        found = self._repository(repository)
        unknown = members.keys() - Metadata.__dataclass_fields__.keys()
        if unknown:
            raise ActionError(f"no member {', '.join(sorted(unknown))}")
        for name, value in members.items():
            setattr(found.metadata, name, value)
        self.catalogue.save(found)

    async def set_default_branch(self, repository: str, branch: str) -> None:
        await self._git(self._repository(repository).path, "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def commit(
        self, repository: str, branch: str | None = None, files: dict[str, str] | None = None, message: str = "Change"
    ) -> str:
        """Adds a commit on top of the branch (the default branch), which need not exist; returns the commit."""
        found = self._repository(repository)
        ref = f"refs/heads/{branch or found.default_branch}"
        parent = await self._resolve(found, ref)
        return await self._write_commit(found, ref, parent, files, message)

    async def force_push(
        self, repository: str, branch: str | None = None, files: dict[str, str] | None = None, message: str = "Rewrite"
    ) -> str:
        """Replaces the newest commit of the branch by another one with the same parent; returns the commit."""
        found = self._repository(repository)
        ref = f"refs/heads/{branch or found.default_branch}"
        if await self._resolve(found, ref) is None:
            raise ActionError(f"no branch {branch}")
        parent = await self._resolve(found, f"{ref}^")
        return await self._write_commit(found, ref, parent, files, message)

    async def _resolve(self, found: Repository, revision: str) -> str | None:
        try:
            return await self.processes.git(found.path, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
        except GitFailed:
            return None

    async def _write_commit(
        self, found: Repository, ref: str, parent: str | None, files: dict[str, str] | None, message: str
    ) -> str:
        # Two commits in the same second with the same words would be one and the same commit.
        chosen = files or {"changes.txt": f"{time.time_ns()} {os.urandom(4).hex()}\n"}
        words = message.encode()
        stream = [f"commit {ref}\ncommitter Stand-in <stand-in@example.com> {int(time.time())} +0000\n".encode()]
        stream.append(b"data %d\n%s\n" % (len(words), words))
        stream.append(f"from {parent}\n".encode() if parent else b"")
        for name, content in chosen.items():
            stream.append(
                b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(content.encode()), content.encode())
            )
        if parent is None:
            stream.insert(0, f"reset {ref}\n".encode())
        await self._git(found.path, "fast-import", "--quiet", "--force", data=b"".join(stream))
        return await self._git(found.path, "rev-parse", ref)

    async def create_branch(self, repository: str, branch: str, at: str = "HEAD") -> str:
        return await self._point(repository, f"refs/heads/{branch}", at)

    async def delete_branch(self, repository: str, branch: str) -> None:
        await self._git(self._repository(repository).path, "update-ref", "-d", f"refs/heads/{branch}")

    async def create_tag(self, repository: str, tag: str, at: str = "HEAD", annotated: bool = False) -> str:
        """Creates or moves a tag; returns what it points to."""
        if annotated:
            path = self._repository(repository).path
            await self._git(path, "tag", "--force", "--annotate", "--message", tag, tag, at)
            return await self._git(path, "rev-parse", f"refs/tags/{tag}")
        return await self._point(repository, f"refs/tags/{tag}", at)

    async def delete_tag(self, repository: str, tag: str) -> None:
        await self._git(self._repository(repository).path, "update-ref", "-d", f"refs/tags/{tag}")

    async def _point(self, repository: str, ref: str, at: str) -> str:
        path = self._repository(repository).path
        oid = await self._git(path, "rev-parse", "--verify", at)
        await self._git(path, "update-ref", ref, oid)
        return oid

    async def refs(self, repository: str) -> dict[str, str]:
        """Every ref and the object it points to."""
        lines = await self._git(self._repository(repository).path, "for-each-ref", "--format=%(objectname) %(refname)")
        return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines.splitlines())}

    async def add_token(
        self,
        token: str,
        login: str = "octocat",
        repositories: list[str] | None = None,
        scopes: list[str] | None = None,
    ) -> None:
        """repositories: the private ones that the token may see; None for all. scopes: makes it a classic token."""
        self.accounts.add_token(token, login, repositories, scopes)

    async def revoke_token(self, token: str) -> bool:
        return self.accounts.revoke(token)

    async def add_app(
        self, app_id: str, public_key: str, installation_id: int, repositories: list[str] | None = None
    ) -> None:
        self.accounts.add_app(app_id, public_key, installation_id, repositories)

    async def exhaust_limit(self, token: str | None = None, remaining: int = 0, seconds: int = 3600) -> None:
        """The primary limit: so many requests are left until it resets in `seconds`."""
        self.accounts.exhaust(token, remaining, seconds)

    async def secondary_limit(self, count: int | None = 1, status: int = 403, retry_after: int | None = 60) -> int:
        """The next REST requests meet the secondary limit; returns the id of the fault."""
        words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        headers = {"Content-Type": "application/json; charset=utf-8", "X-RateLimit-Remaining": "4000"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        body = f'{{"message":"{words}","documentation_url":"https://docs.github.com/rest","status":"{status}"}}'
        path = r"^(/api/v3)?/(repos|repositories|users?)/"
        return self.faults.add(path=path, count=count, status=status, headers=headers, body=body).id

    async def star(self, login: str, repository: str, at: str | None = None) -> None:
        when = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.rest.stars.setdefault(login, {})[self._repository(repository).id] = when

    async def unstar(self, login: str, repository: str) -> None:
        self.rest.stars.get(login, {}).pop(self._repository(repository).id, None)
