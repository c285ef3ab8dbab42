"""How OneDev says no: a status and a sentence, never JSON."""

from collections.abc import Mapping

from aiohttp import web

PAGE_404 = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html;charset=ISO-8859-1"/>
<title>Error 404 Not Found</title>
</head>
<body><h2>HTTP ERROR 404 Not Found</h2>
<table>
<tr><th>URI:</th><td>{uri}</td></tr>
<tr><th>STATUS:</th><td>404</td></tr>
<tr><th>MESSAGE:</th><td>Not Found</td></tr>
</table>
</body>
</html>
"""
CHALLENGE = {"WWW-Authenticate": 'BASIC realm="OneDev"'}
SERVER_ERROR = "Server Error"
CONSTRAINT = "could not execute statement"


class Refused(Exception):
    """An error answer. `content_type` differs from text/plain only where OneDev's does."""

    def __init__(
        self,
        status: int,
        text: str,
        content_type: str = "text/plain",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.content_type, self.headers = status, text, content_type, dict(headers or {})

    def response(self) -> web.Response:
        return web.Response(status=self.status, text=self.text, content_type=self.content_type, headers=self.headers)


def invalid(text: str, status: int = 400) -> Refused:
    """A bean validation failure: raw text that is labelled as JSON."""
    return Refused(status, text, "application/json")


def server_error(text: str = SERVER_ERROR) -> Refused:
    """What OneDev answers to a conflict as well as to a bug."""
    return Refused(500, text)


def forbidden(text: str = "Not authorized") -> Refused:
    return Refused(403, text)


def no_row(entity: str, number: int) -> Refused:
    return Refused(404, f"No row with the given identifier exists: [io.onedev.server.model.{entity}#{number}]")


def page_404(uri: str) -> web.Response:
    """Jetty's own page: what a starting server and an unknown address answer."""
    response = web.Response(status=404, body=PAGE_404.format(uri=uri).encode("latin-1", "replace"))
    response.headers["Content-Type"] = "text/html;charset=iso-8859-1"
    response.headers["Cache-Control"] = "must-revalidate,no-cache,no-store"
    return response
