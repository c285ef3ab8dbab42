"""The mark that makes a OneDev project ours: which GitHub repository it mirrors, and for which RepositoryMirror.

OneDev reuses project ids after a restart and paths at any time, so neither proves anything. A project carries the
mark twice: as a line of its description, which people can read and edit, and as the name of a ref that nobody edits
by accident. The description decides; the ref speaks where the description says nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from .refs import MARKS

_LINE = re.compile(
    r"^Mirror of (?P<host>[a-z0-9.:-]+) repository (?P<id>[0-9]+) "
    r"by (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Mark:
    """`host` is the host of the GitHub API, `repository_id` GitHub's numeric id, `mirror` is `namespace/name`."""

    host: str
    repository_id: int
    mirror: str

    @classmethod
    def of(cls, api_url: str, repository_id: int, mirror: str) -> "Mark":
        return cls((urlsplit(api_url).netloc.rsplit("@")[-1]).lower(), repository_id, mirror)

    @property
    def line(self) -> str:
        """The description line."""
        return f"Mirror of {self.host} repository {self.repository_id} by {self.mirror}"

    @property
    def ref(self) -> str:
        """The ref name. Dots and colons become `_`, which neither host names nor Kubernetes names contain."""
        parts = (self.host, str(self.repository_id), *self.mirror.split("/"))
        return MARKS + "/".join(re.sub(r"[.:]", "_", part) for part in parts)

    def same_mirror(self, other: "Mark") -> bool:
        return (self.host, self.mirror) == (other.host, other.mirror)


def mark_in_description(description: str | None) -> Mark | None:
    """The last such line: GitHub's own words come first, and they are a stranger's."""
    lines = list(_LINE.finditer(description or ""))
    found = lines[-1] if lines else None
    return Mark(found["host"], int(found["id"]), f"{found['namespace']}/{found['name']}") if found else None


def marks_in_refs(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(MARKS)]


def describe(mark: Mark, full_name: str, description: str | None) -> str:
    """The whole description of a mirrored project: GitHub's own words first, then the mark."""
    said = _LINE.sub("", description or "").strip()
    words = f"{said}\n\n" if said else ""
    return f"{words}{full_name}\n{mark.line}"
