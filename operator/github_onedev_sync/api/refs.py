"""Sets of refs: which of them a mirror keeps, their digest, and how two sets differ.

A set of refs is a mapping from full ref name (`refs/heads/main`) to object id (40 lower-case hex digits).
"""

import fnmatch
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

Refs = Mapping[str, str]

BRANCHES = "refs/heads/"
TAGS = "refs/tags/"
ARCHIVE = "refs/archive/"
MARKS = "refs/github-onedev-sync/"
# Tips on their way: a run leaves none behind, and takes away what an earlier one left when it was cut.
STAGED = "refs/github-onedev-sync-staged/"
# What OneDev takes no name for is kept under an encoded one, where a time would stand.
ENCODED = ARCHIVE + "encoded/"
# What `restore` makes. The mirror never deletes them.
RESTORED = (BRANCHES + "restored/", TAGS + "restored/")

DEFAULT_INCLUDE = ("refs/heads/*", "refs/tags/*")


@dataclass(frozen=True)
class RefFilter:
    """The globs of `spec.refs`: `*` matches any run of characters, slashes included, and `?` exactly one."""

    include: tuple[str, ...] = DEFAULT_INCLUDE
    exclude: tuple[str, ...] = ()

    @cached_property
    def _include(self) -> "_Globs":
        return _Globs(self.include)

    @cached_property
    def _exclude(self) -> "_Globs":
        return _Globs(self.exclude)

    def matches(self, name: str) -> bool:
        return self._include.match(name) and not self._exclude.match(name)

    def select(self, refs: Refs) -> dict[str, str]:
        """The refs that the mirror keeps, in the order given."""
        if not self.exclude and (prefixes := self._include.prefixes_alone):
            return {name: oid for name, oid in refs.items() if name.startswith(prefixes)}
        return {name: oid for name, oid in refs.items() if self.matches(name)}


class _Globs:
    """Most globs are a prefix and a star, and there may be 100,000 names: these need no regular expression."""

    def __init__(self, globs: Collection[str]) -> None:
        plain = [glob for glob in globs if not _WILD.search(glob.removesuffix("*"))]
        self._prefixes = tuple(glob.removesuffix("*") for glob in plain if glob.endswith("*"))
        self._whole = {glob for glob in plain if not glob.endswith("*")}
        self._odd = [glob for glob in globs if glob not in plain]
        self._pattern = _compile(self._odd)

    @property
    def prefixes_alone(self) -> tuple[str, ...]:
        """The prefixes, where there is nothing else to match."""
        return () if self._whole or self._odd else self._prefixes

    def match(self, name: str) -> bool:
        return name.startswith(self._prefixes) or name in self._whole or bool(self._pattern.fullmatch(name))


_WILD = re.compile(r"[*?]")


def _compile(globs: Iterable[str]) -> re.Pattern[str]:
    # The library's patterns never go back behind a star, however many there are. It gives [ a meaning; we do not.
    patterns = (fnmatch.translate(glob.replace("[", "[[]")) for glob in globs)
    return re.compile("|".join(patterns) or r"(?!)")


@dataclass(frozen=True)
class Listing:
    """One side's refs as it advertises them.

    `head` is the branch that HEAD names (`refs/heads/main`), or None where there is no born HEAD.
    `peeled` maps an annotated tag's ref to the object that the tag leads to.
    `url` is the address that told so, at the end of a redirect where there was one. `features` are those of the
    server's protocol v2 `fetch` command, None where it has none.
    """

    refs: dict[str, str]
    head: str | None = None
    peeled: dict[str, str] = field(default_factory=dict)
    url: str = field(default="", compare=False)
    features: frozenset[str] | None = field(default=None, compare=False)

    def select(self, wanted: RefFilter) -> "Listing":
        kept = wanted.select(self.refs)
        return replace(self, refs=kept, peeled={name: oid for name, oid in self.peeled.items() if name in kept})


def digest(refs: Refs) -> str:
    """`sha256:<hex>` over the sorted lines `<oid> <name>\\n`; equal digests mean equal sets."""
    lines = "".join(f"{oid} {name}\n" for name, oid in sorted(refs.items()))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, order=True)
class Difference:
    """One ref that differs: `source` or `target` is None on the side that lacks it."""

    name: str
    source: str | None
    target: str | None


def differences(source: Refs, target: Refs) -> list[Difference]:
    """Every ref that is not the same on both sides, sorted by name. What a person restored at the target is none."""
    ours = without_restored(target, source)
    unequal = {name for name, oid in source.items() if ours.get(name) != oid} | (ours.keys() - source.keys())
    return [Difference(name, source.get(name), ours.get(name)) for name in sorted(unequal)]


def without_restored(target: Refs, source: Refs) -> dict[str, str]:
    """The target's refs without those below `RESTORED` that the source does not have: they are a person's."""
    return {name: oid for name, oid in target.items() if name in source or not name.startswith(RESTORED)}


def digest_differences(diffs: Iterable[Difference]) -> str:
    """`sha256:<hex>` over what differs, or `""` where nothing does. This is what a person approves under `Block`."""
    lines = "".join(f"{d.name} {d.target or '-'} {d.source or '-'}\n" for d in sorted(diffs))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest() if lines else ""


def count(refs: Refs, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in refs)
