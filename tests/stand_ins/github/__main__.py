"""Runs the GitHub stand-in: `python -m tests.stand_ins.github --repositories DIR --listen 127.0.0.1:8081`."""

import argparse
import asyncio
from pathlib import Path

from ..serving import serve_until_stopped
from . import GitHubStandIn
from .accounts import ANONYMOUS_LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stand_ins.github", description="A stand-in for GitHub.")
    parser.add_argument("--repositories", type=Path, required=True, help="folder of bare owner/name.git repositories")
    parser.add_argument("--listen", default="127.0.0.1:8081", help="address:port")
    parser.add_argument("--public-url", help="what the server calls itself; default: where it listens")
    parser.add_argument("--token", action="append", default=[], metavar="[LOGIN=]TOKEN", help="a token it knows")
    parser.add_argument(
        "--anonymous-limit", type=int, default=ANONYMOUS_LIMIT, help="requests per hour without a token; 0: no limit"
    )
    chosen = parser.parse_args()
    chosen.repositories.mkdir(parents=True, exist_ok=True)
    tokens = {token: login or "octocat" for login, _, token in (_split(entry) for entry in chosen.token)}
    server = GitHubStandIn(
        chosen.repositories,
        listen=chosen.listen,
        public_url=chosen.public_url,
        tokens=tokens,
        anonymous_limit=chosen.anonymous_limit or None,
    )
    for found in server.catalogue.all():
        print(f"{found.full_name}  id {found.id}  {found.default_branch}", flush=True)
    asyncio.run(serve_until_stopped(server))


def _split(entry: str) -> tuple[str, str, str]:
    login, separator, token = entry.partition("=")
    return (login, separator, token) if separator else ("", "", entry)


main()
