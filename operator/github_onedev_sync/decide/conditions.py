"""Building condition lists that keep to kstatus: see `kinds` in docs/ for what each type means."""

from datetime import datetime

from ..api.conditions import ConditionType, Reason
from ..api.errors import Stalled, SyncError
from ..api.model import Condition

_ORDER: dict[str, int] = {type_.value: index for index, type_ in enumerate(ConditionType)}


class Conditions:
    """A condition list under change. `lastTransitionTime` moves only when a status does."""

    def __init__(self, before: tuple[Condition, ...], generation: int, now: datetime) -> None:
        self._by_type = {condition.type: condition for condition in before}
        self._generation = generation
        self._now = now

    def set(self, type_: ConditionType, status: bool | None, reason: Reason, message: str) -> "Conditions":
        """`status` None is Unknown. Reconciling and Stalled exclude each other: setting one true drops the other."""
        word = "Unknown" if status is None else str(status)
        before = self._by_type.get(type_)
        since = before.last_transition_time if before and before.status == word else self._now
        self._by_type[type_] = Condition(
            type=type_,
            status=word,
            reason=reason,
            message=message,
            last_transition_time=since,
            observed_generation=self._generation,
        )
        if status and type_ is ConditionType.STALLED:
            self.drop(ConditionType.RECONCILING)
        if status and type_ is ConditionType.RECONCILING:
            self.drop(ConditionType.STALLED)
        return self

    def fail(self, error: SyncError) -> "Conditions":
        """Not Ready for that reason, and either a person has to mend it or it is tried again."""
        self.set(ConditionType.READY, False, error.reason, error.message)
        if isinstance(error, Stalled):
            return self.set(ConditionType.STALLED, True, error.reason, error.message)
        return self.set(ConditionType.RECONCILING, True, Reason.PROGRESSING_WITH_RETRY, error.message)

    def drop(self, *types: ConditionType) -> "Conditions":
        for type_ in types:
            self._by_type.pop(type_, None)
        return self

    def build(self) -> tuple[Condition, ...]:
        return tuple(sorted(self._by_type.values(), key=lambda c: (_ORDER.get(c.type, len(_ORDER)), c.type)))
