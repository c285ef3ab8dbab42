"""What git and OneDev say when something fails, read into errors with policy."""

import re
from collections.abc import Iterable, Mapping

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from .answers import public, source_error, target_error, untrusted
from .engine import Moved

_STATUS = re.compile(r"The requested URL returned error: (\d{3})")
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
# libcurl's words with GnuTLS (Debian's git) and with OpenSSL.
_UNTRUSTED = ("server certificate verification failed", "SSL certificate problem")
# Where another wanted ref builds on a shallow history's end, git finds that out by itself.
_SHALLOW = "fatal: Failed to traverse parents of commit"
_ASKED = ("could not read Username", "could not read Password", "Authentication failed")
_THEIRS = ("remote: fatal:", "remote: error:")
_TELLING = ("fatal:", "error:", "remote: ", "curl:")
_MOVED = ("failed to update ref", "stale info", "fetch first", "non-fast-forward", "already exists", "failed to lock")
_PORCELAIN = re.compile(r"(?P<flag>[ +\-*!=])\t(?P<source>[^\t:]*):(?P<name>[^\t]*)\t(?P<summary>.*)")
_OUT_OF_SPACE = "the worker's scratch space is full; raise worker.scratchSizeLimit in the chart's values"


def out_of_space() -> SyncError:
    return Retry(Reason.OUT_OF_SPACE, _OUT_OF_SPACE)


def shallow(url: str) -> SyncError:
    """Git warns and fetches nothing of use; OneDev would refuse commits whose parents it does not get."""
    words = "is shallow: it lacks history that OneDev needs; complete it with git fetch --unshallow"
    return Stalled(Reason.NOT_SUPPORTED, f"{public(url)} {words}")


def last_word(stderr: Iterable[str]) -> str:
    """The line that tells most about a failure: the other side's own last complaint, else git's."""
    lines = [line for line in stderr if line.strip()]
    theirs = [line for line in lines if line.startswith(_THEIRS)]
    telling = [line for line in lines if line.startswith(_TELLING)]
    return " ".join((theirs or telling or lines or ["no message"])[-1].split())[:300]


def fetch_error(url: str, stderr: list[str], *, authenticated: bool) -> SyncError:
    """Why `git fetch` from the source failed."""
    text = "\n".join(stderr)
    if any(words in text for words in _NO_SPACE):
        return out_of_space()
    if any(words in text for words in _UNTRUSTED):
        return untrusted(Reason.SOURCE_UNAVAILABLE, url)
    if status := _http_status(text):
        return source_error(url, status, text, authenticated=authenticated)
    if _SHALLOW in text:
        return shallow(url)
    if "not our ref" in text:
        return Retry(Reason.SOURCE_UNAVAILABLE, f"{public(url)} changed while it was being read")
    return Retry(Reason.SOURCE_UNAVAILABLE, f"{public(url)} broke off: {last_word(stderr)}")


def push_error(url: str, stderr: list[str]) -> SyncError:
    """Why git could not talk with the target."""
    text = "\n".join(stderr)
    if any(words in text for words in _NO_SPACE) and "remote:" not in text:
        return out_of_space()
    if any(words in text for words in _UNTRUSTED):
        return untrusted(Reason.TARGET_UNAVAILABLE, url)
    if status := _http_status(text):
        # git shows the text of a refusal as `remote:` lines; a web page has none.
        plain = "\n".join(line for line in stderr if line.startswith("remote: "))
        return target_error(url, status, "text/plain" if plain else "text/html", plain)
    return Retry(Reason.TARGET_UNAVAILABLE, f"{public(url)} broke off: {last_word(stderr)}")


def _http_status(text: str) -> int | None:
    if found := _STATUS.search(text):
        return int(found[1])
    if any(words in text for words in _ASKED):
        return 401
    if re.search(r"repository '.*' not found", text):
        return 404
    return None


def refusals(stdout: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """The names that `git push --porcelain` carried out, and those refused with the reason in brackets."""
    done: set[str] = set()
    refused: dict[str, str] = {}
    for line in stdout:
        found = _PORCELAIN.fullmatch(line)
        if not found:
            continue
        if found["flag"] == "!":
            refused[found["name"]] = found["summary"].rpartition("(")[2].removesuffix(")")
        else:
            done.add(found["name"])
    return done, refused


def refusal_error(refused: Mapping[str, str], stderr: Iterable[str] = ()) -> SyncError:
    """The error for refs that the target did not take. `stderr` may hold what its hook said."""
    name, why = next(iter(refused.items()))
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    if any(words in why for words in _MOVED):
        return Moved(Reason.TARGET_CHANGED, f"{name}{more} changed at the target during the run ({why})")
    if any(words in why for words in ("unpack", "missing necessary objects", "remote failed", "no report")):
        return Retry(Reason.TARGET_UNAVAILABLE, f"OneDev could not take {name}{more}: {why}")
    said = _hook_words(stderr)
    return Stalled(Reason.TARGET_REFUSED, f"OneDev refused {name}{more}: {why}{': ' + said if said else ''}")


def _hook_words(stderr: Iterable[str]) -> str:
    """What a hook printed, without the frame that OneDev draws around it."""
    lines = (line.removeprefix("remote: ").strip(" *") for line in stderr if line.startswith("remote: "))
    return " ".join(line for line in lines if line and not line.startswith("ERROR PUSHING REF"))[:300]
