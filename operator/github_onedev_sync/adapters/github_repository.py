"""GitHub's repository object, read and checked before anything is done with what it says."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from ..api.conditions import Reason
from ..api.errors import Stalled
from ..api.observed import SourceRepository
from . import github_errors

_SEGMENT = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]+"
FULL_NAME = re.compile(f"{_SEGMENT}/{_SEGMENT}")
# Without user, password, query, fragment, or anything that must be escaped.
_CLONE_URL = re.compile(r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9.-]+)(:[0-9]{1,5})?/[A-Za-z0-9_./-]+")


class _Permissions(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    admin: bool = False


class _Repository(BaseModel):
    """What is read of it; servers of other ages may lack or add members."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: Annotated[int, Field(gt=0, lt=2**63)]
    full_name: str
    clone_url: str
    default_branch: str | None = None
    private: bool = False
    archived: bool = False
    disabled: bool = False
    size: Annotated[int, Field(ge=0, lt=2**63)] = 0
    pushed_at: AwareDatetime | None = None
    description: str | None = None
    node_id: str | None = None
    permissions: _Permissions | None = None


def read_repository(body: str, what: str, api_url: str) -> SourceRepository:
    """The repository in `body`, an answer about `what` from the API at `api_url`. Raises `Retry` and `Stalled`."""
    try:
        read = _Repository.model_validate_json(body)
    except ValidationError as error:
        raise github_errors.not_github(what, "it is no repository object") from error
    if not FULL_NAME.fullmatch(read.full_name):
        raise github_errors.not_github(what, "its full_name is not owner/name")
    _check_clone_url(read.clone_url, what, api_url)
    return SourceRepository(
        **read.model_dump(exclude={"size", "default_branch", "permissions"}),
        default_branch=read.default_branch or "",
        size_kb=read.size,
        admin=read.permissions is not None and read.permissions.admin,
    )


def _check_clone_url(clone_url: str, what: str, api_url: str) -> None:
    """The token goes there: in the clear only where it came so, and to nobody but the API's own host."""
    allowed = ("https", "http") if api_url.startswith("http:") else ("https",)
    clone = _CLONE_URL.fullmatch(clone_url)
    if clone is None or clone["scheme"] not in allowed:
        raise Stalled(
            Reason.NOT_SUPPORTED,
            f"GitHub's clone address of {what} is not a plain {' or '.join(allowed)} URL: mend it there",
        )
    api = urlsplit(api_url).hostname
    if api not in (clone["host"].lower(), "api." + clone["host"].lower()):
        raise Stalled(
            Reason.NOT_SUPPORTED,
            f"GitHub's clone address of {what} is at {clone['host']} and not at {api}, so the token is not sent "
            "there: set spec.source.apiURL to the host that GitHub itself goes by",
        )
