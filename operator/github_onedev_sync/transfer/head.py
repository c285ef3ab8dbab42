"""Sets OneDev's default branch, which no push can do (`POST /repositories/{id}/default-branch`)."""

import json

import aiohttp

from ..api.conditions import Reason
from ..api.errors import Retry
from ..api.refs import BRANCHES
from .answers import public, target_error, unreachable
from .side import trust

_BODY_SHOWN = 300


async def set_default_branch(
    session: aiohttp.ClientSession, api_url: str, project_id: int, branch: str, token: str | None, ca: str | None
) -> None:
    """Makes `branch` (a full ref name that exists) the default. `api_url` ends in `/~api`. Raises `SyncError`."""
    url = f"{api_url.rstrip('/')}/repositories/{project_id}/default-branch"
    plain = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    headers = {**plain, **({"Authorization": f"Bearer {token}"} if token else {})}
    # OneDev parses the body as JSON: a bare name is an error there.
    body = json.dumps(branch.removeprefix(BRANCHES))
    try:
        async with session.post(
            url,
            data=body,
            headers=headers,
            ssl=trust(ca),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=60, connect=10),
        ) as response:
            if response.status in (200, 204):
                return
            text = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
            if response.status == 500 and "Branch not exist" in text:
                raise Retry(Reason.TARGET_CHANGED, f"{branch} went away from {public(url)} before it became default")
            raise target_error(url, response.status, response.content_type, text)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise unreachable(Reason.TARGET_UNAVAILABLE, url, error) from error
