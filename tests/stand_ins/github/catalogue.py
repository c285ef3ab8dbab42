"""The repositories: any folder of bare `owner/name.git` with what GitHub knows beside each, and those in memory."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from .listed import Listed
from .repository import Metadata, Repository

__all__ = ["FULL_NAME", "NAME", "Catalogue", "Metadata", "Repository"]

NAME = r"[A-Za-z0-9_.-]+"
FULL_NAME = re.compile(f"{NAME}/{NAME}")


def _stable_id(seed: str) -> int:
    return 100_000_000 + int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") % 900_000_000


class Catalogue:
    """Looks at the folder each time, so that repositories may be put there while the server runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.listed = Listed()
        self._names_by_id: dict[int, str] = {}

    def all(self) -> Iterator[Repository]:
        yield from self._on_disk("*")
        yield from self.listed

    def _on_disk(self, owner: str) -> Iterator[Repository]:
        for path in sorted(self.root.glob(f"{owner}/*.git")):
            yield self._load(path)

    def of_owner(self, login: str) -> Iterator[Repository]:
        for path in self._folders():
            if path.name.lower() == login.lower():
                yield from self._on_disk(path.name)
        yield from self.listed.of_owner(login)

    def owners(self) -> Iterator[str]:
        """Everybody who owns something now."""
        yield from (path.name for path in self._folders() if any(path.glob("*.git")))
        yield from self.listed.owners()

    def owner(self, login: str) -> str | None:
        """The login as its owner writes it, if it owns something now."""
        return next((owner for owner in self.owners() if owner.lower() == login.lower()), None)

    def _folders(self) -> list[Path]:
        return sorted(self.root.iterdir()) if self.root.is_dir() else []

    def find(self, full_name: str) -> Repository | None:
        """The repository of that name now, whatever the case of its letters."""
        if not FULL_NAME.fullmatch(full_name):
            return None
        if listed := self.listed.find(full_name):
            return listed
        path = self.root / f"{full_name}.git"
        if (path / "HEAD").exists():
            return self._load(path)
        lowered = full_name.lower()
        return next((found for found in self._on_disk("*") if found.full_name.lower() == lowered), None)

    def find_former(self, full_name: str) -> Repository | None:
        """The repository that had this name before. A new one of this name hides it."""
        lowered = full_name.lower()
        for path in self.root.glob("*/*.json"):
            if lowered in path.read_text().lower():
                found = self._load(path.with_suffix(".git"))
                if lowered in (name.lower() for name in found.metadata.former_names):
                    return found
        return self.listed.find_former(full_name)

    def find_id(self, repository_id: int) -> Repository | None:
        if listed := self.listed.by_id.get(repository_id):
            return listed
        known = self._names_by_id.get(repository_id)
        if known and (found := self.find(known)) and found.id == repository_id:
            return found
        return next((found for found in self._on_disk("*") if found.id == repository_id), None)

    def _load(self, path: Path) -> Repository:
        full_name = f"{path.parent.name}/{path.name.removesuffix('.git')}"
        described = path.with_suffix(".json")
        metadata = Metadata(**json.loads(described.read_text())) if described.exists() else Metadata()
        metadata.id = metadata.id or _stable_id(full_name)
        self._names_by_id[metadata.id] = full_name
        return Repository(full_name, path, metadata)

    def save(self, repository: Repository) -> None:
        if repository not in self.listed:
            text = json.dumps(asdict(repository.metadata), indent=2)
            repository.path.with_suffix(".json").write_text(text)

    def taken_ids(self) -> set[int]:
        """The ids of all that are there, and of those that were seen before."""
        return {found.id for found in self.all()} | self._names_by_id.keys()

    def new_id(self, full_name: str, taken: set[int] | None = None) -> int:
        """An id that no repository of this name had before, as far as its own past tells."""
        known = self.taken_ids() if taken is None else taken
        generation = 0
        while (candidate := _stable_id(f"{full_name}#{generation}")) in known:
            generation += 1
        return candidate

    def list_in_memory(self, full_name: str, git: Path | None, metadata: Metadata) -> Repository:
        """git: the bare repository that it shows to git; None for none, which git is told with a 404."""
        made = Repository(full_name, git or self.root / f"{full_name}.git", metadata)
        self.listed.add(made)
        self._names_by_id[made.id] = full_name
        return made

    def move(self, repository: Repository, full_name: str) -> None:
        if repository in self.listed:
            self.listed.move(repository, full_name)
            return
        target = self.root / f"{full_name}.git"
        target.parent.mkdir(parents=True, exist_ok=True)
        described = repository.path.with_suffix(".json")
        described.unlink(missing_ok=True)
        repository.path.rename(target)
        repository.metadata.former_names.append(repository.full_name)
        repository.full_name, repository.path = full_name, target
        self.save(repository)

    def delete(self, repository: Repository) -> None:
        if repository in self.listed:
            self.listed.remove(repository)
            return
        repository.path.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(repository.path)
