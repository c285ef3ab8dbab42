"""OneDev's entities, as far as a mirror meets them, and how they read as JSON."""

import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

PATH_LIMIT = 255
DESCRIPTION_LIMIT = 15_000
# Up to 11.11 the entity's own rule was checked over REST; 16.5.6 leaves it to the pages.
STRICT_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


class Privilege(IntEnum):
    NONE = 0
    ACCESS = 1
    READ = 2
    WRITE = 3
    MANAGE = 4


@dataclass(frozen=True)
class Role:
    id: int
    name: str
    privilege: Privilege
    create_children: bool = False


ROLES = (
    Role(1, "Project Owner", Privilege.MANAGE, True),
    Role(2, "Code Writer", Privilege.WRITE),
    Role(3, "Code Reader", Privilege.READ),
    Role(4, "Workspace Creator", Privilege.READ),
    Role(5, "Package Writer", Privilege.ACCESS),
    Role(6, "Child Creator", Privilege.ACCESS, True),
)


def role(number: int) -> Role | None:
    return next((found for found in ROLES if found.id == number), None)


def now() -> str:
    """ISO 8601 with milliseconds and a colon in the offset, as OneDev writes dates."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class User:
    id: int
    name: str
    type: str = "ORDINARY"
    password: str | None = None
    disabled: bool = False
    create_root_projects: bool = False

    @property
    def administrator(self) -> bool:
        return self.id == 1

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "disabled": self.disabled,
            "type": self.type,
            "name": self.name,
            "fullName": None,
            "notifyOwnEvents": False,
        }


@dataclass
class Token:
    id: int
    name: str
    ownerId: int  # noqa: N815 - the members are OneDev's JSON
    value: str
    hasOwnerPermissions: bool = True  # noqa: N815
    createDate: str = field(default_factory=now)  # noqa: N815
    expireDate: str | None = None  # noqa: N815

    @property
    def expired(self) -> bool:
        return self.expireDate is not None and datetime.fromisoformat(self.expireDate) <= datetime.now(UTC)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Authorization:
    """A role on a project: of a user, or of a token without its owner's permissions, or of everybody."""

    id: int
    kind: str
    holder: int
    projectId: int  # noqa: N815
    roleId: int  # noqa: N815


@dataclass
class Project:
    id: int
    name: str
    parentId: int | None = None  # noqa: N815
    forkedFromId: int | None = None  # noqa: N815
    key: str | None = None
    path: str = ""
    description: str | None = None
    createDate: str = field(default_factory=now)  # noqa: N815
    codeManagement: bool = True  # noqa: N815
    packManagement: bool = True  # noqa: N815
    issueManagement: bool = True  # noqa: N815
    timeTracking: bool = False  # noqa: N815
    serviceDeskEmailAddress: str | None = None  # noqa: N815
    gitPackConfig: dict[str, str | None] = field(default_factory=dict)  # noqa: N815
    codeAnalysisSetting: dict[str, str | None] = field(default_factory=dict)  # noqa: N815
    setting: dict[str, Any] = field(default_factory=dict)
    lastActivity: str = field(default_factory=now)  # noqa: N815

    def as_json(self) -> dict[str, Any]:
        """ProjectData: 15 members, nulls included, in OneDev's order."""
        order = (
            "id parentId forkedFromId name key path description createDate codeManagement packManagement "
            "issueManagement timeTracking serviceDeskEmailAddress gitPackConfig codeAnalysisSetting"
        )
        return {member: getattr(self, member) for member in order.split()}


@dataclass
class LabelSpec:
    id: int
    name: str | None
    color: str = "#0d87e9"


@dataclass
class ProjectLabel:
    id: int
    projectId: int  # noqa: N815
    specId: int  # noqa: N815
