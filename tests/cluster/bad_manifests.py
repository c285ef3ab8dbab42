"""Manifests that the API server must refuse, and what it must say; and some odd ones that it must take.

A row changes one thing in a manifest that is good otherwise. `says` are the words that a person needs: the field first,
then the remedy.
"""

import copy
from dataclasses import dataclass
from typing import Any

GONE = object()
API_VERSION = "github-onedev-sync.io/v1alpha1"

GOOD: dict[str, dict[str, Any]] = {
    "OneDevServer": {"url": "https://onedev.example.com", "secretRef": {"name": "onedev"}},
    "RepositoryMirror": {
        "source": {"repository": "pallets/flask"},
        "target": {"serverRef": {"name": "default"}},
    },
    "StarredReposSync": {"user": "octocat", "template": {"target": {"serverRef": {"name": "default"}}}},
    "OwnedReposSync": {"owner": "pallets", "template": {"target": {"serverRef": {"name": "default"}}}},
}


@dataclass(frozen=True)
class Row:
    """`change` maps paths below spec to values, or to GONE; `name` becomes the object's name."""

    name: str
    kind: str
    change: dict[str, Any]
    says: tuple[str, ...] = ()

    @property
    def manifest(self) -> dict[str, Any]:
        return manifest(self.kind, self.name, self.change)


def manifest(kind: str, name: str, change: dict[str, Any]) -> dict[str, Any]:
    spec = copy.deepcopy(GOOD[kind])
    for path, value in change.items():
        *parents, last = path.split(".")
        place = spec
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is GONE:
            place.pop(last, None)
        else:
            place[last] = value
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def mirror(name: str, change: dict[str, Any], *says: str) -> Row:
    return Row(f"mirror-{name}", "RepositoryMirror", change, says)


def server(name: str, change: dict[str, Any], *says: str) -> Row:
    return Row(f"server-{name}", "OneDevServer", change, says)


def stars(name: str, change: dict[str, Any], *says: str) -> Row:
    return Row(f"stars-{name}", "StarredReposSync", change, says)


def owned(name: str, change: dict[str, Any], *says: str) -> Row:
    return Row(f"owned-{name}", "OwnedReposSync", change, says)


def syncs(name: str, change: dict[str, Any], *says: str) -> tuple[Row, Row]:
    """A rule that both kinds of syncs have."""
    return stars(name, change, *says), owned(name, change, *says)


def settings(name: str, change: dict[str, Any], *says: str) -> tuple[Row, ...]:
    """A rule that a mirror's spec and the template of a sync share."""
    below = {f"template.{path}": value for path, value in change.items()}
    return mirror(name, change, *says), *syncs(f"template-{name}", below, *says)


def github(name: str, change: dict[str, Any], *says: str) -> tuple[Row, ...]:
    """A rule that the sources of a mirror and of a sync share."""
    below = {f"source.{path}": value for path, value in change.items()}
    return mirror(name, below, *says), *syncs(name, below, *says)


REPOSITORY = "source.repository"
PROJECT = "target.project"
INCLUDE, EXCLUDE = "refs.include", "refs.exclude"
WEB_PAGES = "OneDev's own pages claim"

