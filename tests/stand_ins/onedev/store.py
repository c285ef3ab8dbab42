"""What OneDev keeps: entities in JSON files, repositories at `projects/<id>/git`, all below one folder."""

import json
import secrets
import shutil
import string
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .model import Authorization, LabelSpec, Project, ProjectLabel, Token, User

# OneDev removes the folder of a deleted project only when it starts again.
MARK = "to-be-deleted-when-onedev-is-restarted"
ADMINISTRATOR = 1


class Store:
    """Loaded at start, written at each change. `reuse_ids`: as OneDev, begin behind the highest project id in use."""

    def __init__(self, root: Path, *, reuse_ids: bool = False) -> None:
        self.root = root
        self.users: dict[int, User] = {}
        self.tokens: dict[int, Token] = {}
        self.authorizations: dict[int, Authorization] = {}
        self.label_specs: dict[int, LabelSpec] = {}
        self.labels: dict[int, ProjectLabel] = {}
        self.projects: dict[int, Project] = {}
        self._by_path: dict[str, int] = {}
        self._counters: dict[str, int] = {}
        (root / "projects").mkdir(parents=True, exist_ok=True)
        self._load(reuse_ids)

    def _load(self, reuse_ids: bool) -> None:
        file = self.root / "server.json"
        kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        self.users = _index(User(**one) for one in kept.get("users", []))
        self.tokens = _index(Token(**one) for one in kept.get("tokens", []))
        self.authorizations = _index(Authorization(**one) for one in kept.get("authorizations", []))
        self.label_specs = _index(LabelSpec(**one) for one in kept.get("label_specs", []))
        self.labels = _index(ProjectLabel(**one) for one in kept.get("labels", []))
        self._counters = kept.get("counters", {})
        for folder in (self.root / "projects").iterdir():
            if (folder / MARK).exists():
                shutil.rmtree(folder)
            elif (folder / "project.json").exists():
                project = Project(**json.loads((folder / "project.json").read_text()))
                self.projects[project.id] = project
        self.index()
        if reuse_ids:
            self._counters["project"] = max(self.projects, default=0)

    def save(self) -> None:
        """Writes everything but the projects."""
        kept = {
            name: [asdict(one) for one in getattr(self, name).values()]
            for name in ("users", "tokens", "authorizations", "label_specs", "labels")
        }
        _write(self.root / "server.json", {**kept, "counters": self._counters})

    def next_id(self, entity: str) -> int:
        self._counters[entity] = self._counters.get(entity, 0) + 1
        return self._counters[entity]

    def add_user(self, name: str, kind: str = "ORDINARY", password: str | None = None) -> User:
        user = User(self.next_id("user"), name, kind, password)
        self.users[user.id] = user
        self.save()
        return user

    def add_token(
        self, name: str, owner: int, value: str | None = None, own_permissions: bool = True, expires: str | None = None
    ) -> Token:
        chosen = value or "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(40))
        token = Token(self.next_id("token"), name, owner, chosen, own_permissions, expireDate=expires)
        self.tokens[token.id] = token
        self.save()
        return token

    def authorize(self, kind: str, holder: int, project: int, role: int) -> Authorization:
        granted = Authorization(self.next_id("authorization"), kind, holder, project, role)
        self.authorizations[granted.id] = granted
        self.save()
        return granted

    def repository(self, project: Project) -> Path:
        return self.root / "projects" / str(project.id) / "git"

    def orphan(self, number: int) -> None:
        """The folder that a failed creation leaves."""
        (self.root / "projects" / str(number)).mkdir(parents=True, exist_ok=True)

    def put(self, project: Project) -> None:
        self.projects[project.id] = project
        folder = self.root / "projects" / str(project.id)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "project.json", asdict(project))

    def remove(self, project: Project) -> None:
        """The project and everything below it."""
        for child in self.children(project.id):
            self.remove(child)
        del self.projects[project.id]
        folder = self.root / "projects" / str(project.id)
        (folder / MARK).touch()
        for kept in (self.labels, self.authorizations):
            for number in [one.id for one in kept.values() if one.projectId == project.id]:
                del kept[number]
        for fork in self.projects.values():
            if fork.forkedFromId == project.id:
                fork.forkedFromId = None
        self.index()

    def index(self) -> None:
        """Renews the paths, after a project came, went, moved or got another name."""
        self._by_path = {project.path.lower(): project.id for project in self.projects.values()}

    def find(self, path: str) -> Project | None:
        """The project at that path, whatever the case of its letters."""
        number = self._by_path.get(path.strip("/").lower())
        return None if number is None else self.projects[number]

    def children(self, parent: int | None) -> list[Project]:
        return [project for project in self.projects.values() if project.parentId == parent]

    def path_of(self, name: str, parent: int | None) -> str:
        return name if parent is None else f"{self.projects[parent].path}/{name}"

    def ancestry(self, project: Project) -> list[Project]:
        """The project, its parent and so on up to the root."""
        found = [project]
        while found[-1].parentId is not None:
            found.append(self.projects[found[-1].parentId])
        return found


def _index(entities: Iterable[Any]) -> dict[int, Any]:
    return {entity.id: entity for entity in entities}


def _write(file: Path, content: Any) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(content))
    beside.replace(file)
