"""Random repositories against a model of OneDev: a plan always ends in what was wanted or in a reported exception."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from github_onedev_sync.api.refs import BRANCHES, Listing, RefFilter, Refs
from github_onedev_sync.transfer.chunks import is_delicate, parents
from github_onedev_sync.transfer.plan import Plan, Wish, make_plan, mirrored
from github_onedev_sync.transfer.steps import Command, Knowledge, Push, SetHead

MARK = "refs/github-onedev-sync/host/1/ns/name"
PARTS = ("main", "a", "b", "x+y", "p%", "q&r")
NAMES = [
    f"refs/{space}/{name}"
    for space in ("heads", "tags")
    for name in (*PARTS, *(f"{one}/{two}" for one in PARTS for two in ("a", "b", "k=v")), "a/b/a")
]
FOREIGN = ("refs/pulls/1/head", "refs/updates/1", "refs/archive/old/heads/a", "refs/heads/own/x", MARK)
FILTERS = (RefFilter(), RefFilter(exclude=("refs/heads/own/*",)), RefFilter(("refs/heads/*",), ("refs/heads/b*",)))


@dataclass
class OneDev:
    """As much of OneDev's and git's behaviour as decides whether a command passes (non-atomic receive-pack)."""

    refs: dict[str, str]
    head: str | None

    def push(self, commands: tuple[Command, ...]) -> None:
        assert len({command.name for command in commands}) == len(commands)
        assert len(commands) == 1 or not any(is_delicate(c.name) for c in commands), "a delicate name in company"
        assert not any("+" in command.name for command in commands), "a name that breaks the push"
        for command in commands:
            self._apply(command)
        branches = [c.name for c in commands if c.new and c.name.startswith(BRANCHES)]
        if self.head is None and branches:
            self.head = BRANCHES + "main" if BRANCHES + "main" in branches else branches[-1]

    def _apply(self, command: Command) -> None:
        assert self.refs.get(command.name) == command.old, "the ref is not where the plan saw it"
        if command.new is None:
            assert command.name != self.head, "deletion of the current branch prohibited"
            del self.refs[command.name]
            return
        others = self.refs.keys() - {command.name}
        assert not others & set(parents(command.name)), "directory/file conflict"
        assert not any(other.startswith(command.name + "/") for other in others), "directory/file conflict"
        self.refs[command.name] = command.new

    def set_head(self, branch: str) -> None:
        assert branch in self.refs, "Branch not exist"
        self.head = branch


@st.composite
def ref_sets(draw: st.DrawFn, names: list[str]) -> dict[str, str]:
    """Refs as git can hold them: no name is another one's directory."""
    chosen: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=14)):
        if not set(parents(name)) & chosen.keys() and not any(other.startswith(name + "/") for other in chosen):
            chosen[name] = f"{draw(st.integers(1, 4)):040x}"
    return chosen


@st.composite
def listings(draw: st.DrawFn, names: list[str]) -> Listing:
    refs = draw(ref_sets(names))
    branches = [name for name in refs if name.startswith(BRANCHES)]
    return Listing(refs, draw(st.sampled_from(branches)) if branches else None)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Wish, Listing, Listing, Knowledge]:
    source = draw(listings(NAMES))
    wanted = draw(st.sampled_from(FILTERS))
    wish = Wish(
        wanted, draw(st.sampled_from(("Archive", "Follow", "Block"))), "20261123T010203Z", MARK, "mark", source.head
    )
    forced = draw(st.frozensets(st.sampled_from(NAMES)))
    other = draw(st.frozensets(st.sampled_from([name for name in NAMES if name.startswith("refs/tags/")])))
    return wish, source, draw(listings([*NAMES, *FOREIGN])), Knowledge(forced, other)


def carry_out(plan: Plan, target: Listing) -> OneDev:
    model = OneDev(dict(target.refs), target.head)
    for step in plan.steps:
        if isinstance(step, SetHead):
            model.set_head(step.branch)
        else:
            model.push(step.commands)
    return model


def without(names: set[str], refs: Refs) -> dict[str, str]:
    return {name: oid for name, oid in refs.items() if name not in names}


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_plan_ends_in_what_was_wanted_or_in_a_reported_exception(
    situation: tuple[Wish, Listing, Listing, Knowledge],
) -> None:
    wish, source, target, known = situation
    plan = make_plan(wish, source, target, known)
    model = carry_out(plan, target)
    excepted = plan.rejected.keys() | {diff.name for diff in plan.blocked}

    wanted, kept = mirrored(wish.refs, source.refs), mirrored(wish.refs, model.refs)
    assert without(excepted, kept) == without(excepted, wanted)
    assert plan.head is None or model.head == plan.head
    if source.head in model.refs:
        assert model.head == source.head


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_second_plan_is_empty(situation: tuple[Wish, Listing, Listing, Knowledge]) -> None:
    wish, source, target, known = situation
    first = make_plan(wish, source, target, known)
    model = carry_out(first, target)
    second = make_plan(wish, source, Listing(model.refs, model.head), known)
    assert second.steps == ()
    assert second.blocked == first.blocked


@settings(max_examples=100, deadline=None)
@given(situations())
def test_nothing_is_lost_that_should_be_kept(situation: tuple[Wish, Listing, Listing, Knowledge]) -> None:
    wish, source, target, known = situation
    plan = make_plan(wish, source, target, known)
    model = carry_out(plan, target)
    wanted = mirrored(wish.refs, source.refs)
    deleted = target.refs.keys() - model.refs.keys()
    assert not deleted & source.refs.keys()
    assert deleted <= mirrored(wish.refs, target.refs).keys() | {MARK}
    if not wanted:
        assert not deleted
    lost = {oid for name, oid in mirrored(wish.refs, target.refs).items() if model.refs.get(name) is None}
    if wish.on_rewrite == "Archive":
        assert lost <= set(model.refs.values())
    if wish.on_rewrite == "Block":
        assert not deleted
        assert all(model.refs[n] == target.refs[n] for n in known.forced if n in target.refs)


def test_every_push_of_a_plan_has_commands() -> None:
    plan = make_plan(
        Wish(RefFilter(), "Archive", "t", MARK, "mark"), Listing({"refs/tags/a": "1" * 40}), Listing({}), Knowledge()
    )
    assert all(step.commands for step in plan.steps if isinstance(step, Push))
