"""The receiver behind FastAPI: HTTP in, HTTP out, and nothing decided here."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from .answers import Result
from .receiver import Answer, Left, Receiver, Request


def build_app(receiver: Receiver, path: str) -> FastAPI:
    """Takes deliveries at `path`, and has nothing else to show: no documentation, and no redirect to it."""
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=silent)

    async def deliver(http: HttpRequest) -> Response:
        http.state.request = request = _read(http)
        return _response(await receiver.receive(request))

    # A plain route: the signature is over raw bytes, so there is nothing that FastAPI could read, and that takes time.
    app.add_route(path, deliver, methods=["POST"], include_in_schema=False)

    @app.exception_handler(HTTPException)
    async def elsewhere(http: HttpRequest, error: HTTPException) -> Response:
        result = Result.WRONG_METHOD if error.status_code == 405 else Result.WRONG_PLACE
        return _response(receiver.end(_read(http), result), {**(error.headers or {})})

    @app.exception_handler(Exception)
    async def bug(http: HttpRequest, _: Exception) -> Response:
        """The receiver has logged and counted it, and the server will tell of the exception."""
        request: Request = http.state.request
        return _response(Answer(request.id, request.delivery, Result.BUG))

    return app


def _read(http: HttpRequest) -> Request:
    return Request(http.headers, http.client.host if http.client else "", _pieces(http))


async def _pieces(http: HttpRequest) -> AsyncIterator[bytes]:
    try:
        async for piece in http.stream():
            yield piece
    except ClientDisconnect:
        raise Left from None


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(answer.body, answer.status, {**answer.headers, **(headers or {})})