BAD: tuple[Row, ...] = (
    # source.repository
    mirror("no-source", {"source": GONE}, "spec.source: Required value"),
    mirror("no-repository", {"source": {}}, "spec.source.repository: Required value"),
    mirror("repository-empty", {REPOSITORY: ""}, "spec.source.repository", "at least 1 chars"),
    mirror("repository-url", {REPOSITORY: "https://github.com/pallets/flask"}, "owner/name", "not a URL"),
    mirror("repository-ssh", {REPOSITORY: "git@github.com:pallets/flask"}, "owner/name", "not a URL"),
    mirror("repository-host", {REPOSITORY: "github.com/pallets/flask"}, "owner/name", "not a URL"),
    mirror("repository-dot-git", {REPOSITORY: "pallets/flask.git"}, "source.repository must not end in .git"),
    mirror("repository-no-owner", {REPOSITORY: "flask"}, "source.repository must be owner/name", "pallets/flask"),
    mirror("repository-deep", {REPOSITORY: "pallets/flask/docs"}, "source.repository must be owner/name"),
    mirror("repository-space", {REPOSITORY: "pallets/my flask"}, "source.repository must be owner/name"),
    mirror("repository-umlaut", {REPOSITORY: "pallets/flüsk"}, "source.repository must be owner/name"),
    mirror("repository-newline", {REPOSITORY: "pallets/flask\n"}, "source.repository must be owner/name"),
    mirror("repository-dots", {REPOSITORY: "pallets/.."}, "source.repository must be owner/name"),
    mirror("repository-long-owner", {REPOSITORY: f"{'o' * 40}/flask"}, "an owner of at most 39"),
    mirror("repository-long", {REPOSITORY: f"pallets/{'n' * 200}"}, "spec.source.repository", "140"),
    mirror("repository-number", {REPOSITORY: 7}, "spec.source.repository", "must be of type string"),
    # source.apiURL and its Secret, for both kinds that have them
    *github("api-http", {"apiURL": "http://github.example.com/api/v3"}, "travel in clear", "source.insecure: true"),
    *github("api-credentials", {"apiURL": "https://me:pw@api.github.com"}, "source.apiURL", "token into a Secret"),
    *github("api-query", {"apiURL": "https://api.github.com/?page=1"}, "source.apiURL", "query", "leave out"),
    *github("api-fragment", {"apiURL": "https://api.github.com/#top"}, "source.apiURL", "fragment", "leave out"),
    *github("api-web", {"apiURL": "https://github.com"}, "web pages", "use https://api.github.com"),
    *github("api-ftp", {"apiURL": "ftp://api.github.com"}, "source.apiURL must be https://HOST"),
    *github("api-no-host", {"apiURL": "https:///api/v3"}, "source.apiURL must be https://HOST"),
    *github("api-no-scheme", {"apiURL": "api.github.com"}, "source.apiURL must be https://HOST"),
    *github("api-dots", {"apiURL": "https://.../"}, "source.apiURL must be https://HOST"),
    *github("api-port", {"apiURL": "https://api.github.com:65536"}, "source.apiURL must be https://HOST[:PORT]"),
    *github("api-space", {"apiURL": "https://api.github.com/a b"}, "source.apiURL must be https://HOST"),
    *github("secret-name", {"secretRef": {"name": "My_Secret"}}, "source.secretRef.name", "name of a Secret"),
    *github("secret-no-name", {"secretRef": {}}, "spec.source.secretRef.name: Required value"),
    # target
    mirror("no-target", {"target": GONE}, "spec.target: Required value"),
    mirror("no-server", {"target": {}}, "spec.target.serverRef: Required value"),
    *settings("server-name", {"target.serverRef": {"name": "De fault"}}, "target.serverRef.name", "OneDevServer"),
    *settings("project-slash", {PROJECT: "/pallets/flask"}, "target.project must be a OneDev path", "single slashes"),
    *settings("project-slash-end", {PROJECT: "pallets/flask/"}, "target.project must be a OneDev path"),
    *settings("project-slashes", {PROJECT: "pallets//flask"}, "target.project must be a OneDev path"),
    *settings("project-dot", {PROJECT: "acme/.github"}, "target.project must be a OneDev path", "begin with"),
    *settings("project-space", {PROJECT: "acme/my flask"}, "target.project must be a OneDev path"),
    *settings("project-tilde", {PROJECT: "acme/~files"}, "target.project must be a OneDev path"),
    *settings("project-reserved", {PROJECT: "acme/projects"}, "target.project", WEB_PAGES, "add an underscore"),
    *settings("project-reserved-case", {PROJECT: "Wicket/flask"}, "target.project", WEB_PAGES, "add an underscore"),
    *settings("project-git", {PROJECT: "acme/flask.git"}, "target.project", "leave .git out"),
    *settings("project-long", {PROJECT: "a/" * 100 + "b"}, "target.project", "160"),
    *syncs("project", {"template.target.project": "all"}, "template.target.project", "set projectTemplate instead"),
    # refs
    *settings("include-none", {INCLUDE: []}, "refs.include must not be empty", "refs/heads/*"),
    *settings("include-short", {INCLUDE: ["main"]}, "refs.include must begin with refs/heads/"),
    *settings("include-pulls", {INCLUDE: ["refs/pull/*"]}, "refs.include must begin with refs/heads/"),
    *settings("include-space", {INCLUDE: ["refs/heads/a b"]}, "refs.include must not contain a space", "use * or ?"),
    *settings("include-tab", {INCLUDE: ["refs/heads/a\tb"]}, "refs.include must not contain a space"),
    *settings("include-caret", {INCLUDE: ["refs/heads/^x"]}, "refs.include must not contain a space"),
    *settings("include-colon", {INCLUDE: ["refs/heads/a:refs/heads/b"]}, "refs.include must not contain a space"),
    *settings("include-bracket", {INCLUDE: ["refs/heads/[ab]"]}, "refs.include must not contain a space"),
    *settings("include-backslash", {INCLUDE: ["refs/heads/a\\b"]}, "refs.include must not contain a space"),
    *settings("include-dots", {INCLUDE: ["refs/heads/a..b"]}, "refs.include must be able to match", "leave out"),
    *settings("include-slashes", {INCLUDE: ["refs/heads//a"]}, "refs.include must be able to match"),
    *settings("include-lock", {INCLUDE: ["refs/heads/a.lock"]}, "refs.include must be able to match"),
    *settings("include-many", {INCLUDE: ["refs/heads/*"] * 65}, "refs.include", "64"),
    *settings("exclude-short", {EXCLUDE: ["feature/*"]}, "refs.exclude must begin with refs/heads/"),
    *settings("exclude-tilde", {EXCLUDE: ["refs/tags/~1"]}, "refs.exclude must not contain a space", "use * or ?"),
    *settings("exclude-end", {EXCLUDE: ["refs/tags/"]}, "refs.exclude must be able to match", "leave out"),
    # the other settings of a mirror
    *settings("rewrite", {"onRewrite": "Ignore"}, "onRewrite: Unsupported value", '"Archive", "Follow", "Block"'),
    *settings("engine", {"engine": "git"}, "engine: Unsupported value", '"Auto", "Relay", "Git"'),
    *settings("engine-lfs", {"engine": "Relay", "lfs": True}, "engine: Relay cannot copy", "set engine to Auto or Git"),
    *settings("deletion", {"deletionPolicy": "Orphan"}, "deletionPolicy: Unsupported value", '"Retain"'),
    *settings("keep-for", {"archive.keepFor": "30d"}, "archive.keepFor must be a duration", "720h"),
    *settings("keep-last", {"archive.keepLast": -1}, "archive.keepLast", "greater than or equal to 0"),
    *settings("interval-short", {"interval": "29s"}, "interval must be a duration of at least 30s"),
    *settings("interval-number", {"interval": "600"}, "interval must be a duration of at least 30s", "10m"),
    *settings("interval-negative", {"interval": "-10m"}, "interval must be a duration of at least 30s"),
    *settings("interval-huge", {"interval": "9999999999h"}, "interval must be a duration of at least 30s"),
    *settings("interval-integer", {"interval": 600}, "interval", "must be of type string"),
    *settings("timeout-zero", {"timeout": "0s"}, "timeout must be a duration from 1s to 24h"),
    *settings("timeout-long", {"timeout": "25h"}, "timeout must be a duration from 1s to 24h"),
    *settings("timeout-days", {"timeout": "1d"}, "timeout must be a duration from 1s to 24h", "30m"),
    *settings("suspend", {"suspend": "yes"}, "suspend", "must be of type boolean"),
    mirror("typo", {"intervall": "10m"}, 'unknown field "spec.intervall"'),
    # OneDevServer
    server("no-url", {"url": GONE}, "spec.url: Required value"),
    server("no-secret", {"secretRef": GONE}, "spec.secretRef: Required value"),
    server("http", {"url": "http://onedev.example.com"}, "travel in clear", "insecure: true"),
    server("http-shouted", {"url": "HTTP://onedev.example.com"}, "travel in clear", "insecure: true"),
    server("credentials", {"url": "https://admin:pw@onedev.example.com"}, "url", "put the token into a Secret"),
    server("query", {"url": "https://onedev.example.com?a=b"}, "url must not contain a query", "leave out"),
    server("rest", {"url": "https://onedev.example.com/~api"}, "front page", "leave out everything from /~"),
    server("no-host", {"url": "https://"}, "url must be https://HOST"),
    server("no-scheme", {"url": "onedev.example.com"}, "url must be https://HOST"),
    server("scheme", {"url": "ssh://onedev.example.com"}, "url must be https://HOST"),
    server("port", {"url": "https://onedev.example.com:port"}, "url must be https://HOST[:PORT]"),
    server("port-high", {"url": "https://onedev.example.com:70000"}, "url must be https://HOST[:PORT]"),
    server("secret-name", {"secretRef": {"name": "-x"}}, "secretRef.name", "name of a Secret"),
    server("root-slash", {"rootProject": "/"}, "rootProject must be a OneDev path", "github"),
    server("root-empty", {"rootProject": ""}, "rootProject", "at least 1 chars"),
    server("root-reserved", {"rootProject": "projects"}, "rootProject", WEB_PAGES, "add an underscore"),
    server("root-git", {"rootProject": "mirrors.git"}, "rootProject", "leave .git out"),
    server("root-long", {"rootProject": "r" * 64}, "rootProject", "63"),
    server("syncs-none", {"maxConcurrentSyncs": 0}, "maxConcurrentSyncs", "greater than or equal to 1"),
    server("syncs-many", {"maxConcurrentSyncs": 17}, "maxConcurrentSyncs", "less than or equal to 16"),
    # StarredReposSync and OwnedReposSync
    stars("nobody", {"user": GONE}, "user or source.secretRef is needed", "set user"),
    stars("user-url", {"user": "https://github.com/octocat"}, "user must be a GitHub login", "octocat"),
    stars("user-empty", {"user": ""}, "spec.user", "at least 1 chars"),
    stars("lists-anonymous", {"filter.lists": ["later"]}, "filter.lists needs source.secretRef", "without a token"),
    stars("lists-blank", {"filter.lists": [""], "source.secretRef": {"name": "github"}}, "filter.lists", "1 chars"),
    stars("owner", {"owner": "pallets"}, 'unknown field "spec.owner"'),
    owned("nobody", {"owner": GONE}, "owner or source.secretRef is needed", "set owner"),
    owned("owner-url", {"owner": "https://github.com/pallets"}, "owner must be a GitHub login", "pallets"),
    owned("lists", {"filter.lists": ["later"]}, 'unknown field "spec.filter.lists"'),
    *syncs("no-template", {"template": GONE}, "spec.template: Required value"),
    *syncs("template-source", {"template.source": {"repository": "a/b"}}, 'unknown field "spec.template.source"'),
    *syncs("interval", {"interval": "9s"}, "interval must be a duration of at least 10s"),
    *syncs("include-none", {"filter.include": []}, "filter.include must not be empty", "use *"),
    *syncs(
        "include-url", {"filter.include": ["https://github.com/a"]}, "filter.include must be a glob over owner/name"
    ),
    *syncs("exclude-brace", {"filter.exclude": ["{a,b}/*"]}, "filter.exclude must be a glob over owner/name"),
    *syncs("topic", {"filter.topics": ["Web Framework"]}, "filter.topics", "lower-case"),
    *syncs("forks", {"filter.forks": "No"}, "filter.forks: Unsupported value", '"Exclude"'),
    *syncs("archived", {"filter.archived": True}, "filter.archived", "must be of type string"),
    *syncs("visibility", {"filter.visibility": "Secret"}, "filter.visibility: Unsupported value", '"Public"'),
    *syncs("min-stars", {"filter.minStars": -1}, "filter.minStars", "greater than or equal to 0"),
    *syncs("max-size", {"filter.maxSizeMB": -1}, "filter.maxSizeMB", "greater than or equal to 0"),
    *syncs("pushed", {"filter.pushedWithin": "0s"}, "filter.pushedWithin must be a duration above 0s", "leave it out"),
    *syncs("expression-empty", {"filter.expression": ""}, "filter.expression", "at least 1 chars"),
    *syncs("expression-blank", {"filter.expression": " \n\t"}, "filter.expression must not be blank", "leave it out"),
    *syncs("expression-long", {"filter.expression": "true || " * 128 + "true"}, "filter.expression", "1024"),
    *syncs("expression-no-text", {"filter.expression": True}, "filter.expression", "must be of type string"),
    *syncs("placeholder-none", {"projectTemplate": "{owner}"}, "projectTemplate must contain {name}"),
    *syncs("placeholder-other", {"projectTemplate": "{user}/{name}"}, "placeholders {owner} and {name} only"),
    *syncs("project-path", {"projectTemplate": "/{owner}/{name}"}, "projectTemplate must make a OneDev path"),
    *syncs("project-reserved", {"projectTemplate": "projects/{name}"}, "projectTemplate", WEB_PAGES, "underscore"),
    *syncs("project-git", {"projectTemplate": "{owner}/{name}.git"}, "projectTemplate", "leave .git out"),
    *syncs("unstar", {"onUnstar": "Forget"}, "onUnstar: Unsupported value", '"Keep", "Archive", "Delete"'),
    *syncs("grace", {"unstarGracePeriod": "1 day"}, "unstarGracePeriod must be a duration", "24h"),
    *syncs("prune-much", {"maxPrunePercent": 101}, "maxPrunePercent", "less than or equal to 100"),
    *syncs("prune-less", {"maxPrunePercent": -1}, "maxPrunePercent", "greater than or equal to 0"),
)

