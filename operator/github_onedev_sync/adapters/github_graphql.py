"""What GitHub tells by GraphQL alone: star lists, and how many repositories stand, by one query.

An answer of 200 may hold errors beside the data: of things that are gone or hidden, which are null then, or of all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from ..api.observed import Change
from ..api.urgency import Urgency
from . import github_errors
from .github_http import GitHubHttp
from .github_listing import METADATA, STARRING
from .github_repository import FULL_NAME

_CHANGES = """
query ($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Repository {
      databaseId nameWithOwner pushedAt isArchived isPrivate isDisabled isLocked defaultBranchRef { name }
    }
  }
}
"""
_ITEMS = "nodes { ... on Repository { databaseId } } pageInfo { hasNextPage endCursor }"
_LISTS = f"""
lists(first: 100, after: $after) {{
  nodes {{ id name slug items(first: 100) {{ {_ITEMS} }} }} pageInfo {{ hasNextPage endCursor }}
}}
"""
_LISTS_OF_TOKEN = f"query ($after: String) {{ owner: viewer {{ {_LISTS} }} }}"
_LISTS_OF_USER = f"query ($login: String!, $after: String) {{ owner: user(login: $login) {{ {_LISTS} }} }}"
_MORE_ITEMS = f"""
query ($id: ID!, $after: String) {{
  list: node(id: $id) {{ ... on UserList {{ items(first: 100, after: $after) {{ {_ITEMS} }} }} }}
}}
"""
_REFUSED = ("FORBIDDEN", "INSUFFICIENT_SCOPES", "UNAUTHORIZED")


class _Part(BaseModel):
    """What is read of it; servers of other ages may lack or add members."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", strict=True)


T = TypeVar("T", bound=_Part)


class _Error(_Part):
    type: str = ""
    message: str = ""
    extensions: Mapping[str, Any] | None = None

    @property
    def of_schema(self) -> bool:
        """Whether this server's GraphQL has no such field or type."""
        return str((self.extensions or {}).get("code", "")).startswith(("undefined", "argumentNotAccepted"))


class _Reply(_Part, Generic[T]):
    data: T | None = None
    errors: tuple[_Error, ...] = ()


class _Branch(_Part):
    name: str


class _Repository(_Part):
    """Empty where the node is something else."""

    database_id: Annotated[int, Field(gt=0, lt=2**63)] | None = None
    name_with_owner: str = ""
    pushed_at: AwareDatetime | None = None
    is_archived: bool = False
    is_private: bool = False
    is_disabled: bool = False
    is_locked: bool = False
    default_branch_ref: _Branch | None = None


class _Nodes(_Part):
    nodes: tuple[_Repository | None, ...]


class _PageInfo(_Part):
    has_next_page: bool
    end_cursor: str | None

    @property
    def next(self) -> str | None:
        return self.end_cursor if self.has_next_page else None


class _Items(_Part):
    nodes: tuple[_Repository | None, ...]
    page_info: _PageInfo


class _List(_Part):
    id: str
    name: str
    slug: str
    items: _Items


class _Lists(_Part):
    nodes: tuple[_List | None, ...]
    page_info: _PageInfo


class _Person(_Part):
    lists: _Lists | None


class _Owner(_Part):
    owner: _Person | None


class _Rest(_Part):
    items: _Items


class _More(_Part):
    list: _Rest | None


async def changes(http: GitHubHttp, urgency: Urgency, node_ids: Sequence[str]) -> dict[str, Change]:
    """How each of up to 100 stands; one that is gone or hidden is left out."""
    what = f"the state of {len(node_ids)} repositories"
    reply, _ = await _ask(http, urgency, _Nodes, _CHANGES, {"ids": list(node_ids)}, what, METADATA)
    if len(reply.nodes) != len(node_ids):
        raise github_errors.not_github(what, "it tells of another number")
    pairs = zip(node_ids, reply.nodes, strict=True)
    # By the place in the answer: GitHub may tell a node's id in another form than it was asked for.
    return {node_id: _change(node, node.database_id, what) for node_id, node in pairs if node and node.database_id}


def _change(node: _Repository, number: int, what: str) -> Change:
    if not FULL_NAME.fullmatch(node.name_with_owner):
        raise github_errors.not_github(what, "a name in it is not owner/name")
    return Change(
        id=number,
        full_name=node.name_with_owner,
        pushed_at=node.pushed_at,
        archived=node.is_archived,
        private=node.is_private,
        disabled=node.is_disabled or node.is_locked,
        default_branch=node.default_branch_ref.name if node.default_branch_ref else "",
    )


