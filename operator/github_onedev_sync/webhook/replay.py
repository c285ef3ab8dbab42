"""The admin calls that do again what a delivery wanted, on the port of the health endpoints, which nobody outside the
cluster reaches: by the id of one that is still remembered, or with a body that was signed as GitHub signs it."""

from aiohttp import web

from ..api.errors import ClusterRefused, ClusterUnavailable
from .receiver import Receiver, Request


def routes(receiver: Receiver) -> list[web.RouteDef]:
    async def remembered(http: web.Request) -> web.Response:
        delivery = http.match_info["delivery"]
        try:
            answer = await receiver.replay(delivery)
        except (ClusterUnavailable, ClusterRefused) as error:
            return web.json_response({"delivery": delivery, "result": str(error)}, status=503)
        if answer is None:
            return web.json_response({"delivery": delivery, "result": "not remembered"}, status=404)
        return web.json_response(answer.body, status=answer.status)

    async def signed(http: web.Request) -> web.Response:
        pieces = http.content.iter_any()
        answer = await receiver.receive(Request(http.headers, http.remote or "", pieces), from_inside=True)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    return [web.post("/replay/{delivery}", remembered), web.post("/replay", signed)]
