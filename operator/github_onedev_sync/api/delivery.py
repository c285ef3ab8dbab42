"""A delivery of a GitHub webhook: what is used of it, and the essentials that its line in the log tells.

Real deliveries miss members that GitHub's own schema requires, and have many that are of no use here; so only what an
event cannot do without is demanded, and that by whoever acts on it.
"""

import hashlib
import hmac
import json
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from .observed import ListedRepository

# GitHub's own are UUIDs.
DELIVERY_ID = r"[A-Za-z0-9._-]{1,100}"
_SEGMENT = r"[A-Za-z0-9_.-]{1,200}"
# Repositories of one installation that a log line tells; of a larger one the sync's next poll finds the others.
_TOLD = 100

_Id = Annotated[int, Field(gt=0, lt=2**63)]
_FullName = Annotated[str, Field(pattern=f"^{_SEGMENT}/{_SEGMENT}$")]
_Text = Annotated[str, Field(max_length=1024)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Account(_Part):
    """A user or an organisation. `url` is at GitHub's API; in the owner of a push there may be nothing but a name."""

    id: _Id | None = None
    login: _Text | None = None
    url: _Text | None = None


class License(_Part):
    spdx_id: _Text | None = None


class Repository(_Part):
    """In the events of an installation there are an id, a name and whether it is private, and nothing else."""

    id: _Id
    full_name: _FullName
    url: _Text | None = None
    owner: Account | None = None
    private: bool = False
    archived: bool = False
    fork: bool = False
    stargazers_count: int | None = None
    size: int = 0
    language: _Text | None = None
    topics: tuple[str, ...] = ()
    license: License | None = None
    description: str | None = None
    created_at: datetime | None = None
    pushed_at: datetime | None = None

    @property
    def detailed(self) -> bool:
        """Whether all is told that a filter may ask for."""
        return self.stargazers_count is not None

    def listed(self, starred_at: datetime | None = None) -> ListedRepository:
        """As a row of a listing would tell it."""
        return ListedRepository(
            **self.model_dump(exclude={"url", "owner", "stargazers_count", "size", "license"}),
            stars=self.stargazers_count or 0,
            size_kb=self.size,
            license=self.license.spdx_id if self.license else None,
            starred_at=starred_at,
            owner_id=(self.owner and self.owner.id) or 0,
        )


class Installation(_Part):
    """Of a GitHub App; in its other events only that there is one."""

    id: _Id
    account: Account | None = None


class Payload(_Part):
    action: _Text | None = None
    ref: _Text | None = None
    repository: Repository | None = None
    sender: Account | None = None
    installation: Installation | None = None
    repositories: tuple[Repository, ...] = ()
    repositories_added: tuple[Repository, ...] = ()
    repositories_removed: tuple[Repository, ...] = ()
    starred_at: datetime | None = None

    @property
    def api_host(self) -> str:
        """Which GitHub sent it, as the host of its API; empty where it does not say."""
        told = (self.sender and self.sender.url) or (self.repository and self.repository.url) or ""
        return host_of(told)


def sign(secret: bytes, body: bytes) -> str:
    """`X-Hub-Signature-256` as GitHub makes it: over the raw bytes."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def host_of(url: str) -> str:
    """The host and port in lower case, empty where there is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def essentials(payload: Payload) -> dict[str, Any]:
    """For a line of the log: enough to do again what the delivery did, by `from_essentials`."""
    repository, sender, installation = payload.repository, payload.sender, payload.installation
    owner = (repository and repository.owner) or (installation and installation.account) or None
    of_installation = payload.repositories or payload.repositories_added or payload.repositories_removed
    return {
        "action": payload.action,
        "repository": repository and repository.full_name,
        "repository_id": repository and repository.id,
        "owner": owner and owner.login,
        "owner_id": owner and owner.id,
        "ref": payload.ref,
        "sender": sender and sender.login,
        "sender_id": sender and sender.id,
        "host": payload.api_host,
        "installation": installation and installation.id,
        "repositories": " ".join(f"{one.id}:{one.full_name}" for one in of_installation[:_TOLD]),
    }


def from_essentials(event: str, told: dict[str, Any]) -> bytes:
    """A body as GitHub would send it, with nothing but what the log line told. Raises ValueError."""
    host, owner = told.get("host") or "", {"id": told.get("owner_id"), "login": told.get("owner")}
    body: dict[str, Any] = {name: told[name] for name in ("action", "ref") if told.get(name)}
    body["sender"] = {"id": told.get("sender_id"), "login": told.get("sender"), "url": f"https://{host}/user"}
    if told.get("repository_id"):
        body["repository"] = {"id": told["repository_id"], "full_name": told.get("repository"), "owner": owner}
    if told.get("installation"):
        body["installation"] = {"id": told["installation"], "account": owner}
    rows = [row.partition(":") for row in str(told.get("repositories") or "").split()]
    if rows:
        removed = told.get("action") == "removed"
        member = {"installation": "repositories"}.get(event, f"repositories_{'removed' if removed else 'added'}")
        body[member] = [{"id": number, "full_name": name} for number, _, name in rows]
    made = json.dumps(body).encode()
    Payload.model_validate_json(made)
    return made
