"""Webhooks at GitHub: where they lead, its log of what it delivered to them, and asking it to deliver once more.

An App asks as itself, and its one log is of all its installations. Who may not see webhooks is answered 404 or 403,
which says nothing against what else the credentials are for.
"""

from typing import Annotated
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..api.errors import SyncError, Waiting
from ..api.hooks import AppHooks, Attempt, AttemptPage, Hook, HookList, HookPlace, OrganizationHooks, RepositoryHooks
from ..api.urgency import Urgency
from . import github_errors
from .credentials import App
from .github_client import Answer
from .github_http import GitHubHttp
from .github_listing import Place, next_cursor, page_url

_NEEDS = {
    OrganizationHooks: "the scope admin:org_hook, or the organisation permission Webhooks: read and write",
    RepositoryHooks: "the scope write:repo_hook, or the repository permission Webhooks: read and write",
    AppHooks: "the App's own key",
}


class _Part(BaseModel):
    """What is read of it; servers of other ages may lack or add members."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _Config(_Part):
    url: str | None = None


class _Hook(_Part):
    id: Annotated[int, Field(gt=0, lt=2**63)]
    config: _Config = _Config()


class _Attempt(_Part):
    id: Annotated[int, Field(gt=0, lt=2**63)]
    guid: Annotated[str, Field(min_length=1, max_length=100)]
    delivered_at: AwareDatetime
    redelivery: bool = False
    status_code: int = 0
    installation_id: int | None = None


_HOOKS = TypeAdapter(list[_Hook])
_ATTEMPTS = TypeAdapter(list[_Attempt])


async def hooks(http: GitHubHttp, urgency: Urgency, place: HookPlace, etag: str) -> HookList:
    listing = _listing(place)
    path = listing.path if isinstance(place, AppHooks) else listing.first_page
    answer = await _ask(http, "GET", path, place, listing.what, urgency, etag)
    if answer.status == 304 and etag:
        return HookList(etag=etag, unchanged=True)
    if answer.status != 200:
        if not _is_hidden(http, answer, listing):
            raise _refusal(http, answer, listing)
        hidden = f"GitHub does not show {listing.what} to these credentials: that takes {listing.needs}"
        return HookList(hidden=hidden, denied=answer.status == 403)
    try:
        found = _read(answer.body, place)
    except ValidationError as error:
        raise github_errors.not_github(listing.what, "it is no list of webhooks") from error
    return HookList(found, str(answer.headers.get("etag", "")))


async def attempts(http: GitHubHttp, urgency: Urgency, hook: Hook, cursor: str, etag: str) -> AttemptPage:
    log = _log(hook)
    answer = await _ask(http, "GET", page_url(http.api_url, log, cursor), hook.place, log.what, urgency, etag)
    if answer.status == 304 and etag:
        return AttemptPage(etag=etag, unchanged=True)
    if answer.status != 200:
        if not _is_hidden(http, answer, log):
            raise _refusal(http, answer, log)
        return AttemptPage()  # it was taken away since it was listed
    try:
        rows = _ATTEMPTS.validate_json(answer.body)
    except ValidationError as error:
        raise github_errors.not_github(log.what, "it is no log of deliveries") from error
    times = [row.delivered_at for row in rows]
    return AttemptPage(
        rows=tuple(_attempt(row) for row in rows if _is_ours(row, http)),
        next=next_cursor(answer.headers, http.api_url, log, cursor),
        etag=str(answer.headers.get("etag", "")),
        newest=max(times, default=None),
        oldest=min(times, default=None),
    )


async def redeliver(http: GitHubHttp, urgency: Urgency, hook: Hook, attempt: int) -> bool:
    """False where GitHub will not: it is not in its log any more, or the credentials may only read."""
    log = _log(hook)
    answer = await _ask(http, "POST", f"{log.path}/{attempt:d}/attempts", hook.place, log.what, urgency)
    if 200 <= answer.status < 300:
        return True
    if not _is_hidden(http, answer, log):
        raise _refusal(http, answer, log)
    return False


async def _ask(
    http: GitHubHttp, verb: str, url: str, place: HookPlace, what: str, urgency: Urgency, etag: str = ""
) -> Answer:
    headers = {"If-None-Match": etag} if etag else {}
    if isinstance(place, AppHooks):
        return await http.as_app(verb, url, what, urgency, headers)
    return await (http.get(url, what, urgency, headers) if verb == "GET" else http.post(url, what, urgency))


def _refusal(http: GitHubHttp, answer: Answer, place: Place) -> SyncError:
    return http.refused(answer, place.what, needs=place.needs)


def _is_hidden(http: GitHubHttp, answer: Answer, place: Place) -> bool:
    """GitHub refuses this alone, and not the credentials or their rate."""
    if not 400 < answer.status < 500 or answer.status == 401 or not github_errors.is_githubs(answer.body):
        return False
    return not isinstance(_refusal(http, answer, place), Waiting)


def _listing(place: HookPlace) -> Place:
    needs = _NEEDS[type(place)]
    match place:
        case AppHooks():
            return Place("/app/hook/config", "the App's webhook", needs, {})
        case OrganizationHooks(login):
            return Place(f"/orgs/{quote(login)}/hooks", f"the webhooks of {login}", needs, {})
        case RepositoryHooks(full_name):
            return Place(f"/repos/{quote(full_name)}/hooks", f"the webhooks of {full_name}", needs, {})


def _log(hook: Hook) -> Place:
    of = _listing(hook.place)
    base = "/app/hook" if isinstance(hook.place, AppHooks) else f"{of.path}/{hook.id:d}"
    return Place(f"{base}/deliveries", f"the deliveries of {of.what}", of.needs, {})


def _read(body: str, place: HookPlace) -> tuple[Hook, ...]:
    if isinstance(place, AppHooks):
        url = _Config.model_validate_json(body).url
        return (Hook(place, url),) if url else ()
    return tuple(Hook(place, one.config.url, one.id) for one in _HOOKS.validate_json(body) if one.config.url)


def _is_ours(row: _Attempt, http: GitHubHttp) -> bool:
    """An App's other installations have credentials of their own."""
    app = http.credentials
    return not isinstance(app, App) or row.installation_id == app.installation_id


def _attempt(row: _Attempt) -> Attempt:
    return Attempt(row.id, row.guid, row.delivered_at, row.status_code, row.redelivery)
