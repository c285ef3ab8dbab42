"""Names that the cluster, OneDev and other people's manifests know us by."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

GROUP = "github-onedev-sync.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = f"{GROUP}/finalizer"

# What a person or the webhook writes on a mirror.
REQUESTED_AT = f"{GROUP}/requestedAt"
APPROVE = f"{GROUP}/approve"

# What a sync writes on its mirrors: GitHub's id of the repository, and which sync has its settings there. A label
# `srs.github-onedev-sync.io/my-stars` says that this sync covers the mirror, and the annotation of the same name since
# when it does not any more.
REPOSITORY_ID = f"{GROUP}/repository-id"
SYNC = f"{GROUP}/sync"
FIELD_MANAGER = "github-onedev-sync"

# What we write on Jobs and pods. A watch selects on COMPONENT; slots are counted by SERVER_UID and CREDENTIAL.
COMPONENT = f"{GROUP}/component"
COMPONENT_SYNC = "sync"
SERVER_UID = f"{GROUP}/server-uid"
CREDENTIAL = f"{GROUP}/credential"
RUN = f"{GROUP}/run"
# A Job's annotation: uid, name and generation of every mirror that it works for, as JSON.
MIRRORS = f"{GROUP}/mirrors"
# Version 0.1.0 had one mirror in a Job, and told its uid by a label and its generation by an annotation.
MIRROR_UID = f"{GROUP}/mirror-uid"
GENERATION = f"{GROUP}/generation"

# What status.lastHandledReconcileAt holds, so that a longer token is handled once and not for ever.
_TOKEN_LIMIT = 1024
_LABEL_LIMIT = 63
_JOB_SUFFIX = 8

# OneDev's own rule for project names (`ProjectNameValidator`), which its REST API does not check.
PROJECT_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
PROJECT_PATH_LIMIT = 255
# Of a mirror below its server's rootProject.
TARGET_PATH_LIMIT = 160
# Words that OneDev's web pages claim for themselves at any depth of a path.
RESERVED_SEGMENTS = frozenset(
    (
        "avatars",
        "favicon.ico",
        "favicon.png",
        "logo.png",
        "prefetch.json",
        "projects",
        "robots.txt",
        "sitemap.txt",
        "sitemap.xml",
        "wicket",
    )
)


def request_token(annotations: Mapping[str, str]) -> str | None:
    """The token with which somebody asked for a look now."""
    token = annotations.get(REQUESTED_AT)
    return token[:_TOKEN_LIMIT] if token else None


def project_path(repository: str) -> str:
    """The OneDev path for GitHub's `owner/name`: legal, readable and the same every time.

    A segment that OneDev's pages could not show is mended with an underscore: `.github` becomes `_.github`,
    `wicket` becomes `wicket_`.
    """
    return "/".join(_project_segment(segment) for segment in repository.split("/"))


def _project_segment(segment: str) -> str:
    if not re.fullmatch(PROJECT_SEGMENT, segment):
        segment = "_" + segment
    if segment.lower() in RESERVED_SEGMENTS or segment.lower().endswith(".git"):
        segment += "_"
    return segment


def sync_word(short: str, name: str) -> str:
    """What names a sync in labels: `srs.my-stars`; a name too long for one ends in a hash."""
    return f"{short}.{_cut(name, _LABEL_LIMIT - len(short) - 1)}"


def covered_by(short: str, name: str) -> str:
    """The label by which a sync covers a mirror, such as `srs.github-onedev-sync.io/my-stars`."""
    return f"{short}.{GROUP}/{_cut(name, _LABEL_LIMIT)}"


def field_manager(short: str, name: str) -> str:
    """Who a sync is to server-side apply."""
    return f"{FIELD_MANAGER}/{sync_word(short, name)}"


def mirror_name(repository: str, repository_id: int, api_url: str) -> str:
    """The name of a sync's mirror: legal, readable, and the same for the same repository of the same GitHub."""
    host = (urlsplit(api_url).hostname or "").lower()
    end = f"-{repository_id}"
    if host != "api.github.com":
        end += f"-{hashlib.sha256(host.encode()).hexdigest()[:4]}"
    stem = re.sub(r"[^a-z0-9]+", "-", repository.lower()).strip("-")[: _LABEL_LIMIT - len(end)].strip("-")
    return f"{stem or 'repository'}{end}"


def project_of(template: str, repository: str) -> str:
    """The OneDev path that a `projectTemplate` makes of GitHub's `owner/name`, mended as in `project_path`."""
    owner, _, name = repository.partition("/")
    return project_path(template.replace("{owner}", owner).replace("{name}", name))


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit - 9].rstrip('.-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_id(*parts: object) -> str:
    """Eight hex digits that name one run: the same for the same parts, so a restarted controller finds it again."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:_JOB_SUFFIX]


def job_name(mirror: str, run: str) -> str:
    """A legal Job name (its pods carry it as a label, so at most 63 characters) that starts with the mirror's name."""
    stem = re.sub(r"[^a-z0-9-]+", "-", mirror.lower())[: _LABEL_LIMIT - _JOB_SUFFIX - 1 - 12].strip("-") or "mirror"
    return f"{stem}-{run}"
