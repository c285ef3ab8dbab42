"""The JSON that GitHub's REST API answers with."""

import base64
from typing import Any

from .accounts import Installation
from .people import Account
from .repository import Repository

DOCS = "https://docs.github.com/rest"


def node_id(kind: str, number: int) -> str:
    return f"{kind}_" + base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def number_of(node: str, kind: str = "R") -> int | None:
    """The number that a node id stands for; None where it is none of that kind."""
    prefix, _, text = node.partition("_")
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if prefix == kind else None
    except ValueError:
        return None


def user(who: Account, api: str, web: str) -> dict[str, Any]:
    """The short form that is embedded everywhere, of organisations as well."""
    login, number, home = who.login, who.id, f"{api}/users/{who.login}"
    links = {
        "followers_url": "/followers",
        "following_url": "/following{/other_user}",
        "gists_url": "/gists{/gist_id}",
        "starred_url": "/starred{/owner}{/repo}",
        "subscriptions_url": "/subscriptions",
        "organizations_url": "/orgs",
        "repos_url": "/repos",
        "events_url": "/events{/privacy}",
        "received_events_url": "/received_events",
    }
    return {
        "login": login,
        "id": number,
        "node_id": node_id("O" if who.organization else "U", number),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": home,
        "html_url": f"{web}/{login}",
        **{name: home + rest for name, rest in links.items()},
        "type": "Organization" if who.organization else "User",
        "user_view_type": "public",
        "site_admin": False,
    }


_COUNTS = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
_TIMES = dict.fromkeys(("created_at", "updated_at"), "2020-01-01T00:00:00Z")


def profile(who: Account, api: str, web: str) -> dict[str, Any]:
    """As `GET /users/…` shows it, of organisations as well."""
    empty = dict.fromkeys(("company", "location", "email", "hireable", "bio", "twitter_username"))
    return {**user(who, api, web), "name": who.login, "blog": "", **empty, **_COUNTS, **_TIMES}


def organization(who: Account, api: str, web: str) -> dict[str, Any]:
    """As `GET /orgs/…` shows it."""
    home = f"{api}/orgs/{who.login}"
    links = ("repos", "events", "hooks", "issues")
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id("O", who.id),
        "url": home,
        **{f"{name}_url": f"{home}/{name}" for name in links},
        "members_url": f"{home}/members{{/member}}",
        "public_members_url": f"{home}/public_members{{/member}}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{who.id}?v=4",
        "description": None,
        "name": who.login,
        "html_url": f"{web}/{who.login}",
        **dict.fromkeys(("has_organization_projects", "has_repository_projects"), True),
        **_COUNTS,
        **_TIMES,
        "archived_at": None,
        "type": "Organization",
    }


def rights(*, owner: bool) -> dict[str, bool]:
    """What the caller may do with a repository that it sees."""
    return {**dict.fromkeys(("admin", "maintain", "push", "triage"), owner), "pull": True}


_LINKS = [
    "forks",
    "keys{/key_id}",
    "collaborators{/collaborator}",
    "teams",
    "hooks",
    "issues/events{/number}",
    "events",
    "assignees{/user}",
    "branches{/branch}",
    "tags",
    "git/blobs{/sha}",
    "git/tags{/sha}",
    "git/refs{/sha}",
    "git/trees{/sha}",
    "statuses/{sha}",
    "languages",
    "stargazers",
    "contributors",
    "subscribers",
    "subscription",
    "commits{/sha}",
    "git/commits{/sha}",
    "comments{/number}",
    "issues/comments{/number}",
    "contents/{+path}",
    "compare/{base}...{head}",
    "merges",
    "{archive_format}{/ref}",
    "downloads",
    "issues{/number}",
    "pulls{/number}",
    "milestones{/number}",
    "notifications{?since,all,participating}",
    "labels{/name}",
    "releases{/id}",
    "deployments",
]
_LINK_NAMES = [
    "forks",
    "keys",
    "collaborators",
    "teams",
    "hooks",
    "issue_events",
    "events",
    "assignees",
    "branches",
    "tags",
    "blobs",
    "git_tags",
    "git_refs",
    "trees",
    "statuses",
    "languages",
    "stargazers",
    "contributors",
    "subscribers",
    "subscription",
    "commits",
    "git_commits",
    "comments",
    "issue_comment",
    "contents",
    "compare",
    "merges",
    "archive",
    "downloads",
    "issues",
    "pulls",
    "milestones",
    "notifications",
    "labels",
    "releases",
    "deployments",
]


