"""GitHub's graph, as far as mirrors and stars need it: accounts, repositories, star lists."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import documents
from .accounts import Caller
from .catalogue import Repository
from .graphql_run import Arguments, Failure, Thing
from .lists import Lists, StarList
from .people import Account
from .stars import Stars
from .visibility import NOT_BY_TOKEN, Visibility

LIMIT = 100


@dataclass
class Graph:
    """What one caller sees. site: the base URL of pages."""

    caller: Caller
    visibility: Visibility
    stars: Stars
    lists: Lists
    rate: Callable[[], dict[str, Any]]
    site: str

    def root(self) -> Thing:
        return Thing(
            ("Query",),
            {
                "viewer": lambda _: self._viewer(),
                "user": lambda given: self._user(str(given.get("login"))),
                "organization": lambda given: self._organization(str(given.get("login"))),
                "repository": lambda given: self._named(f"{given.get('owner')}/{given.get('name')}"),
                "node": lambda given: self._node(str(given.get("id"))),
                "nodes": lambda given: self._nodes(given.get("ids")),
                "rateLimit": lambda _: Thing(("RateLimit",), self.rate()),
            },
        )

    def _viewer(self) -> Thing:
        if self.caller.installation is not None:
            login = f"app-{self.caller.installation.app_id}[bot]"
            return self.account(Account(login, self.caller.number))
        return self.account(self.visibility.people.of(self.caller.login or ""))

    def _user(self, login: str) -> Thing:
        found = self.visibility.people.find(login)
        if found is None or found.organization:
            raise Failure("NOT_FOUND", f"Could not resolve to a User with the login of '{login}'.")
        return self.account(found)

    def _organization(self, login: str) -> Thing:
        found = self.visibility.people.find(login)
        if found is None or not found.organization:
            raise Failure("NOT_FOUND", f"Could not resolve to an Organization with the login of '{login}'.")
        return self.account(found)

    def _named(self, full_name: str) -> Thing:
        catalogue = self.visibility.catalogue
        found = catalogue.find(full_name) or catalogue.find_former(full_name)
        if found is None or not self.visibility.may_list(self.caller, found):
            raise Failure("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
        return self.repository(found)

    def _node(self, node: str) -> Thing:
        number = documents.number_of(node)
        if one := self._list_of_id(documents.number_of(node, "UL")):
            return self._list(one)
        found = None if number is None else self.visibility.catalogue.find_id(number)
        if found is None or not self.visibility.may_list(self.caller, found):
            raise Failure("NOT_FOUND", f"Could not resolve to a node with the global id of '{node}'")
        if found.metadata.block_status is not None:
            raise Failure("FORBIDDEN", "Repository access blocked")
        return self.repository(found)

    def _list_of_id(self, number: int | None) -> StarList | None:
        owner, found = ("", None) if number is None else self.lists.find(number) or ("", None)
        return found if found and (not found.private or self._is_own(owner)) else None

    def _nodes(self, nodes: Any) -> list[Any]:
        asked = nodes if isinstance(nodes, list) else [nodes]
        if len(asked) > LIMIT:
            text = f"You may not provide more than {LIMIT} node ids; you provided {len(asked)}."
            raise Failure("ARGUMENT_LIMIT", text)
        found: list[Any] = []
        for node in asked:
            try:
                found.append(self._node(str(node)))
            except Failure as failure:
                found.append(failure)
        return found

    def account(self, who: Account) -> Thing:
        kind = "Organization" if who.organization else "User"
        fields: dict[str, Any] = {
            "login": who.login,
            "databaseId": who.id,
            "id": documents.node_id(kind[0], who.id),
            "name": who.login,
            "url": f"{self.site}/{who.login}",
        }
        if not who.organization:
            fields["lists"] = lambda given: self._lists_of(who, given)
            fields["starredRepositories"] = lambda given: self._starred_by(who, given)
        return Thing((kind, "RepositoryOwner", "Actor", "Node"), fields)

    def _is_own(self, login: str) -> bool:
        return self.caller.login is not None and self.caller.login.lower() == login.lower()

    def _lists_of(self, who: Account, given: Arguments) -> Thing:
        own = self._is_own(who.login)
        if own and not self.caller.is_permitted("starring"):
            raise Failure("FORBIDDEN", NOT_BY_TOKEN)
        seen = [one for one in self.lists.of(who.login) if own or not one.private]
        return connection("lists", "UserListConnection", [self._list(one) for one in seen], given)

    def _list(self, one: StarList) -> Thing:
        found = (self.visibility.catalogue.find_id(number) for number in one.items)
        seen = [one for one in found if one is not None and self.visibility.may_list(self.caller, one)]
        fields = {
            "id": documents.node_id("UL", one.number),
            "name": one.name,
            "slug": one.slug,
            "description": one.description,
            "isPrivate": one.private,
            "lastAddedAt": one.last_added_at,
            "createdAt": one.created_at,
            "items": lambda given: connection(
                "items", "UserListItemsConnection", [self.repository(one) for one in seen], given
            ),
        }
        return Thing(("UserList", "Node"), fields)

    def _starred_by(self, who: Account, given: Arguments) -> Thing:
        starred = [(self.visibility.catalogue.find_id(number), at) for number, at in self.stars.of(who.login)]
        seen = [(one, at) for one, at in starred if one is not None and self.visibility.may_list(self.caller, one)]
        if (given.get("orderBy") or {}).get("direction") == "ASC":
            seen.reverse()
        extra = [{"starredAt": at} for _, at in seen]
        rows = [self.repository(one) for one, _ in seen]
        made = connection("starredRepositories", "StarredRepositoryConnection", rows, given, extra)
        return Thing(made.kinds, {**made.fields, "isOverLimit": False})

    def repository(self, found: Repository) -> Thing:
        data = found.metadata
        topics = [Thing(("RepositoryTopic",), {"topic": Thing(("Topic",), {"name": name})}) for name in data.topics]
        fields = {
            "databaseId": found.id,
            "id": documents.node_id("R", found.id),
            "name": found.name,
            "nameWithOwner": found.full_name,
            "owner": lambda _: self.account(self.visibility.people.of(found.owner)),
            "url": f"{self.site}/{found.full_name}",
            "description": data.description,
            "pushedAt": lambda _: found.pushed_at,
            "updatedAt": lambda _: found.pushed_at,
            "createdAt": data.created_at,
            "isArchived": data.archived,
            "isPrivate": data.private,
            "isDisabled": data.disabled,
            "isFork": data.fork,
            "isLocked": False,
            "isEmpty": lambda _: found.tip is None,
            "visibility": "PRIVATE" if data.private else "PUBLIC",
            "stargazerCount": data.stars,
            "diskUsage": lambda _: found.size,
            "primaryLanguage": None if data.language is None else Thing(("Language",), {"name": data.language}),
            "licenseInfo": None if data.license is None else Thing(("License",), {"spdxId": data.license}),
            "repositoryTopics": lambda given: connection(
                "repositoryTopics", "RepositoryTopicConnection", topics, given
            ),
            "defaultBranchRef": lambda _: _branch(found),
        }
        return Thing(("Repository", "Node", "UserListItems", "Starrable"), fields)


def _branch(found: Repository) -> Thing | None:
    """None of a repository without commits."""
    if (tip := found.tip) is None:
        return None
    target = Thing(("Commit", "GitObject", "Node"), {"oid": tip})
    return Thing(("Ref", "Node"), {"name": found.default_branch, "prefix": "refs/heads/", "target": target})


def connection(
    name: str, kind: str, rows: Sequence[Thing], given: Arguments, edges: Sequence[dict[str, Any]] | None = None
) -> Thing:
    """One page of a list. edges: what the edge of each row has beside it. Raises Failure."""
    first = given.get("first", given.get("last"))
    if first is None:
        text = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
        raise Failure("MISSING_PAGINATION_BOUNDARIES", text)
    if first > LIMIT:
        text = f"Requesting {first} records on the `{name}` connection exceeds the `first` limit of {LIMIT} records."
        raise Failure("EXCESSIVE_PAGINATION", text)
    after = _position(name, given["after"]) if given.get("after") else 0
    start = max(after, len(rows) - first) if given.get("first") is None else after
    shown = rows[start : start + first]
    end = start + len(shown)
    page = {
        "hasNextPage": end < len(rows),
        "hasPreviousPage": start > 0,
        "startCursor": _cursor(start + 1) if shown else None,
        "endCursor": _cursor(end) if shown else None,
    }
    linked = [
        Thing(
            (kind.replace("Connection", "Edge"),),
            {"node": row, "cursor": _cursor(start + number + 1), **(edges[start + number] if edges else {})},
        )
        for number, row in enumerate(shown)
    ]
    fields = {"totalCount": len(rows), "nodes": list(shown), "edges": linked, "pageInfo": Thing(("PageInfo",), page)}
    return Thing((kind,), fields)


def _cursor(position: int) -> str:
    return base64.b64encode(f"cursor:v2:{position}".encode()).decode()


def _position(name: str, cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().rpartition(":")[2])
    except ValueError as error:
        text = f"`{cursor}` does not appear to be a valid cursor."
        raise Failure("INVALID_CURSOR_ARGUMENTS", text) from error
