"""What the worker asks of OneDev's REST API, because no push can do it (`/repositories/{id}`)."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from ..api.refs import BRANCHES
from .answers import public, target_error, unreachable
from .side import BROKEN, proxy_for, trust

_BODY_SHOWN = 300
_ANSWER_LIMIT = 64 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)


class Repository:
    """The repository of project `project_id` at `api_url` (which ends in `/~api`). Every method raises `SyncError`.

    Branches are full ref names.
    """

    def __init__(
        self, session: aiohttp.ClientSession, api_url: str, project_id: int, token: str | None, ca: str | None
    ) -> None:
        self._session = session
        self._url = f"{api_url.rstrip('/')}/repositories/{project_id}"
        self._token = token
        self._ssl = trust(ca)

    async def set_default_branch(self, branch: str) -> None:
        """Makes `branch`, which exists, the default."""
        # OneDev parses the body as JSON: a bare name is an error there.
        await self._call("POST", "/default-branch", branch.removeprefix(BRANCHES), branch)

    async def create_branch(self, branch: str, oid: str) -> None:
        """At `oid`, which the project holds. No hook hears of it, so names that break OneDev's hooks pass."""
        await self._call("POST", "/branches", {"branchName": branch.removeprefix(BRANCHES), "revision": oid}, branch)

    async def delete_branch(self, branch: str) -> None:
        await self._call("DELETE", f"/branches/{quote(branch.removeprefix(BRANCHES))}", None, branch)

    async def is_fast_forward(self, old: str, new: str) -> bool:
        """Whether `new` has `old` in its history. The project holds both."""
        query = urlencode({"query": f"until commit({old}) since commit({new})", "count": 1, "field": "SUBJECT"})
        text = await self._call("GET", f"/commits?{query}", None, f"commit {new}")
        try:
            lost = json.loads(text)
        except ValueError:
            lost = None
        if not isinstance(lost, list):
            raise Retry(Reason.TARGET_UNAVAILABLE, f"{public(self._url)} did not list commits as OneDev does")
        return not lost

    async def _call(self, method: str, path: str, body: Any, what: str) -> str:
        plain = {"Accept-Encoding": "identity", "Accept": "application/json"}
        content = {"Content-Type": "application/json"} if body is not None else {}
        credentials = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            async with self._session.request(
                method,
                URL(self._url + path, encoded=True),
                data=None if body is None else json.dumps(body),
                headers={**plain, **content, **credentials},
                ssl=self._ssl,
                allow_redirects=False,
                timeout=_TIMEOUT,
                proxy=proxy_for(self._url),
            ) as response:
                if response.status in (200, 204):
                    return await _text(response)
                text = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
                raise self._refusal(response, text, what)
        except BROKEN as error:
            raise unreachable(Reason.TARGET_UNAVAILABLE, self._url, error) from error

    def _refusal(self, response: aiohttp.ClientResponse, text: str, what: str) -> SyncError:
        status = response.status
        if status == 500 and "Branch not exist" in text:
            return Retry(Reason.TARGET_CHANGED, f"{what} went away from {public(self._url)} before it became default")
        if status == 406 and "already exists" in text:
            return Retry(Reason.TARGET_CHANGED, f"{what} was made at {public(self._url)} during the run")
        if status in (403, 406) or (status == 500 and text.strip() not in ("", "Server Error")):
            return Stalled(Reason.TARGET_REFUSED, f"OneDev refused {what}: {' '.join(text.split())}")
        return target_error(self._url, status, response.content_type, text)


async def _text(response: aiohttp.ClientResponse) -> str:
    found = b""
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > _ANSWER_LIMIT:
            raise Retry(Reason.TARGET_UNAVAILABLE, f"{public(str(response.url))} answers without an end")
    return found.decode(errors="replace")
