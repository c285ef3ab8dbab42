"""What a Job is told: one JSON text in the worker's environment, without a credential in it.

Credentials are files in the directory that each remote names (`token`, optional `ca.crt`).
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from .refs import DEFAULT_INCLUDE, RefFilter

ENVIRONMENT_VARIABLE = "GITHUB_ONEDEV_SYNC_ASSIGNMENT"
SOURCE_CREDENTIALS = "/var/run/secrets/github-onedev-sync/source"
TARGET_CREDENTIALS = "/var/run/secrets/github-onedev-sync/target"
WORK_DIRECTORY = "/work"


@dataclass(frozen=True)
class Remote:
    """A git repository over HTTP. `credentials` is a directory, or empty for an anonymous source."""

    url: str
    credentials: str = ""


@dataclass(frozen=True)
class Task:
    """One mirror's part of a run.

    `key` is `namespace/name`. `default_branch` is GitHub's word (`main`), None for an empty repository.
    `project_id` is OneDev's, for the REST call that sets HEAD at `api_url` (`https://host/~api`).
    `mark_ref` is the ref that claims the project and `mark` the text of the commit behind it.
    `archive_time` (`20261123T010203Z`) names this run's archived tips.
    `approved` is the digest of the rewrite that a person let through under `Block`, or empty.
    `engine` is `Auto`, `Relay` or `Git`. `lfs` asks for the LFS objects, too, which takes the git engine.
    `keep_for` (seconds) and `keep_last` say which archived tips may go: `api.retention`.
    `size_kb` is GitHub's own, stale, figure; 0 where it is not known.
    """

    key: str
    source: Remote
    target: Remote
    api_url: str
    project_id: int
    mark_ref: str
    mark: str
    archive_time: str
    default_branch: str | None = None
    include: tuple[str, ...] = DEFAULT_INCLUDE
    exclude: tuple[str, ...] = ()
    on_rewrite: str = "Archive"
    approved: str = ""
    engine: str = "Auto"
    lfs: bool = False
    keep_for: float = 0.0
    keep_last: int = 0
    size_kb: int = 0

    @property
    def refs(self) -> RefFilter:
        return RefFilter(self.include, self.exclude)


@dataclass(frozen=True)
class Assignment:
    """A run: its correlation id, the seconds it may take, and its tasks, several at once but one push at a time.

    `pauses` are the seconds before each further attempt at a mirror.
    """

    run: str
    timeout_seconds: float
    tasks: tuple[Task, ...] = field(default=())
    pauses: tuple[float, ...] = (1.0, 5.0)
    v: int = 1

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Assignment":
        """Raises ValueError with a sentence where `text` is not an assignment of this version."""
        try:
            data = json.loads(text)
            if data["v"] != 1:
                raise ValueError(f"assignment version {data['v']!r} is not 1: controller and worker differ in version")
            tasks = tuple(_task(task) for task in data["tasks"])
            return cls(data["run"], float(data["timeout_seconds"]), tasks, tuple(map(float, data["pauses"])))
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not an assignment: {error!r}") from error


def _task(data: dict[str, Any]) -> Task:
    return Task(
        **{
            **data,
            "source": Remote(**data["source"]),
            "target": Remote(**data["target"]),
            "include": tuple(data["include"]),
            "exclude": tuple(data["exclude"]),
        }
    )
