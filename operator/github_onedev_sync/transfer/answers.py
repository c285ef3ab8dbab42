"""What an HTTP status from either side means for a mirror: the error with its policy, and a sentence.

Source: GitHub's statuses as in its REST documentation and its git endpoint; target: OneDev's `GitFilter`, whose
errors are plain text while an HTML page means that the server is not up yet or something else answers.
"""

from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting

_LONGEST_WAIT = timedelta(hours=1)
_SHORTEST_WAIT = timedelta(seconds=30)


def public(url: str) -> str:
    """`url` without user, password and query, fit for a message."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def looks_like_html(content_type: str, body: str) -> bool:
    return "html" in content_type.lower() or body.lstrip()[:9].lower().startswith(("<!doctype", "<html"))


def untrusted(reason: Reason, url: str) -> SyncError:
    return Retry(
        reason,
        f"the certificate of {public(url)} is not trusted; put its authority's PEM under the key ca.crt of the Secret",
    )


def unreachable(reason: Reason, url: str, error: Exception) -> SyncError:
    """A connection of aiohttp's that did not come about or broke."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return untrusted(reason, url)
    if isinstance(error, TimeoutError):
        return Retry(reason, f"{public(url)} did not answer in time")
    return Retry(reason, f"{public(url)} cannot be reached: {error or type(error).__name__}")


def source_error(
    url: str, status: int, body: str = "", *, authenticated: bool = True, retry_after: str | None = None
) -> SyncError:
    """The error for `status` from the source at `url`. `body` is the answer's text, as far as it was read."""
    where = public(url)
    text = body.lower()
    if status == 401 and authenticated:
        return Stalled(
            Reason.SOURCE_AUTHENTICATION_FAILED,
            f"{where} refused the token (401); put a valid one into the Secret that spec.source.secretRef names",
        )
    if status in (401, 404):
        seen = "" if authenticated else " without a token"
        return Retry(Reason.PRIVATE_OR_GONE, f"{where} cannot be seen{seen} ({status}): private, renamed or deleted")
    if status == 429 or (status == 403 and ("rate limit" in text or retry_after)):
        return Waiting(Reason.RATE_LIMITED, f"{where} asks for a pause ({status})", _pause(retry_after))
    if status == 451 or (status == 403 and "dmca" in text):
        return Retry(Reason.TAKEN_DOWN, f"{where} was taken down for legal reasons ({status}); the mirror is kept")
    if status == 403 and "disabled" in text and "staff" not in text:
        return Retry(Reason.DISABLED, f"{where} is disabled at the source (403); the mirror is kept as it is")
    if status == 403:
        return Retry(Reason.BLOCKED, f"{where} refuses access (403); the mirror is kept as it is")
    return Retry(Reason.SOURCE_UNAVAILABLE, f"{where} answered {status}")


def target_error(url: str, status: int, content_type: str = "", body: str = "") -> SyncError:
    """The error for `status` from OneDev at `url`."""
    where = public(url)
    html = looks_like_html(content_type, body)
    if status == 401:
        return Stalled(
            Reason.TARGET_AUTHENTICATION_FAILED,
            f"{where} refused the token (401); put a valid one into the Secret that the OneDevServer names",
        )
    if status == 403 and not html:
        return Stalled(
            Reason.TARGET_NOT_PERMITTED,
            f"{where} does not let the account of the token write (403); give it a role with code write permission",
        )
    if status == 404 and not html:
        return Retry(Reason.TARGET_CHANGED, f"{where} is no project any more (404); the next attempt makes it again")
    if status == 413:
        return Stalled(
            Reason.TARGET_REFUSED, f"a proxy in front of {where} refuses large pushes (413); raise its body size limit"
        )
    return Retry(Reason.TARGET_UNAVAILABLE, f"{where} answered {status}{' with a web page' if html else ''}")


def _pause(retry_after: str | None) -> timedelta:
    """`Retry-After` in seconds (RFC 9110, 10.2.3; a date counts as the shortest wait), within sane bounds."""
    seconds = int(retry_after[:9]) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0
    return min(max(timedelta(seconds=seconds), _SHORTEST_WAIT), _LONGEST_WAIT)
