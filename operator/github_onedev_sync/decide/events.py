"""Which transitions are worth an Event, in the words of the condition."""

from dataclasses import dataclass

from ..api.conditions import ConditionType
from ..api.model import ConditionedStatus


@dataclass(frozen=True)
class Transition:
    type: str
    reason: str
    message: str


def transition(before: ConditionedStatus, after: ConditionedStatus) -> Transition | None:
    """Of Ready, from one status or reason to another; starting routine work is none."""
    old, new = before.condition(ConditionType.READY), after.condition(ConditionType.READY)
    if new is None or new.status == "Unknown":
        return None
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return None
    return Transition("Normal" if new.status == "True" else "Warning", new.reason, new.message)
