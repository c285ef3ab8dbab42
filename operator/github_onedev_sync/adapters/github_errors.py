"""What an answer of GitHub's other than 200 and 304 means for the mirror.

Sources: GitHub's pages "Rate limits for the REST API" and "Troubleshooting the REST API". 404 also stands for
"you may not see it", and a repository that GitHub took down answers 451, or 403 with a `block` member.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.observed import RateLimit
from .trust import what_broke

_SHORTEST_WAIT = timedelta(seconds=1)
_WITHOUT_HINT = timedelta(seconds=60)
# The primary limit is renewed every hour; anything longer is not GitHub's word.
_LONGEST_WAIT = timedelta(hours=1)
# Less is the way of the answer, and the seconds that a Date does not tell.
_CLOCKS_DIFFER = timedelta(minutes=1)
_QUOTED = 200

Headers = Mapping[str, Any]


def refusal(
    status: int,
    headers: Headers,
    body: str,
    what: str,
    *,
    anonymous: bool,
    owners_eyes: bool = False,
    needs: str = "Metadata and Contents: read",
    now: datetime,
) -> SyncError:
    """The policy for this answer. `what` names the thing asked for; header names are lower-case.

    `owners_eyes` tells that the token would see the thing if it were there; `needs` is which permission it takes.
    """
    answer = _members(body)
    message = sentence(answer.get("message"))
    block = answer.get("block")
    if status == 401:
        return Stalled(
            Reason.SOURCE_AUTHENTICATION_FAILED,
            "GitHub refuses the token: it is wrong, expired or revoked. Put a valid one into the Secret",
        )
    if status == 410:
        return Retry(Reason.GONE, f"GitHub says that {what} is gone for good. The mirror is kept as it is")
    if status == 404 and owners_eyes:
        return Retry(
            Reason.GONE,
            f"GitHub knows no {what}, and the token is its owner's own, which would see it: it was deleted, or given "
            "to somebody who hides it. The mirror is kept as it is; delete it if it shall go",
        )
    if status == 404:
        return Retry(Reason.PRIVATE_OR_GONE, _not_found(what, anonymous=anonymous))
    if status == 451:
        return Retry(
            Reason.TAKEN_DOWN,
            f"GitHub has taken down {what} for legal reasons{_link(block)}. The mirror is kept as it is",
        )
    if status == 403 and isinstance(block, Mapping):
        return Retry(Reason.BLOCKED, f"GitHub blocks access to {what}{_link(block)}. The mirror is kept as it is")
    if (limited := rate_limited(status, headers, message, now)) is not None:
        return limited
    if status == 403 and "disabled" in message.lower():
        return Retry(Reason.DISABLED, f"GitHub has disabled {what}: {message}. The mirror is kept as it is")
    if status == 403 and answer:
        return Stalled(
            Reason.SOURCE_AUTHENTICATION_FAILED,
            f"GitHub denies access to {what}: {message or 'no reason given'}. Check the token's permissions ({needs}), "
            "its organisation's single sign-on and allowed addresses",
        )
    if 300 <= status < 400:
        return Retry(
            Reason.SOURCE_UNAVAILABLE,
            f"The answer for {what} leads to another address, which is not followed: is spec.source.apiURL right?",
        )
    if 400 <= status < 500 and not answer:
        return not_github(what, f"status {status}")
    return Retry(Reason.SOURCE_UNAVAILABLE, f"GitHub answers {status} for {what}" + (f": {message}" if message else ""))


def rate_limited(status: int, headers: Headers, message: str, now: datetime) -> Waiting | None:
    """The wait that GitHub asks for, or None where this is not about a rate limit."""
    if status not in (403, 429):
        return None
    exhausted = headers.get("x-ratelimit-remaining") == "0"
    if not (status == 429 or exhausted or "retry-after" in headers or "rate limit" in message.lower()):
        return None
    reset = reset_time(headers, now)
    after = _retry_after(headers.get("retry-after"), now)
    if after is None and exhausted and reset is not None:
        after = reset - now
    return limit_reached(now + _bounded(after if after is not None else _WITHOUT_HINT), now)


def limit_reached(until: datetime, now: datetime, left: int = 0) -> Waiting:
    """`left` are the requests that whoever is more urgent may still make."""
    moment = until.astimezone(UTC)
    if moment.second or moment.microsecond:  # never a minute that has passed when people look at the clock
        moment += timedelta(minutes=1)
    text = f"GitHub allows {left} more requests until {moment:%H:%M} UTC"
    return Waiting(
        Reason.RATE_LIMITED,
        text + (", which are kept for what is more urgent" if left else ""),
        max(until - now, _SHORTEST_WAIT),
    )


def rate_limit(headers: Headers, now: datetime) -> RateLimit | None:
    """The primary limit as of this answer, or None where it tells none."""
    reset = reset_time(headers, now)
    try:
        remaining = int(float(headers["x-ratelimit-remaining"]))
        limit = int(float(headers["x-ratelimit-limit"]))
    except (KeyError, ValueError, OverflowError):
        return None
    return None if reset is None else RateLimit(remaining, limit, reset)


def reset_time(headers: Headers, now: datetime) -> datetime | None:
    """`x-ratelimit-reset` (seconds since 1970; sometimes a float) by our clock, which may be off, or None."""
    try:
        reset = datetime.fromtimestamp(float(headers["x-ratelimit-reset"]), UTC)
        ahead = now - (_date(headers.get("date")) or now)
        return reset if abs(ahead) <= _CLOCKS_DIFFER else reset + ahead
    except (KeyError, ValueError, OverflowError, OSError):
        return None


def not_github(what: str, saw: str) -> Retry:
    return Retry(
        Reason.SOURCE_UNAVAILABLE, f"The answer for {what} is not GitHub's ({saw}): is spec.source.apiURL right?"
    )


def user_not_found(login: str) -> Stalled:
    return Stalled(
        Reason.USER_NOT_FOUND,
        f"GitHub knows no user or organisation {login}: correct spec.user, or spec.owner of an OwnedReposSync",
    )


def is_githubs(body: str) -> bool:
    """Whether a refusal is in GitHub's form, and not some other server's page."""
    return bool(_members(body))


def only_for_apps(what: str) -> Stalled:
    return Stalled(
        Reason.INVALID_SPEC, f"Only the Secret of a GitHub App leads to {what}: set spec.owner, or give the App's keys"
    )


def installation_refused(app_id: str, installation_id: int) -> Stalled:
    return Stalled(
        Reason.SOURCE_AUTHENTICATION_FAILED,
        f"GitHub knows no installation {installation_id} of the App {app_id}: check appID, installationID and "
        "privateKey in the Secret, and that the App is still installed",
    )


def unreachable(error: requests.RequestException, host: str) -> Retry:
    """A connection that did not come about or broke."""
    text = what_broke(error, host, timed_out=isinstance(error, requests.Timeout))
    return Retry(Reason.SOURCE_UNAVAILABLE, text)


def sentence(message: object) -> str:
    """A server's own words on one line."""
    return " ".join(message.split())[:_QUOTED].rstrip(".") if isinstance(message, str) else ""


def _not_found(what: str, *, anonymous: bool) -> str:
    check = (
        "a private repository needs spec.source.secretRef"
        if anonymous
        else "check that the token may read it (access, expiry, single sign-on)"
    )
    return f"GitHub knows no {what}: it is gone, or private. The mirror is kept as it is; check the name, and {check}"


def _members(body: str) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, Mapping) else {}


def _link(block: object) -> str:
    url = block.get("html_url") if isinstance(block, Mapping) else None
    return f" ({url})" if isinstance(url, str) and url.startswith("https://") and len(url) <= _QUOTED else ""


def _retry_after(value: object, now: datetime) -> timedelta | None:
    """`Retry-After` is a number of seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if isinstance(value, str) and value.strip().isdecimal():
        try:
            return timedelta(seconds=int(value))
        except (ValueError, OverflowError):
            return None
    moment = _date(value)
    return None if moment is None else moment - now


def _date(value: object) -> datetime | None:
    """An HTTP date, which always has a zone."""
    if not isinstance(value, str):
        return None
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)
