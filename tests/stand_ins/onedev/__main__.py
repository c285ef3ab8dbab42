"""Runs the OneDev stand-in: `python -m tests.stand_ins.onedev --data DIR --listen 127.0.0.1:8082 --token T`."""

import argparse
import asyncio
from pathlib import Path

from ..serving import serve_until_stopped
from . import OneDevStandIn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stand_ins.onedev", description="A stand-in for OneDev.")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the projects")
    parser.add_argument("--listen", default="127.0.0.1:8082", help="address:port")
    parser.add_argument("--public-url", help="the server URL OneDev is configured with; default: where it listens")
    parser.add_argument("--token", action="append", default=[], help="an access token of the administrator")
    parser.add_argument("--password", default="admin", help="the password of the user admin")
    parser.add_argument("--slots", type=int, default=0, help="pack requests that run at once; 0: all")
    parser.add_argument(
        "--reuse-ids", action="store_true", help="use the ids of deleted projects again after a restart"
    )
    parser.add_argument("--idle-seconds", type=float, help="silence in a request's body that ends it; default 30")
    parser.add_argument("--mode", default="ready", help="ready, starting or not-ready")
    chosen = parser.parse_args()
    asyncio.run(_run(chosen))


async def _run(chosen: argparse.Namespace) -> None:
    server = OneDevStandIn(
        chosen.data,
        listen=chosen.listen,
        public_url=chosen.public_url,
        tokens=chosen.token,
        password=chosen.password,
        slots=chosen.slots or None,
        reuse_ids=chosen.reuse_ids,
        idle_seconds=chosen.idle_seconds,
    )
    await server.set_mode(chosen.mode)
    for project in await server.list_projects():
        print(f"{project['path']}  id {project['id']}", flush=True)
    await serve_until_stopped(server)


main()