def repository(
    found: Repository,
    owner: Account,
    api: str,
    web: str,
    *,
    rights: dict[str, bool] | None = None,
    full: bool = True,
) -> dict[str, Any]:
    """One repository as `GET /repos/…` shows it, or without the members that only the full form has.

    rights: what the caller may do; None for those who did not sign in.
    """
    data, home, page = found.metadata, f"{api}/repos/{found.full_name}", f"{web}/{found.full_name}"
    pushed_at = found.pushed_at
    document: dict[str, Any] = {
        "id": found.id,
        "node_id": node_id("R", found.id),
        "name": found.name,
        "full_name": found.full_name,
        "private": data.private,
        "owner": user(owner, api, web) | {"login": found.owner},
        "html_url": page,
        "description": data.description,
        "fork": data.fork,
        "url": home,
        **{f"{name}_url": f"{home}/{rest}" for name, rest in zip(_LINK_NAMES, _LINKS, strict=True)},
        "created_at": data.created_at,
        "updated_at": pushed_at,
        "pushed_at": pushed_at,
        "git_url": f"git://{page.partition('://')[2]}.git",
        "ssh_url": f"git@{web.partition('://')[2]}:{found.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "homepage": None,
        "size": found.size,
        **dict.fromkeys(("stargazers_count", "watchers_count", "watchers"), data.stars),
        **dict.fromkeys(("forks_count", "forks", "open_issues_count", "open_issues"), 0),
        "language": data.language,
        **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "is_template", "web_commit_signoff_required"), False),
        "mirror_url": None,
        "archived": data.archived,
        "disabled": data.disabled,
        "license": _license(data.license, api),
        "allow_forking": True,
        "topics": data.topics,
        "visibility": "private" if data.private else "public",
        "default_branch": found.default_branch,
    }
    if rights is not None:
        document["permissions"] = rights
    if full:
        document |= {"temp_clone_token": None, "network_count": 0, "subscribers_count": 1}
    return document


def _license(spdx: str | None, api: str) -> dict[str, Any] | None:
    if spdx is None:
        return None
    key = spdx.lower()
    return {"key": key, "name": spdx, "spdx_id": spdx, "url": f"{api}/licenses/{key}", "node_id": f"L_{key}"}


def installation(one: Installation, account: dict[str, Any], api: str) -> dict[str, Any]:
    """As `GET /app/installations/…` shows it."""
    return {
        "id": one.id,
        "account": account,
        "repository_selection": one.selection,
        "access_tokens_url": f"{api}/app/installations/{one.id}/access_tokens",
        "repositories_url": f"{api}/installation/repositories",
        "html_url": f"{account['html_url']}/settings/installations/{one.id}",
        "app_id": int(one.app_id) if one.app_id.isdigit() else 1,
        "app_slug": f"app-{one.app_id}",
        "target_id": account["id"],
        "target_type": account["type"],
        "permissions": one.permissions,
        "events": ["push", "create", "delete", "repository"],
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }


def message(text: str, status: int, page: str = "", **more: Any) -> dict[str, Any]:
    """An error. GitHub writes the status into the body as text."""
    return {"message": text, **more, "documentation_url": DOCS + page, "status": str(status)}


RANGES = ["192.30.252.0/22", "185.199.108.0/22", "140.82.112.0/20", "143.55.64.0/20", "2a0a:a440::/29"]


def meta(web: str, hooks: list[str]) -> dict[str, Any]:
    """hooks: the addresses from which hooks are sent."""
    ranges = RANGES
    return {
        "verifiable_password_authentication": False,
        "hooks": hooks,
        "web": ranges,
        "api": ranges,
        "git": ranges,
        "domains": {"website": [web.partition("://")[2]]},
    }
