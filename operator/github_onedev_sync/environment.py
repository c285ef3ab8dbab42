"""What the chart tells a process by its environment, read once: each variable, and a sentence where it is wrong."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class SettingsError(Exception):
    """A variable is missing or wrong; the text names it and what it takes."""


def required(env: Mapping[str, str], name: str, purpose: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"the environment variable {name} is not set ({purpose})")
    return value


def words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """A list with commas between."""
    return tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())


def whole(env: Mapping[str, str], name: str, default: int, *, least: int = 1) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        bound = f"above {least - 1}" if least else "from 0 on"
        raise SettingsError(f"the environment variable {name} is {text!r} and must be a whole number {bound}")
    return int(text)


def truth(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "false"
    if text not in ("true", "false"):
        raise SettingsError(f"the environment variable {name} is {text!r} and must be true or false")
    return text == "true"


def structure(env: Mapping[str, str], name: str, default: T) -> T:
    """A JSON object where the default is one, a tuple of them where the default is a tuple."""
    text = env.get(name)
    if not text:
        return default
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"the environment variable {name} is not JSON: {error}") from error
    value = tuple(value) if isinstance(value, list) else value
    objects = not isinstance(value, tuple) or all(isinstance(item, dict) for item in value)
    if not isinstance(value, type(default)) or not objects:
        kind = "list of objects" if isinstance(default, tuple) else "object"
        raise SettingsError(f"the environment variable {name} must be a JSON {kind}")
    return value
