"""The base of all typed views, and the types that they share.

A view reads what the API server has already validated and defaulted; it tolerates fields of a newer CRD. Defaults are
written here too, so that a test can hold the two equal.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from . import duration
from .conditions import ConditionType, Reason

_INITIALS = frozenset(("url", "id", "kb", "mb"))


def field_name(name: str) -> str:
    """Python's name as Kubernetes writes it: `api_url` is `apiURL`, `last_sync_time` is `lastSyncTime`."""
    first, *rest = name.split("_")
    return first + "".join(word.upper() if word in _INITIALS else word.capitalize() for word in rest)


class View(BaseModel):
    """Immutable, camelCase outside, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=field_name, populate_by_name=True, frozen=True, extra="ignore")

    def changed(self, **fields: Any) -> Self:
        """A copy with these fields replaced."""
        return self.model_copy(update=fields)


def _read_duration(value: Any) -> Any:
    return duration.parse(value) if isinstance(value, str) else value


def show_time(moment: datetime) -> str:
    """Kubernetes' `metav1.Time`: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(duration.spell, when_used="json")]
Time = Annotated[datetime, PlainSerializer(show_time)]


class NameReference(View):
    """An object of the same namespace."""

    name: str


class Condition(View):
    """A `metav1.Condition`."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: Time | None = None
    observed_generation: int | None = None


class Metadata(View):
    """What we read of `metadata`."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


class ConditionedStatus(View):
    """The part of every status that kstatus reads."""

    observed_generation: int | None = None
    conditions: tuple[Condition, ...] = ()

    def condition(self, type_: ConditionType) -> Condition | None:
        return next((c for c in self.conditions if c.type == type_), None)

    def is_true(self, type_: ConditionType) -> bool:
        found = self.condition(type_)
        return found is not None and found.status == "True"

    def has_reason(self, type_: ConditionType, reason: Reason) -> bool:
        found = self.condition(type_)
        return found is not None and found.reason == reason
