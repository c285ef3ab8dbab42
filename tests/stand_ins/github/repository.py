"""One repository, and what GitHub knows of it beside git."""

import hashlib
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path


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
    # What a repository on disk says of itself, unless told otherwise here; one in memory has nothing else.
    pushed_at: str | None = None
    size: int | None = None
    default_branch: str | None = None
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
    def has_git(self) -> bool:
        """Whether there is a git side at all; a repository in memory may have none."""
        return (self.path / "HEAD").exists()

    @property
    def default_branch(self) -> str:
        if self.metadata.default_branch is not None:
            return self.metadata.default_branch
        return (self.path / "HEAD").read_text().strip().removeprefix("ref: refs/heads/")

    @property
    def tip(self) -> str | None:
        """The commit of the default branch, None where there is none; made up where there is no git side."""
        if not self.has_git:
            return hashlib.sha1(f"{self.id} {self.pushed_at}".encode(), usedforsecurity=False).hexdigest()
        ref = f"refs/heads/{self.default_branch}"
        if (loose := self.path / ref).is_file():
            return loose.read_text().strip()
        packed = self.path / "packed-refs"
        lines = packed.read_text().splitlines() if packed.is_file() else []
        return next((line.partition(" ")[0] for line in lines if line.endswith(f" {ref}")), None)

    @property
    def pushed_at(self) -> str:
        """When the refs last changed, by whatever means: a push, an action, somebody's git in the folder."""
        if self.metadata.pushed_at is not None:
            return self.metadata.pushed_at
        places = [self.path / "HEAD", self.path / "packed-refs"]
        for folder, _, files in os.walk(self.path / "refs"):
            places += [Path(folder), *(Path(folder, name) for name in files)]
        newest = max(place.stat().st_mtime for place in places if place.exists())
        return datetime.fromtimestamp(newest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def size(self) -> int:
        """KB of git data, 0 for a repository without objects."""
        if self.metadata.size is not None:
            return self.metadata.size
        found = (Path(folder, name) for folder, _, names in os.walk(self.path / "objects") for name in names)
        return sum(file.stat().st_size for file in found if file.suffix != ".rev") // 1024
