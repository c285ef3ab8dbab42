"""The JSON that GitHub's REST API answers with."""

import base64
import hashlib
from typing import Any

from .catalogue import Repository

DOCS = "https://docs.github.com/rest"


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.lower().encode()).digest()[:3], "big")


def _node_id(kind: str, number: int) -> str:
    return f"{kind}_" + base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def user(login: str, api: str, web: str) -> dict[str, Any]:
    """The short form that is embedded everywhere."""
    number, home = _number(login), f"{api}/users/{login}"
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
        "node_id": _node_id("U", number),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": home,
        "html_url": f"{web}/{login}",
        **{name: home + rest for name, rest in links.items()},
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
    }


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


def repository(found: Repository, api: str, web: str, *, signed_in: bool, full: bool = True) -> dict[str, Any]:
    """One repository as `GET /repos/…` shows it, or without the members that only the full form has."""
    data, home, page = found.metadata, f"{api}/repos/{found.full_name}", f"{web}/{found.full_name}"
    pushed_at = found.pushed_at
    document: dict[str, Any] = {
        "id": found.id,
        "node_id": _node_id("R", found.id),
        "name": found.name,
        "full_name": found.full_name,
        "private": data.private,
        "owner": user(found.owner, api, web),
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
    if signed_in:
        document["permissions"] = {**dict.fromkeys(("admin", "maintain", "push", "triage"), False), "pull": True}
    if full:
        document |= {"temp_clone_token": None, "network_count": 0, "subscribers_count": 1}
    return document


def _license(spdx: str | None, api: str) -> dict[str, Any] | None:
    if spdx is None:
        return None
    key = spdx.lower()
    return {"key": key, "name": spdx, "spdx_id": spdx, "url": f"{api}/licenses/{key}", "node_id": f"L_{key}"}


def message(text: str, status: int, page: str = "", **more: Any) -> dict[str, Any]:
    """An error. GitHub writes the status into the body as text."""
    return {"message": text, **more, "documentation_url": DOCS + page, "status": str(status)}


def meta(web: str) -> dict[str, Any]:
    ranges = ["192.30.252.0/22", "185.199.108.0/22", "140.82.112.0/20", "143.55.64.0/20"]
    return {
        "verifiable_password_authentication": False,
        "hooks": ranges,
        "web": ranges,
        "api": ranges,
        "git": ranges,
        "domains": {"website": [web.partition("://")[2]]},
    }
