"""The base of all typed views, and the types that they share.

A view reads what the API server has already validated and defaulted; it tolerates fields of a newer CRD. Defaults are
written here too, so that a test can hold the two equal.
"""

import dataclasses
from abc import ABCMeta
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Self, dataclass_transform

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo

from . import duration
from .conditions import ConditionType, Reason

_INITIALS = frozenset(("url", "id", "kb", "mb"))


def field_name(name: str) -> str:
    """Python's name as Kubernetes writes it: `api_url` is `apiURL`, `last_sync_time` is `lastSyncTime`."""
    first, *rest = name.split("_")
    return first + "".join(word.upper() if word in _INITIALS else word.capitalize() for word in rest)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
class _Views(ABCMeta):
    """Makes each subclass a dataclass with slots: ten thousand mirrors are kept in memory, and as models of pydantic
    they would take three times as much of it."""

    def __new__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> Any:
        made: type = super().__new__(cls, name, bases, members)
        if "__slots__" in members:  # the base itself, and what comes back here as a copy with slots
            return made
        return dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)(made)


_CONFIG = ConfigDict(alias_generator=field_name, populate_by_name=True, extra="ignore")


class View(metaclass=_Views):
    """Immutable, camelCase outside, unknown fields ignored."""

    __slots__ = ()

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    @classmethod
    def read(cls, body: Any) -> Self:
        """From the API server's JSON; raises pydantic.ValidationError where an older CRD let something through."""
        view: Self = _adapter(cls).validate_python(body)
        return view

    def plain(self) -> dict[str, Any]:
        """As JSON has it, without what is not set."""
        shown: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json", by_alias=True, exclude_none=True)
        return shown

    def changed(self, **fields: Any) -> Self:
        """A copy with these fields replaced."""
        return dataclasses.replace(self, **fields)


@cache
def _adapter(view: type[View]) -> TypeAdapter[Any]:
    return TypeAdapter(view)


def _read_duration(value: Any) -> Any:
    return duration.parse(value) if isinstance(value, str) else value


@lru_cache(maxsize=4096)
def _in_utc(moment: datetime) -> datetime:
    """Pydantic gives each time a zone of its own."""
    return moment.replace(tzinfo=UTC) if moment.utcoffset() == timedelta(0) else moment


@lru_cache(maxsize=4096, typed=True)
def _shared(value: Any) -> Any:
    """The first of equal values, so that what ten thousand resources say in the same words is kept once."""
    return value


def show_time(moment: datetime) -> str:
    """Kubernetes' `metav1.Time`: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Duration = Annotated[timedelta, BeforeValidator(_read_duration), PlainSerializer(duration.spell, when_used="json")]
Time = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(show_time)]
SHARED = AfterValidator(_shared)
Word = Annotated[str, SHARED]


class NameReference(View):
    """An object of the same namespace."""

    name: Word


class Condition(View):
    """A `metav1.Condition`."""

    type: Word
    status: Word
    reason: Word
    message: Word = ""
    last_transition_time: Time | None = None
    observed_generation: int | None = None


class Metadata(View):
    """What we read of `metadata`."""

    name: str
    namespace: Word
    uid: str
    generation: int = 1
    resource_version: str = ""
    deletion_timestamp: Time | None = None
    annotations: dict[Word, str] = Field(default_factory=dict)
    labels: dict[Word, Word] = Field(default_factory=dict)

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
