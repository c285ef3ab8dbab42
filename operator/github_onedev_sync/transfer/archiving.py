"""Under which names a run keeps the tips that it is about to overwrite or delete."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..api.refs import ARCHIVE, Refs
from .chunks import archive_name, conflicts
from .steps import Command


class Lost(NamedTuple):
    """The ref `name` is about to lose `tip`. `encoded`: the target holds it under an encoded name."""

    name: str
    tip: str
    encoded: bool


def keep(lost: Sequence[Lost], there: Refs, run_time: str) -> list[Command]:
    """Keeps each tip once. `there` are the target's refs: an earlier attempt of the same run may have kept some, and
    may not have heard so."""
    kept: dict[str, dict[str, str]] = {}
    for name, oid in there.items():
        if name.startswith(ARCHIVE + run_time):
            kept.setdefault(name.removeprefix(ARCHIVE).partition("/")[0], {})[name] = oid
    lost = [one for one in lost if not any(refs.get(archive_name(one.name, t)) == one.tip for t, refs in kept.items())]
    time = apart = _free_time(run_time, kept)
    plain, encoded = ([archive_name(one.name, time) for one in lost if one.encoded is kind] for kind in (False, True))
    if conflicts(encoded, plain):
        # Under their own names these could not have been side by side.
        apart = _free_time(run_time, {*kept, time})
    return [Command(archive_name(one.name, apart if one.encoded else time), None, one.tip) for one in lost]


def _free_time(run_time: str, taken: Collection[str]) -> str:
    """The run's time, or one with a number behind it where that is taken."""
    time, number = run_time, 1
    while time in taken:
        number += 1
        time = f"{run_time}-{number}"
    return time
