"""What an answer of OneDev's other than success means.

Bodies are plain text, never JSON. A 500 is OneDev's ordinary word for a business error (name taken, branch missing)
and then carries a sentence; only `Server Error` and Hibernate's texts are accidents. A 404 means "absent" only where
it is OneDev's own text: while it starts, the server answers an HTML 404 for every path.
"""

from datetime import timedelta

import httpx

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from .trust import what_broke

# Starting takes a minute, on a loaded machine several.
START_UP = timedelta(seconds=15)
_ABSENT = ("Project not found or inaccessible", "No row with the given identifier exists")
_NO_SUCH_CALL = "HTTP 404"
_NAME_TAKEN = "already used"
_LOST_RACE = (_NAME_TAKEN, "could not execute statement")
_ACCIDENT = ("Server Error", "could not execute statement", "could not execute query")
_QUOTED = 300


def absent(answer: httpx.Response) -> bool:
    """Whether OneDev says that there is no such project, or none that the account may see."""
    return answer.status_code == 404 and _is_text(answer) and answer.text.startswith(_ABSENT)


def lost_race(answer: httpx.Response) -> bool:
    """Whether a creation failed because somebody else was faster, in either of OneDev's wordings."""
    return answer.status_code == 500 and any(words in answer.text for words in _LOST_RACE)


def hidden(answer: httpx.Response, path: str) -> Stalled | None:
    """For a creation that lost the race to a project which the account cannot see."""
    if _NAME_TAKEN not in answer.text:
        return None
    return Stalled(
        Reason.TARGET_NOT_PERMITTED,
        f"OneDev has a project {path} already, which the account may not see: give it Manage Project there",
    )


def refusal(answer: httpx.Response, what: str, needs: str) -> SyncError:
    """The policy for this answer. `what` is the act (`create project a/b`), `needs` the permission it takes."""
    status, sentence = answer.status_code, _sentence(answer)
    said = f": {sentence}" if sentence else ""
    if status == 401:
        return Stalled(
            Reason.TARGET_AUTHENTICATION_FAILED,
            "OneDev refuses the access token: it is wrong, expired, or its owner is disabled. "
            "Put a valid one under the key token of the Secret",
        )
    if status == 403:
        return Stalled(Reason.TARGET_NOT_PERMITTED, f"OneDev does not let the account {what}; it needs {needs}{said}")
    if absent(answer):
        return Retry(Reason.TARGET_CHANGED, f"The OneDev project went away before this could be done: {what}")
    if status == 404 and not (_is_text(answer) and sentence.startswith(_NO_SUCH_CALL)):
        return starting()
    if status == 503 and "not ready" in sentence:
        return starting()
    if 300 <= status < 400:
        return Stalled(
            Reason.TARGET_REFUSED,
            f"The server redirects to {_place(answer)}, where the token is not sent: is spec.url right?",
        )
    if status in (408, 429, 502, 503, 504) or (status >= 500 and _accident(answer, sentence)):
        return Retry(Reason.TARGET_UNAVAILABLE, f"OneDev answers {status} to: {what}{said}")
    return Stalled(Reason.TARGET_REFUSED, f"OneDev refuses to {what} ({status}){said}")


def starting() -> Waiting:
    return Waiting(
        Reason.TARGET_UNAVAILABLE, "OneDev is starting or stopping, or spec.url leads to another server", START_UP
    )


def not_onedev(what: str) -> Retry:
    return Retry(
        Reason.TARGET_UNAVAILABLE,
        f"The answer to {what} is not OneDev's: is spec.url right, and does no log-in page stand before it?",
    )


def unreachable(error: httpx.RequestError, host: str) -> Retry:
    """A connection that did not come about or broke."""
    text = what_broke(error, host, timed_out=isinstance(error, httpx.TimeoutException))
    return Retry(Reason.TARGET_UNAVAILABLE, text)


def _is_text(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-type", "")).startswith("text/plain")


def is_html(answer: httpx.Response) -> bool:
    """Whether a page answered, and so no REST API."""
    return "html" in answer.headers.get("content-type", "") or answer.text.lstrip()[:1] == "<"


def _accident(answer: httpx.Response, sentence: str) -> bool:
    return not sentence or is_html(answer) or sentence.startswith(_ACCIDENT)


def _sentence(answer: httpx.Response) -> str:
    """OneDev's words on one line; a proxy's HTML page is nothing to quote."""
    return "" if is_html(answer) else " ".join(answer.text.split())[:_QUOTED].rstrip(".")


def _place(answer: httpx.Response) -> str:
    """Scheme and host alone: a path or query may carry a secret."""
    try:
        url = answer.url.join(answer.headers.get("location", ""))
    except httpx.InvalidURL:
        return "another address"
    return f"{url.scheme}://{url.host}" + (f":{url.port}" if url.port else "")