GOOD_ROWS: tuple[Row, ...] = (
    mirror("least", {}),
    mirror("organisation", {REPOSITORY: "acme/.github"}),
    mirror("managed-user", {REPOSITORY: "octo_corp/a.b_c-d"}),
    mirror("one-letter", {REPOSITORY: "a/b"}),
    mirror("longest", {REPOSITORY: f"{'o' * 39}/{'n' * 100}"}),
    mirror("enterprise", {"source.apiURL": "https://github.example.com:8443/api/v3"}),
    mirror("consent", {"source.apiURL": "http://127.0.0.1:8080", "source.insecure": True}),
    mirror("secret", {"source.secretRef": {"name": "github.token-1"}}),
    mirror("project", {PROJECT: "Some_Team/_x.y-z/deep"}),
    mirror("project-lookalike", {PROJECT: "my-projects/wicket_"}),
    mirror("project-longest", {PROJECT: "p" * 160}),
    mirror("refs", {INCLUDE: ["refs/heads/release/*", "refs/notes/*"], EXCLUDE: ["refs/heads/*+*", "refs/tags/v?"]}),
    mirror("refs-wide", {INCLUDE: ["refs/heads/ünï@çode*"]}),
    mirror("durations", {"interval": "30s", "timeout": "24h", "archive": {"keepFor": "1h30m0.5s", "keepLast": 3}}),
    mirror("half", {"interval": "1.5h", "timeout": "1500ms"}),
    mirror("rest", {"onRewrite": "Block", "engine": "Git", "deletionPolicy": "Delete", "suspend": True}),
    mirror("relay", {"engine": "Relay"}),
    mirror("lfs", {"lfs": True}),
    mirror("lfs-git", {"engine": "Git", "lfs": True}),
    server("least", {}),
    server("path", {"url": "https://example.com/onedev/"}),
    server("consent", {"url": "http://onedev.onedev.svc.cluster.local:6610", "insecure": True}),
    server("address", {"url": "https://[2001:db8::1]:6610"}),
    server("root", {"rootProject": "mirrors/github.com", "maxConcurrentSyncs": 16}),
    stars("least", {}),
    stars("own", {"user": GONE, "source.secretRef": {"name": "github"}}),
    stars("lists", {"source.secretRef": {"name": "github"}, "filter.lists": ["Self-hosted ☆", "later"]}),
    stars("no-lists", {"filter.lists": []}),
    owned("least", {}),
    owned("installation", {"owner": GONE, "source.secretRef": {"name": "github-app"}}),
    *syncs("expression-longest", {"filter.expression": ("true || " * 128)[:1020] + "true"}),
    *syncs("flat", {"projectTemplate": "stars/{owner}-{name}"}),
    *syncs(
        "filter",
        {
            "filter": {
                "include": ["pallets/*", "*/flask"],
                "exclude": ["*-archive"],
                "languages": ["C++", "Jupyter Notebook"],
                "topics": ["web-framework"],
                "archived": "Exclude",
                "forks": "Only",
                "visibility": "Public",
                "minStars": 10,
                "maxSizeMB": 500,
                "pushedWithin": "8760h",
                "expression": 'repository.stars > 100 &&\n  !("deprecated" in repository.topics)',
            }
        },
    ),
    *syncs("template", {"template": {"target": {"serverRef": {"name": "default"}}, "lfs": False, "interval": "1h"}}),
    *syncs("guards", {"onUnstar": "Delete", "unstarGracePeriod": "0s", "maxPrunePercent": 0, "dryRun": True}),
)
