"""GitHub's users, organisations and App installations, read from its answers."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..api.conditions import Reason
from ..api.errors import Stalled
from ..api.observed import Account
from . import github_errors

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Person:
    """An account, and whether it is an organisation: their repositories are listed in different places."""

    account: Account
    organization: bool = False


class _Account(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    id: Annotated[int, Field(gt=0, lt=2**63)]
    login: Annotated[str, Field(pattern=rf"^{_LOGIN.pattern}(\[bot\])?\z")]
    type: str = "User"


class _Installation(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    account: _Account


def check_login(login: str) -> None:
    if not _LOGIN.fullmatch(login):
        raise Stalled(
            Reason.INVALID_SPEC,
            f"{login!r} is no GitHub login: correct spec.user, or spec.owner of an OwnedReposSync",
        )


def read_person(body: str, what: str) -> Person:
    try:
        return _person(_Account.model_validate_json(body))
    except ValidationError as error:
        raise github_errors.not_github(what, "it is no account") from error


def read_installation(body: str, what: str) -> Person:
    """Whoever installed the App."""
    try:
        return _person(_Installation.model_validate_json(body).account)
    except ValidationError as error:
        raise github_errors.not_github(what, "it is no installation for a user or an organisation") from error


def _person(read: _Account) -> Person:
    return Person(Account(read.id, read.login), organization=read.type == "Organization")
