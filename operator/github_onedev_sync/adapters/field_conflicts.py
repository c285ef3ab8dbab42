"""What server-side apply does where others have set the same fields.

A person's word stays: the field is left out. Another sync's settings give way only to one that takes the mirror over.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ..api import names

Body = Mapping[str, Any]

_KEYED = ("metadata.labels.", "metadata.annotations.")
_HOLDER = f"metadata.labels.{names.SYNC}"


def give_way(manifest: Body, refusal: Body, *, take_over: bool) -> dict[str, Any] | None:
    """The manifest to force after a 409, or None where another sync holds the mirror. Raises nothing."""
    kept = copy.deepcopy(dict(manifest))
    for field, manager in _conflicts(refusal):
        if not manager.startswith(f"{names.FIELD_MANAGER}/"):
            _leave_out(kept, _path(field))
        elif field == _HOLDER and not take_over:
            return None
    return kept


def _conflicts(refusal: Body) -> Iterator[tuple[str, str]]:
    """(field, its manager), as the API server's `Status` tells: `conflict with "kubectl-edit" using …`."""
    for cause in (refusal.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "FieldManagerConflict":
            _, _, rest = str(cause.get("message", "")).partition('"')
            yield str(cause.get("field", "")).removeprefix("."), rest.partition('"')[0]


def _path(field: str) -> list[str]:
    for prefix in _KEYED:
        if field.startswith(prefix):
            return [*prefix.rstrip(".").split("."), field.removeprefix(prefix)]
    return field.partition("[")[0].split(".")


def _leave_out(manifest: dict[str, Any], path: list[str]) -> None:
    *parents, last = path
    place: Any = manifest
    for parent in parents:
        place = place.get(parent) if isinstance(place, dict) else None
    if isinstance(place, dict):
        place.pop(last, None)
