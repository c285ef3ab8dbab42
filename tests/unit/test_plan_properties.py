"""Random repositories against a model of OneDev: a plan always ends in what was wanted or in a reported exception."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from github_onedev_sync.api.refs import BRANCHES, RESTORED, STAGED, TAGS, Listing, RefFilter, Refs, without_restored
from github_onedev_sync.transfer.chunks import breaks_pushes, decoded_name, encoded_name, is_delicate, parents
from github_onedev_sync.transfer.plan import Plan, Survey, Wish, make_plan, mirrored
from github_onedev_sync.transfer.steps import Command, Kind, Knowledge, MoveBranch, Push, SetHead

MARK = "refs/github-onedev-sync/host/1/ns/name"
PARTS = ("main", "a", "b", "x+y", "p%", "q&r")
NAMES = [
    f"refs/{space}/{name}"
    for space in ("heads", "tags")
    for name in (*PARTS, *(f"{one}/{two}" for one in PARTS for two in ("a", "b", "k=v")), "a/b/a")
]
FOREIGN = (
    "refs/pulls/1/head",
    "refs/updates/1",
    "refs/archive/20260101T000000Z/heads/a",
    "refs/archive/20260202T000000Z/heads/a",
    "refs/archive/encoded/tags/x!2By",
    "refs/archive/encoded/tags/a/x!2By",
    "refs/heads/own/x",
    "refs/heads/restored/x",
    MARK,
)
FILTERS = (RefFilter(), RefFilter(exclude=("refs/heads/own/*",)), RefFilter(("refs/heads/*",), ("refs/heads/b*",)))


@dataclass
class OneDev:
    """As much of OneDev's and git's behaviour as decides whether a command passes (non-atomic receive-pack)."""

    refs: dict[str, str]
    head: str | None

    def __post_init__(self) -> None:
        self.objects = set(self.refs.values())

    def push(self, push: Push) -> None:
        commands = push.commands
        assert len({command.name for command in commands}) == len(commands)
        assert len(commands) == 1 or not any(is_delicate(c.name) for c in commands), "a delicate name in company"
        assert not any(breaks_pushes(command.name) for command in commands), "a name that breaks the push"
        if push.kind is Kind.ARCHIVE:
            assert {command.new for command in commands} <= self.objects, "an archived tip is the target's own"
        for command in commands:
            self._apply(command)
        branches = [c.name for c in commands if c.new and c.name.startswith(BRANCHES)]
        if self.head is None and branches:
            self.head = BRANCHES + "main" if BRANCHES + "main" in branches else branches[-1]

    def move(self, command: Command) -> None:
        """By REST, which has no move, and takes no commit that is not there."""
        assert command.new is None or command.new in self.objects, "Unable to find revision"
        if command.old:
            self._apply(Command(command.name, command.old, None))
        if command.new:
            self._apply(Command(command.name, None, command.new))

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
        self.objects.add(command.new)

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
        wanted,
        draw(st.sampled_from(("Archive", "Follow", "Block"))),
        "20261123T010203Z",
        MARK,
        "mark",
        source.head,
        keep_for=draw(st.sampled_from((timedelta(0), timedelta(days=300)))),
        keep_last=draw(st.integers(0, 2)),
    )
    forced = draw(st.frozensets(st.sampled_from(NAMES)))
    other = draw(st.frozensets(st.sampled_from([name for name in NAMES if name.startswith(TAGS)])))
    left = draw(st.frozensets(st.integers(1, 4)))
    staged = {f"{STAGED}{tip:040x}": f"{tip:040x}" for tip in draw(st.frozensets(st.integers(1, 4)))}
    target = draw(listings([*NAMES, *FOREIGN]))
    leftovers = {f"{STAGED}{tip:040x}": f"{tip:040x}" for tip in left}
    return wish, source, Listing({**target.refs, **leftovers}, target.head), Knowledge(forced, other, staged)


def carry_out(plan: Plan, target: Listing, known: Knowledge) -> OneDev:
    model = OneDev({**target.refs, **known.staged}, target.head)
    for step in plan.steps:
        if isinstance(step, SetHead):
            model.set_head(step.branch)
        elif isinstance(step, MoveBranch):
            assert breaks_pushes(step.command.name)
            model.move(step.command)
        else:
            model.push(step)
    return model


def without(names: set[str], refs: Refs) -> dict[str, str]:
    return {name: oid for name, oid in refs.items() if name not in names}


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_plan_ends_in_what_was_wanted_or_in_a_reported_exception(
    situation: tuple[Wish, Listing, Listing, Knowledge],
) -> None:
    wish, source, target, known = situation
    plan = make_plan(Survey(wish, source, target), known)
    model = carry_out(plan, target, known)
    excepted = plan.rejected.keys() | {diff.name for diff in plan.blocked}

    wanted = mirrored(wish.refs, source.refs)
    kept = without_restored(mirrored(wish.refs, model.refs), wanted)
    assert without(excepted, kept) == without(excepted, wanted)
    assert plan.head is None or model.head == plan.head
    if source.head in model.refs and model.head not in plan.rejected:
        assert model.head == source.head
    if not plan.blocked:
        odd = [name for name in plan.rejected if name in wanted and name.startswith(TAGS) and breaks_pushes(name)]
        assert {name: model.refs[encoded_name(name)] for name in odd} == {name: wanted[name] for name in odd}
    assert not any(name.startswith(STAGED) for name in model.refs)


@settings(max_examples=100, deadline=None)
@given(situations())
def test_a_second_plan_is_empty(situation: tuple[Wish, Listing, Listing, Knowledge]) -> None:
    wish, source, target, known = situation
    first = make_plan(Survey(wish, source, target), known)
    model = carry_out(first, target, known)
    again = Knowledge(known.forced, known.other_objects)
    second = make_plan(Survey(wish, source, Listing(model.refs, model.head)), again)
    # An archived tip of the first plan may be one too many for the second.
    assert [step for step in second.steps if not (isinstance(step, Push) and step.kind is Kind.EXPIRED)] == []
    assert second.blocked == first.blocked


@settings(max_examples=100, deadline=None)
@given(situations())
def test_nothing_is_lost_that_should_be_kept(situation: tuple[Wish, Listing, Listing, Knowledge]) -> None:
    wish, source, target, known = situation
    plan = make_plan(Survey(wish, source, target), known)
    model = carry_out(plan, target, known)
    wanted = mirrored(wish.refs, source.refs)
    theirs = mirrored(wish.refs, target.refs)
    ours = {
        name: oid for name, oid in target.refs.items() if name in theirs or wish.refs.matches(decoded_name(name) or "")
    }
    expired = {
        c.name for step in plan.steps if isinstance(step, Push) and step.kind is Kind.EXPIRED for c in step.commands
    }
    deleted = target.refs.keys() - model.refs.keys() - expired
    deleted = {name for name in deleted if not name.startswith(STAGED)}
    assert not deleted & source.refs.keys()
    assert not any(name.startswith(RESTORED) for name in deleted)
    assert deleted <= ours.keys() | {MARK}
    if not wanted:
        assert not deleted
    lost = {oid for name, oid in ours.items() if model.refs.get(name) is None}
    if wish.on_rewrite == "Archive":
        assert lost <= set(model.refs.values())
    if wish.on_rewrite == "Block":
        assert not deleted
        assert all(model.refs[n] == target.refs[n] for n in known.forced if n in target.refs)


def test_every_push_of_a_plan_has_commands() -> None:
    wish = Wish(RefFilter(), "Archive", "20261123T010203Z", MARK, "mark")
    plan = make_plan(Survey(wish, Listing({"refs/tags/a": "1" * 40}), Listing({})), Knowledge())
    assert all(step.commands for step in plan.steps if isinstance(step, Push))
