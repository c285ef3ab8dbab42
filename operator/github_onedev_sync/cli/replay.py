"""`replay`: lets the webhook pod do again what a delivery did, by its id or by its line of the log."""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from ..api.delivery import DELIVERY_ID, from_essentials, sign
from .errors import CommandError, ExitCode, Parser, usage

PROGRAM = "python -m github_onedev_sync replay"
_POD = "http://127.0.0.1:8080"
_SECRET = "/etc/github-onedev-sync/webhook/secret"
_TIMEOUT_SECONDS = 15.0
_EPILOG = """\
It is run in a webhook pod, which has the secret and the admin port:
  kubectl exec deploy/github-onedev-sync-webhook -- python -m github_onedev_sync replay DELIVERY
  kubectl logs --selector app.kubernetes.io/component=webhook --tail=-1 | grep DELIVERY | \\
    kubectl exec -i deploy/github-onedev-sync-webhook -- python -m github_onedev_sync replay --lines -
Exit codes: 0 done; 1 the pod could not be asked, or did not do it; 2 the command line is wrong.
"""


def _parser() -> Parser:
    parser = Parser(PROGRAM, "Lets the webhook pod do again what a delivery did.", _EPILOG)
    parser.add_argument("delivery", nargs="?", metavar="DELIVERY", help="the id of one that the pod remembers")
    parser.add_argument("--lines", metavar="FILE", help="lines of the pod's log, as JSON; - is stdin")
    parser.add_argument("--url", default=_POD, help=f"the pod's admin port; default {_POD}")
    parser.add_argument("--secret-file", default=_SECRET, metavar="FILE", help=f"signs lines; default {_SECRET}")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns an `ExitCode`."""
    try:
        options = _parser().parse_args(arguments)
        if (options.delivery is None) == (options.lines is None):
            raise usage("nothing says what to replay", "one thing is needed: an id, or lines", f"{PROGRAM} --help")
        with httpx.Client(base_url=options.url, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            if options.delivery is not None:
                _by_id(client, options.delivery)
            else:
                _by_lines(client, options)
    except CommandError as error:
        sys.stderr.write(str(error))
        return error.code
    return ExitCode.DONE


def _by_id(client: httpx.Client, delivery: str) -> None:
    if not re.fullmatch(DELIVERY_ID, delivery):
        raise usage(f"{delivery!r} is no id of a delivery", "it is GitHub's X-GitHub-Delivery, a UUID", "copy it whole")
    answer = _post(client, f"/replay/{delivery}")
    if answer.status_code == 404:
        raise CommandError(
            f"{delivery} is not remembered",
            "a pod remembers the last 1,000 since its start, and only its own",
            "replay its line of the log with --lines, or press Redeliver on GitHub's page of the webhook",
        )
    _say(delivery, answer)


def _by_lines(client: httpx.Client, options: argparse.Namespace) -> None:
    secret = _bytes("--secret-file", options.secret_file).rstrip(b"\r\n")
    if not secret:
        raise usage(f"--secret-file {options.secret_file} is empty", "lines are signed with it", "name the right file")
    text = sys.stdin.buffer.read() if options.lines == "-" else _bytes("--lines", options.lines)
    found = [line for line in map(_line, text.splitlines()) if line is not None]
    if not found:
        raise usage(
            "there is no delivery in these lines",
            'a line is JSON with "event": "delivery", and tells a repository',
            "take whole lines of kubectl logs, of a pod whose LOG_FORMAT is json",
        )
    for line in found:
        event = str(line["github_event"])
        body = from_essentials(event, line)
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            # Another id than the first time, or it would be a duplicate.
            "X-GitHub-Delivery": f"{str(line['delivery'])[:64]}.{uuid.uuid4().hex[:12]}",
            "X-Hub-Signature-256": sign(secret, body),
        }
        _say(str(line["delivery"]), _post(client, "/replay", body, headers))


def _line(text: bytes) -> dict[str, Any] | None:
    """None of a line that is about something else."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    if not isinstance(told, dict) or told.get("event") != "delivery":
        return None
    if not told.get("github_event") or not (told.get("repository_id") or told.get("repositories")):
        return None
    try:
        from_essentials(str(told["github_event"]), told)
    except ValueError:
        return None
    return told if re.fullmatch(DELIVERY_ID, str(told.get("delivery"))) else None


def _post(client: httpx.Client, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    try:
        return client.post(path, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        raise CommandError(
            f"{client.base_url} cannot be asked", why, "run it in the webhook pod, or set --url"
        ) from error


def _say(delivery: str, answer: httpx.Response) -> None:
    """Raises `CommandError` where it was not done."""
    try:
        result = str(answer.json()["result"])
    except (ValueError, KeyError, TypeError):
        result = f"an answer of {answer.status_code}"
    if answer.status_code >= 300:
        fix = "look at the pod's log, and run the same command again"
        raise CommandError(f"{delivery} was not replayed", result, fix)
    sys.stdout.write(f"{delivery} {result}\n")


def _bytes(option: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise usage(f"{option} {file} cannot be read", why, f"let {option} name a file that can be read") from error
