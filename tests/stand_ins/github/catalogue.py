"""The repositories on disk: any folder of bare `owner/name.git`, with what GitHub knows of each beside it."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

NAME = r"[A-Za-z0-9_.-]+"
FULL_NAME = re.compile(f"{NAME}/{NAME}")


@dataclass
class Metadata:
    """What `owner/name.json` may say; what it leaves out has these values, `id` a hash of the name."""

    id: int = 0
    description: str | None = None
    private: bool = False
    archived: bool = False
    disabled: bool = False
    # git refuses it although REST says that it is not disabled, as was seen.
    disabled_for_git: bool = False
    fork: bool = False
    stars: int = 0
    topics: list[str] = field(default_factory=list)
    language: str | None = None
    license: str | None = "Apache-2.0"
    created_at: str = "2020-01-01T00:00:00Z"
    former_names: list[str] = field(default_factory=list)
    # 403 or 451 while GitHub withholds the repository, and the reason it gives.
    block_status: int | None = None
    block_reason: str = "dmca"


@dataclass
class Repository:
    full_name: str
    path: Path
    metadata: Metadata

    @property
    def id(self) -> int:
        return self.metadata.id

    @property
    def owner(self) -> str:
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]

    @property
    def default_branch(self) -> str:
        return (self.path / "HEAD").read_text().strip().removeprefix("ref: refs/heads/")

    @property
    def pushed_at(self) -> str:
        """When the refs last changed, by whatever means: a push, an action, somebody's git in the folder."""
        places = [self.path / "HEAD", self.path / "packed-refs"]
        for folder, _, files in os.walk(self.path / "refs"):
            places += [Path(folder), *(Path(folder, name) for name in files)]
        newest = max(place.stat().st_mtime for place in places if place.exists())
        return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def size(self) -> int:
        """KB of git data, 0 for a repository without objects."""
        found = (Path(folder, name) for folder, _, names in os.walk(self.path / "objects") for name in names)
        return sum(file.stat().st_size for file in found if file.suffix != ".rev") // 1024


def _stable_id(seed: str) -> int:
    return 100_000_000 + int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") % 900_000_000


class Catalogue:
    """Looks at the folder each time, so that repositories may be put there while the server runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names_by_id: dict[int, str] = {}

    def all(self) -> Iterator[Repository]:
        for path in sorted(self.root.glob("*/*.git")):
            yield self._load(path)

    def find(self, full_name: str) -> Repository | None:
        """The repository of that name now, whatever the case of its letters."""
        if not FULL_NAME.fullmatch(full_name):
            return None
        path = self.root / f"{full_name}.git"
        if (path / "HEAD").exists():
            return self._load(path)
        lowered = full_name.lower()
        return next((found for found in self.all() if found.full_name.lower() == lowered), None)

    def find_former(self, full_name: str) -> Repository | None:
        """The repository that had this name before. A new one of this name hides it."""
        lowered = full_name.lower()
        for path in self.root.glob("*/*.json"):
            if lowered in path.read_text().lower():
                found = self._load(path.with_suffix(".git"))
                if lowered in (name.lower() for name in found.metadata.former_names):
                    return found
        return None

    def find_id(self, repository_id: int) -> Repository | None:
        known = self._names_by_id.get(repository_id)
        if known and (found := self.find(known)) and found.id == repository_id:
            return found
        return next((found for found in self.all() if found.id == repository_id), None)

    def _load(self, path: Path) -> Repository:
        full_name = f"{path.parent.name}/{path.name.removesuffix('.git')}"
        described = path.with_suffix(".json")
        metadata = Metadata(**json.loads(described.read_text())) if described.exists() else Metadata()
        metadata.id = metadata.id or _stable_id(full_name)
        self._names_by_id[metadata.id] = full_name
        return Repository(full_name, path, metadata)

    def save(self, repository: Repository) -> None:
        text = json.dumps(asdict(repository.metadata), indent=2)
        repository.path.with_suffix(".json").write_text(text)

    def new_id(self, full_name: str) -> int:
        """An id that no repository of this name had before, as far as its own past tells."""
        taken = {found.id for found in self.all()} | self._names_by_id.keys()
        generation = 0
        while (candidate := _stable_id(f"{full_name}#{generation}")) in taken:
            generation += 1
        return candidate

    def move(self, repository: Repository, full_name: str) -> None:
        target = self.root / f"{full_name}.git"
        target.parent.mkdir(parents=True, exist_ok=True)
        described = repository.path.with_suffix(".json")
        described.unlink(missing_ok=True)
        repository.path.rename(target)
        repository.metadata.former_names.append(repository.full_name)
        repository.full_name, repository.path = full_name, target
        self.save(repository)

    def delete(self, repository: Repository) -> None:
        repository.path.with_suffix(".json").unlink(missing_ok=True)
        shutil.rmtree(repository.path)
