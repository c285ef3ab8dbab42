"""GitHub's deliveries, written by hand from its documented schema: what an event has, and what it lacks."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("payloads")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

ACME, OCTOCAT, WIDGET, SECRET_WIDGET = 9001, 583231, 596892, 596893


def raw(name: str) -> bytes:
    """`name` is the event, and where it has one the action: `star.created`."""
    return (FOLDER / f"{name}.json").read_bytes()


def body(name: str, **changes: Any) -> bytes:
    """With other members at the top."""
    return json.dumps(json.loads(raw(name)) | changes).encode()


def event_of(name: str) -> str:
    return name.partition(".")[0]
