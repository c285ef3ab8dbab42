"""What a test or a person can make happen on the GitHub stand-in: each method is an action of the admin API."""

import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..processes import GitFailed
from ..serving import Action, ActionError
from .catalogue import FULL_NAME, Metadata, Repository
from .granting import Granting
from .listed import moment
from .payloads import ZEROS, Commit


class Steering(Granting):
    """The actions, over a catalogue on disk. Names are `owner/name`; branches and tags are short names."""

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
        ]
        return {**super().actions(), **{name: getattr(self, name) for name in names}}

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
        made = Repository(repository, path, described)
        self.catalogue.save(made)
        self._tell(made, "created")
        return described.id

    def _tell(self, found: Repository, action: str, changes: dict[str, Any] | None = None) -> None:
        if self.events.wanted(found):
            self.events.emit("repository", found, self.events.payloads.repository_event(found, action, changes))

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
        found = self._repository(repository)
        before = found.full_name
        self.catalogue.move(found, to)
        lost = self.accounts.renamed(before, to)
        self.hooks.renamed(found.id, to)
        if self.events.wanted(found):
            moved = before.partition("/")[0].lower() != found.owner.lower()
            payload = self.events.payloads.transferred if moved else self.events.payloads.renamed
            self.events.emit("repository", found, payload(found, before))
        for installation in lost:
            self._taken_back(installation, found)

    async def forget_former_names(self, repository: str) -> None:
        """The old names redirect no more, as after somebody took one and let it go again."""
        found = self._repository(repository)
        found.metadata.former_names.clear()
        self.catalogue.save(found)

    async def delete_repository(self, repository: str) -> None:
        """It is gone, and who had starred it has not any more."""
        found = self._repository(repository)
        self.rest.stars.forget(found.id)
        self.graphql.lists.forget(found.id)
        self._tell(found, "deleted")
        self.hooks.forget(found.id)
        self.catalogue.delete(found)

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
        before = asdict(found.metadata)
        for name, value in members.items():
            setattr(found.metadata, name, value)
        self.catalogue.save(found)
        for name, value in members.items():
            if value != before[name]:
                self._tell_of(found, name, before[name])

    def _tell_of(self, found: Repository, name: str, before: Any) -> None:
        value = getattr(found.metadata, name)
        match name:
            case "private":
                self._tell(found, "privatized" if value else "publicized")
                if not value and self.events.wanted(found):
                    self.events.emit("public", found, self.events.payloads.common(found))
            case "archived":
                self._tell(found, "archived" if value else "unarchived")
            case "description" | "topics" | "default_branch":
                self._tell(found, "edited", {name: {"from": before}})

    async def set_default_branch(self, repository: str, branch: str) -> None:
        found = self._repository(repository)
        if found.metadata.default_branch is not None:
            await self.set_metadata(repository, default_branch=branch)
        else:
            before = found.default_branch
            await self._git(found.path, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
            if before != branch:
                self._tell(found, "edited", {"default_branch": {"from": before}})

    async def commit(
        self, repository: str, branch: str | None = None, files: dict[str, str] | None = None, message: str = "Change"
    ) -> str:
        """Adds a commit on top of the branch (the default branch), which need not exist; returns the commit."""
        found = self._repository(repository)
        ref = f"refs/heads/{branch or found.default_branch}"
        parent = await self._resolve(found, ref)
        made = await self._write_commit(found, ref, parent, files, message)
        await self._tell_of_push(found, ref, parent, made)
        return made

    async def force_push(
        self, repository: str, branch: str | None = None, files: dict[str, str] | None = None, message: str = "Rewrite"
    ) -> str:
        """Replaces the newest commit of the branch by another one with the same parent; returns the commit."""
        found = self._repository(repository)
        ref = f"refs/heads/{branch or found.default_branch}"
        before = await self._resolve(found, ref)
        if before is None:
            raise ActionError(f"no branch {branch}")
        parent = await self._resolve(found, f"{ref}^")
        made = await self._write_commit(found, ref, parent, files, message)
        await self._tell_of_push(found, ref, before, made)
        return made

    async def _resolve(self, found: Repository, revision: str) -> str | None:
        try:
            return await self.processes.git(found.path, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
        except GitFailed:
            return None

    async def _tell_of_push(self, found: Repository, ref: str, before: str | None, after: str | None) -> None:
        """`push`, and `create` or `delete` where the ref is new or gone; None: there is no ref."""
        if before == after or not self.events.wanted(found):
            return
        payloads = self.events.payloads
        kind, name = ("branch", ref[11:]) if ref.startswith("refs/heads/") else ("tag", ref[10:])
        if before is None:
            self.events.emit("create", found, payloads.ref_made(found, kind, name))
        if after is None:
            self.events.emit("delete", found, payloads.ref_gone(found, kind, name))
        commits: list[Commit] = []
        forced = False
        if after is not None:
            new = ["-1", after] if before is None else ["-20", f"{before}..{after}"]
            lines = await self._git(found.path, "log", "--reverse", "--format=%H%x1f%T%x1f%s%x1f%cI", *new)
            commits = [Commit(*line.split("\x1f")) for line in lines.splitlines()]
        if before is not None and after is not None:
            behind = await self._git(found.path, "rev-list", "--max-count=1", before, f"^{after}")
            forced = bool(behind)
        payload = payloads.push(found, ref, before or ZEROS, after or ZEROS, forced, commits)
        self.events.emit("push", found, payload)

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
        if found.metadata.pushed_at is not None:
            found.metadata.pushed_at = moment(datetime.now(UTC))
            self.catalogue.save(found)
        return await self._git(found.path, "rev-parse", ref)

    async def create_branch(self, repository: str, branch: str, at: str = "HEAD") -> str:
        return await self._point(repository, f"refs/heads/{branch}", at)

    async def delete_branch(self, repository: str, branch: str) -> None:
        await self._drop(repository, f"refs/heads/{branch}")

    async def create_tag(self, repository: str, tag: str, at: str = "HEAD", annotated: bool = False) -> str:
        """Creates or moves a tag; returns what it points to."""
        if annotated:
            found, ref = self._repository(repository), f"refs/tags/{tag}"
            before = (await self.refs(repository)).get(ref)
            await self._git(found.path, "tag", "--force", "--annotate", "--message", tag, tag, at)
            made = await self._git(found.path, "rev-parse", ref)
            await self._tell_of_push(found, ref, before, made)
            return made
        return await self._point(repository, f"refs/tags/{tag}", at)

    async def delete_tag(self, repository: str, tag: str) -> None:
        await self._drop(repository, f"refs/tags/{tag}")

    async def _point(self, repository: str, ref: str, at: str) -> str:
        found = self._repository(repository)
        before = (await self.refs(repository)).get(ref)
        oid = await self._git(found.path, "rev-parse", "--verify", at)
        await self._git(found.path, "update-ref", ref, oid)
        await self._tell_of_push(found, ref, before, oid)
        return oid

    async def _drop(self, repository: str, ref: str) -> None:
        found = self._repository(repository)
        before = (await self.refs(repository)).get(ref)
        await self._git(found.path, "update-ref", "-d", ref)
        await self._tell_of_push(found, ref, before, None)

    async def refs(self, repository: str) -> dict[str, str]:
        """Every ref and the object it points to."""
        lines = await self._git(self._repository(repository).path, "for-each-ref", "--format=%(objectname) %(refname)")
        return {ref: oid for oid, _, ref in (line.partition(" ") for line in lines.splitlines())}