async def star_lists(http: GitHubHttp, urgency: Urgency, user: str | None) -> dict[str, frozenset[int]]:
    """The ids in each list by its name, and by its slug (`my-tools`, as in its address) where no list has that name."""
    document, variables = (_LISTS_OF_TOKEN, {}) if user is None else (_LISTS_OF_USER, {"login": user})
    what = "the star lists of " + ("the token's owner" if user is None else user)
    by_name: dict[str, frozenset[int]] = {}
    by_slug: dict[str, frozenset[int]] = {}
    after: str | None = None
    while True:
        found, errors = await _ask(http, urgency, _Owner, document, {**variables, "after": after}, what, STARRING)
        lists = found.owner.lists if found.owner else None
        if lists is None:
            raise _no_lists(errors, user or "", what)
        for one in lists.nodes:
            if one is not None:
                by_name[one.name] = by_slug[one.slug] = await _all_items(http, urgency, one, what)
        after = _onward(lists.page_info, after, what)
        if after is None:
            return {**by_slug, **by_name}


async def _all_items(http: GitHubHttp, urgency: Urgency, one: _List, what: str) -> frozenset[int]:
    ids, items, after = set(_ids(one.items)), one.items, None
    while (after := _onward(items.page_info, after, what)) is not None:
        more, _ = await _ask(http, urgency, _More, _MORE_ITEMS, {"id": one.id, "after": after}, what, STARRING)
        if more.list is None:
            raise Retry(Reason.SOURCE_UNAVAILABLE, f"One of {what} went away while it was read")
        items = more.list.items
        ids |= set(_ids(items))
    return frozenset(ids)


def _ids(items: _Items) -> Iterator[int]:
    return (node.database_id for node in items.nodes if node is not None and node.database_id is not None)


def _onward(page: _PageInfo, after: str | None, what: str) -> str | None:
    if page.next is not None and page.next == after:
        raise github_errors.not_github(what, "its pages have no end")
    return page.next


async def _ask(
    http: GitHubHttp,
    urgency: Urgency,
    model: type[T],
    document: str,
    variables: Mapping[str, Any],
    what: str,
    needs: str,
) -> tuple[T, tuple[_Error, ...]]:
    """The data, and the errors beside it. Raises `SyncError` where there is no data at all."""
    if http.anonymous:
        raise Stalled(
            Reason.SOURCE_AUTHENTICATION_FAILED,
            f"GitHub tells nobody {what} without a token: set spec.source.secretRef",
        )
    answer = await http.query(document, variables, what, urgency)
    if answer.status == 404:
        raise Stalled(Reason.NOT_SUPPORTED, f"This server has no GraphQL, which alone tells {what}")
    if answer.status != 200:
        raise http.refused(answer, what, needs=needs)
    try:
        reply = _Reply[model].model_validate_json(answer.body)  # type: ignore[valid-type]
    except ValidationError as error:
        raise github_errors.not_github(what, "it is no answer of GraphQL") from error
    for one in reply.errors:
        limited = one.type in ("RATE_LIMITED", "RATE_LIMIT") or "rate limit" in one.message.lower()
        if limited and (waiting := http.limited(answer, one.message)) is not None:
            raise waiting
    if reply.data is None:
        raise _refusal(reply.errors, what, needs)
    return reply.data, reply.errors


def _refusal(errors: Sequence[_Error], what: str, needs: str) -> SyncError:
    """What it means that there is nothing but errors."""
    if not errors:
        return github_errors.not_github(what, "it holds nothing")
    message = github_errors.sentence(errors[0].message)
    if any(one.of_schema for one in errors):
        return Stalled(Reason.NOT_SUPPORTED, f"This server's GraphQL does not know {what}: {message}")
    if any(one.type in _REFUSED for one in errors):
        return Stalled(
            Reason.SOURCE_AUTHENTICATION_FAILED,
            f"GitHub denies access to {what}: {message}. Check the token's permissions ({needs}), its organisation's "
            "single sign-on and allowed addresses",
        )
    return Retry(Reason.SOURCE_UNAVAILABLE, f"GitHub could not tell {what}: {message}")


def _no_lists(errors: Sequence[_Error], user: str, what: str) -> SyncError:
    if any(one.type == "NOT_FOUND" for one in errors):
        return github_errors.user_not_found(user)
    return _refusal(errors, what, STARRING)
