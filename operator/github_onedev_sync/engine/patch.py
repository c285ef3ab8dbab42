"""Merge-patches (RFC 7386) between two states of a view."""

from collections.abc import Mapping
from typing import Any

from ..api.model import View


def merge_patch(before: View, after: View) -> dict[str, Any]:
    """What turns `before` into `after`; empty where they are the same. A removed field is null."""
    return _diff(_plain(before), _plain(after))


def _plain(view: View) -> dict[str, Any]:
    return view.plain()


def _diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            if inner := _diff(old, value):
                patch[name] = inner
        elif value != old:
            patch[name] = value
    return patch
