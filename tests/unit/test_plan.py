"""The order of a run, and what it never does: one example per rule."""

from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import Listing, RefFilter, digest_differences
from github_onedev_sync.transfer import chunks
from github_onedev_sync.transfer.chunks import archive_name, conflicts, pushes
from github_onedev_sync.transfer.mark import mark_oid
from github_onedev_sync.transfer.plan import Plan, Survey, Wish, make_plan
from github_onedev_sync.transfer.steps import Command, Kind, Knowledge, MoveBranch, Push, SetHead

MARK = "refs/github-onedev-sync/github_com/1/ns/name"
OTHER_MARK = "refs/github-onedev-sync/github_com/1/ns/old"
TIME = "20261123T010203Z"
MARKED = {MARK: mark_oid("mark")}


def oid(number: int) -> str:
    return f"{number:040x}"


def wish(**changes: Any) -> Wish:
    values = {
        "refs": RefFilter(),
        "on_rewrite": "Archive",
        "archive_time": TIME,
        "mark_ref": MARK,
        "mark": "mark",
        "default_branch": "refs/heads/main",
    }
    return Wish(**{**values, **changes})


def listing(head: str | None = "refs/heads/main", /, **refs: int) -> Listing:
    """`heads_x=1` is refs/heads/x at object 1; `__` is a slash."""
    named = {"refs/" + name.replace("__", "/").replace("_", "/", 1): oid(value) for name, value in refs.items()}
    return Listing(named, head if head in named else None)


def target(head: str | None = "refs/heads/main", /, **refs: int) -> Listing:
    plain = listing(head, **refs)
    return Listing({**plain.refs, **MARKED}, plain.head)


def plan_of(source: Listing, there: Listing, known: Knowledge | None = None, **changes: Any) -> Plan:
    return make_plan(Survey(wish(**changes), source, there), known or Knowledge())


def shape(plan: Plan) -> list[Any]:
    """The steps: a kind with its `+created -deleted ~updated` names, or the words for a moved HEAD."""
    return [
        step.branch
        if isinstance(step, SetHead)
        else ("by REST", _sign(step.command) + step.command.name)
        if isinstance(step, MoveBranch)
        else (str(step.kind), [_sign(c) + c.name for c in step.commands])
        for step in plan.steps
    ]


def _sign(command: Command) -> str:
    return "-" if command.new is None else "+" if command.old is None else "~"


def test_a_first_sync_claims_the_project_and_pushes_the_default_branch_alone() -> None:
    plan = plan_of(listing(heads_main=1, heads_dev=2, tags_v1=1), Listing({}))
    assert shape(plan) == [
        ("mark", ["+" + MARK]),
        ("default branch", ["+refs/heads/main"]),
        "refs/heads/main",
        ("refs", ["+refs/heads/dev", "+refs/tags/v1"]),
    ]
    first = plan.steps[0]
    assert isinstance(first, Push)
    assert [kind for kind, _ in first.objects] == ["tree", "commit"]


def test_equal_sides_need_nothing() -> None:
    refs = {"heads_main": 1, "tags_v1": 2}
    assert plan_of(listing(**refs), target(**refs)) == Plan(head="refs/heads/main")


def test_an_older_mark_of_the_project_goes_with_the_push_of_the_new_one() -> None:
    there = listing(heads_main=1)
    plan = plan_of(listing(heads_main=1), Listing({**there.refs, OTHER_MARK: oid(7)}, there.head))
    assert shape(plan) == [("mark", ["-" + OTHER_MARK, "+" + MARK])]


def test_archive_keeps_every_lost_tip_before_anything_else() -> None:
    source = listing(heads_main=2, heads_dev=3, tags_v1=4)
    there = target(heads_main=1, heads_dev=2, heads_gone=9, tags_v1=5)
    plan = plan_of(source, there, Knowledge(forced=frozenset(("refs/heads/main",))))
    archive = plan.steps[0]
    assert isinstance(archive, Push)
    assert archive.kind is Kind.ARCHIVE
    assert {c.name: c.new for c in archive.commands} == {
        f"refs/archive/{TIME}/heads/main": oid(1),
        f"refs/archive/{TIME}/heads/gone": oid(9),
        f"refs/archive/{TIME}/tags/v1": oid(5),
    }
    assert shape(plan)[1:] == [
        ("default branch", ["~refs/heads/main"]),
        ("refs", ["~refs/heads/dev", "~refs/tags/v1"]),
        ("deletions", ["-refs/heads/gone"]),
    ]


def test_a_second_attempt_of_the_same_run_archives_beside_the_first() -> None:
    there = target(heads_main=1, heads_gone=2)
    there = Listing({**there.refs, f"refs/archive/{TIME}/heads/gone": oid(5)}, there.head)
    archive = plan_of(listing(heads_main=1), there).steps[0]
    assert isinstance(archive, Push)
    assert [c.name for c in archive.commands] == [f"refs/archive/{TIME}-2/heads/gone"]


def test_follow_overwrites_without_archive() -> None:
    plan = plan_of(
        listing(heads_main=2), target(heads_main=1, heads_x=1), Knowledge(forced=frozenset(("refs/heads/main",))),
        on_rewrite="Follow",
    )  # fmt: skip
    assert shape(plan) == [("default branch", ["~refs/heads/main"]), ("deletions", ["-refs/heads/x"])]


def test_block_holds_back_what_destroys_and_lets_the_rest_flow() -> None:
    source = listing(heads_main=2, heads_dev=3, heads_new=6, tags_v1=4)
    there = target(heads_main=1, heads_dev=2, heads_gone=9, tags_v1=5)
    forced = Knowledge(forced=frozenset(("refs/heads/main",)))
    plan = plan_of(source, there, forced, on_rewrite="Block")
    assert shape(plan) == [("refs", ["~refs/heads/dev", "+refs/heads/new"])]
    assert [d.name for d in plan.blocked] == ["refs/heads/gone", "refs/heads/main", "refs/tags/v1"]
    assert plan.reason is Reason.REWRITE_BLOCKED
    assert plan.digest == digest_differences(plan.blocked)

    approved = plan_of(source, there, forced, on_rewrite="Block", approved=plan.digest)
    assert approved.blocked == ()
    assert "-refs/heads/gone" in shape(approved)[-1][1]


def test_an_approval_lets_through_only_what_was_shown() -> None:
    shown = plan_of(listing(heads_main=1), target(heads_main=1, heads_x=2), on_rewrite="Block").digest
    now = plan_of(listing(heads_main=1), target(heads_main=1, heads_x=2, heads_y=3), on_rewrite="Block", approved=shown)
    assert len(now.blocked) == 2


def test_a_creation_in_the_way_of_a_blocked_deletion_waits() -> None:
    plan = plan_of(listing(heads_main=1, heads_x__y=2), target(heads_main=1, heads_x=2), on_rewrite="Block")
    assert plan.steps == ()
    assert "refs/heads/x, which stays" in plan.rejected["refs/heads/x/y"]


@pytest.mark.parametrize(
    ("source", "there"),
    [({"heads_x": 1}, {"heads_x__y": 1, "heads_x__z": 1}), ({"heads_x__y": 1}, {"heads_x": 1})],
    ids=["directory to file", "file to directory"],
)
def test_a_deletion_that_makes_room_goes_with_its_creation(source: dict[str, int], there: dict[str, int]) -> None:
    plan = plan_of(listing(heads_main=1, **source), target(heads_main=1, **there), on_rewrite="Follow")
    assert [kind for kind, _ in shape(plan)] == ["refs"]
    signs = [name[0] for _, names in shape(plan) for name in names]
    assert signs == sorted(signs, key="-+".index)


def test_head_moves_before_its_old_branch_is_deleted() -> None:
    plan = plan_of(
        listing("refs/heads/trunk", heads_trunk=1), target(heads_main=1),
        default_branch="refs/heads/trunk", on_rewrite="Follow",
    )  # fmt: skip
    assert shape(plan) == [
        ("default branch", ["+refs/heads/trunk"]),
        "refs/heads/trunk",
        ("deletions", ["-refs/heads/main"]),
    ]


def test_head_rests_elsewhere_while_its_branch_makes_room_for_the_new_default() -> None:
    plan = plan_of(
        listing("refs/heads/main/x", heads_main__x=1), target(heads_main=1),
        default_branch="refs/heads/main/x", on_rewrite="Follow",
    )  # fmt: skip
    interim = f"refs/heads/github-onedev-sync-{TIME}"
    assert shape(plan) == [
        ("default branch", ["+" + interim]),
        interim,
        ("default branch", ["-refs/heads/main", "+refs/heads/main/x"]),
        "refs/heads/main/x",
        ("deletions", ["-" + interim]),
    ]


def test_the_last_branch_of_a_target_stays_because_onedev_keeps_its_default() -> None:
    plan = plan_of(Listing({"refs/tags/v1": oid(1)}), target(heads_main=1), default_branch=None)
    assert "default branch" in plan.rejected["refs/heads/main"]
    assert shape(plan) == [("refs", ["+refs/tags/v1"])]


def test_nothing_is_deleted_for_an_empty_source_and_no_approval_changes_that() -> None:
    plan = plan_of(Listing({}), target(heads_main=1, heads_x=2))
    assert plan.steps == ()
    assert plan.reason is Reason.MASS_DISAPPEARANCE
    assert plan.digest == ""
    again = plan_of(Listing({}), target(heads_main=1, heads_x=2), approved=digest_differences(plan.blocked))
    assert again == plan


def test_a_mass_disappearance_waits_for_approval_under_every_policy() -> None:
    there = target(heads_main=1, **{f"heads_b{n}": n for n in range(10)})
    source = listing(heads_main=1, **{f"heads_b{n}": n for n in range(4)})
    plan = plan_of(source, there, on_rewrite="Follow")
    assert plan.steps == ()
    assert plan.reason is Reason.MASS_DISAPPEARANCE
    assert len(plan.blocked) == 6
    approved = plan_of(source, there, on_rewrite="Follow", approved=plan.digest)
    assert [kind for kind, _ in shape(approved)] == ["deletions"]


def test_new_refs_of_a_doubtful_source_do_not_outvote_what_vanished() -> None:
    there = target(heads_main=1, **{f"heads_b{n}": n for n in range(9)})
    plan = plan_of(listing(heads_main=2, heads_b1=1, heads_n1=1, heads_n2=2), there, on_rewrite="Follow")
    assert shape(plan) == [("default branch", ["~refs/heads/main"])]
    assert plan.rejected.keys() == {"refs/heads/n1", "refs/heads/n2"}
    approved = plan_of(
        listing(heads_main=2, heads_b1=1, heads_n1=1, heads_n2=2), there, on_rewrite="Follow", approved=plan.digest
    )
    assert approved.rejected == {}
    assert len(approved.steps) == 3


def test_half_of_the_refs_may_go() -> None:
    there = target(heads_main=1, **{f"heads_b{n}": n for n in range(9)})
    plan = plan_of(listing(heads_main=1, **{f"heads_b{n}": n for n in range(4)}), there, on_rewrite="Follow")
    assert plan.blocked == ()


def test_only_what_the_filter_names_is_ever_deleted() -> None:
    foreign = {
        name: oid(5)
        for name in ("refs/pulls/1/head", "refs/updates/2", "refs/onedev/tod", "refs/archive/x/heads/y", "refs/notes/n")
    }
    there = target(heads_main=1, heads_kept=1)
    there = Listing({**there.refs, **foreign}, there.head)
    everything = RefFilter(("refs/*",), ("refs/heads/kept", "refs/notes/*"))
    assert plan_of(listing(heads_main=1), there, refs=everything).steps == ()


def test_names_that_onedev_cannot_take_are_kept_in_another_way() -> None:
    source = Listing(
        {
            "refs/heads/main": oid(1),
            "refs/heads/feature+x": oid(2),
            "refs/tags/v1+k3s1": oid(3),
            "refs/tags/100%": oid(1),
            "refs/tags/a&b": oid(1),
            "refs/tags/a=b": oid(1),
            "refs/tags/a%41": oid(1),
            "refs/tags/" + "x" * 251: oid(1),
            "refs/tags/ok": oid(1),
        },
        "refs/heads/main",
    )
    plan = plan_of(source, target(heads_main=1))
    staged = f"refs/github-onedev-sync-staged/{oid(2)}"
    assert shape(plan) == [
        ("refs", ["+refs/archive/encoded/tags/100!25", "+refs/tags/ok", "+refs/archive/encoded/tags/v1!2Bk3s1"]),
        ("single ref", ["+refs/tags/a%41"]),
        ("single ref", ["+refs/tags/a&b"]),
        ("single ref", ["+refs/tags/a=b"]),
        ("staged tips", ["+" + staged]),
        ("by REST", "+refs/heads/feature+x"),
        ("staged tips", ["-" + staged]),
    ]
    assert "kept as refs/archive/encoded/tags/v1!2Bk3s1" in plan.rejected["refs/tags/v1+k3s1"]
    assert "too long" in plan.rejected["refs/tags/" + "x" * 251]
    assert set(plan.rejected) == {"refs/tags/v1+k3s1", "refs/tags/100%", "refs/tags/" + "x" * 251}


def test_a_tag_that_is_kept_under_another_name_is_moved_and_deleted_there() -> None:
    kept, archived = "refs/archive/encoded/tags/v1!2B", f"refs/archive/{TIME}/tags/v1!2B"
    there = Listing({"refs/heads/main": oid(1), kept: oid(2), **MARKED}, "refs/heads/main")
    moved = plan_of(Listing({"refs/heads/main": oid(1), "refs/tags/v1+": oid(3)}, "refs/heads/main"), there)
    assert shape(moved) == [("archive", ["+" + archived]), ("refs", ["~" + kept])]
    gone = plan_of(listing(heads_main=1), there)
    assert shape(gone) == [("archive", ["+" + archived]), ("deletions", ["-" + kept])]
    assert gone.rejected == {}


def test_archived_names_that_could_not_stand_side_by_side_are_kept_apart() -> None:
    kept = "refs/archive/encoded/tags/a/x!2By"
    there = target(heads_main=1, tags_a=2)
    plan = plan_of(listing(heads_main=1), Listing({**there.refs, kept: oid(3)}, there.head))
    assert shape(plan)[0] == (
        "archive",
        [f"+refs/archive/{TIME}/tags/a", f"+refs/archive/{TIME}-2/tags/a/x!2By"],
    )


def test_a_branch_that_rest_moves_is_the_default_one_only_once() -> None:
    source = Listing({"refs/heads/a+b": oid(2)}, "refs/heads/a+b")
    first = plan_of(source, Listing(MARKED), default_branch="refs/heads/a+b")
    assert shape(first)[1:3] == [("by REST", "+refs/heads/a+b"), "refs/heads/a+b"]
    there = Listing({"refs/heads/a+b": oid(1), **MARKED}, "refs/heads/a+b")
    later = plan_of(source, there, default_branch="refs/heads/a+b")
    assert later.steps == ()
    assert "default branch" in later.rejected["refs/heads/a+b"]


def test_a_branch_that_rest_moves_may_be_the_default_one_until_head_has_moved() -> None:
    source = Listing({"refs/heads/main": oid(1), "refs/heads/a+b": oid(1)}, "refs/heads/main")
    plan = plan_of(source, Listing({"refs/heads/a+b": oid(2), **MARKED}, "refs/heads/a+b"))
    assert shape(plan) == [
        ("default branch", ["+refs/heads/main"]),
        "refs/heads/main",
        ("staged tips", [f"+refs/github-onedev-sync-staged/{oid(1)}"]),
        ("by REST", "~refs/heads/a+b"),
        ("staged tips", [f"-refs/github-onedev-sync-staged/{oid(1)}"]),
    ]


def test_staged_tips_go_with_what_needed_them() -> None:
    staged = {f"refs/github-onedev-sync-staged/{oid(2)}": oid(2)}
    plan = plan_of(listing(heads_main=2), target(heads_main=1), Knowledge(staged=staged))
    assert shape(plan) == [("default branch", ["~refs/heads/main", f"-{next(iter(staged))}"])]
    both = plan_of(listing(heads_main=2, tags_v=2), target(heads_main=1), Knowledge(staged=staged))
    assert shape(both)[-1] == ("refs", ["+refs/tags/v", f"-{next(iter(staged))}"])


def test_what_an_earlier_run_staged_goes() -> None:
    left = f"refs/github-onedev-sync-staged/{oid(9)}"
    there = target(heads_main=1)
    plan = plan_of(listing(heads_main=1), Listing({**there.refs, left: oid(9)}, there.head))
    assert shape(plan) == [("staged tips", ["-" + left])]


def test_archived_tips_go_when_their_time_is_over() -> None:
    old, new = "refs/archive/20250101T000000Z/heads/a", "refs/archive/20261101T000000Z/heads/a"
    there = target(heads_main=1)
    there = Listing({**there.refs, old: oid(8), new: oid(9)}, there.head)
    plan = plan_of(listing(heads_main=1), there, keep_for=timedelta(days=90))
    assert shape(plan) == [("archived tips whose time is over", ["-" + old])]
    assert plan_of(listing(heads_main=1), there).steps == ()


def test_a_tip_that_an_earlier_attempt_has_kept_is_not_kept_twice() -> None:
    kept = {f"refs/archive/{TIME}/heads/main": oid(1), f"refs/archive/{TIME}/heads/dev": oid(9)}
    there = target(heads_main=1, heads_dev=2)
    there = Listing({**there.refs, **kept}, there.head)
    plan = plan_of(
        listing(heads_main=3, heads_dev=4), there, Knowledge(forced=frozenset(("refs/heads/main", "refs/heads/dev")))
    )
    assert shape(plan)[0] == ("archive", [f"+refs/archive/{TIME}-2/heads/dev"])


def test_what_a_person_restored_stays() -> None:
    plan = plan_of(listing(heads_main=1), target(heads_main=1, heads_restored__x=5))
    assert plan.steps == ()


def test_tags_of_trees_and_blobs_go_last_and_apart() -> None:
    plan = plan_of(
        listing(heads_main=1, tags_tree=2, tags_v1=1), target(heads_main=1, heads_old=1),
        Knowledge(other_objects=frozenset(("refs/tags/tree",))), on_rewrite="Follow",
    )  # fmt: skip
    assert [kind for kind, _ in shape(plan)] == ["refs", "deletions", "tags that lead to no commit"]


def test_an_archived_name_has_no_character_that_breaks_the_hooks_and_stays_unique() -> None:
    names = ["refs/heads/a+b", "refs/heads/a!2Bb", "refs/heads/a%b", "refs/tags/a&b", "refs/tags/a=b"]
    kept = [archive_name(name, TIME) for name in names]
    assert kept[0] == f"refs/archive/{TIME}/heads/a!2Bb"
    assert len(set(kept)) == len(names)
    assert not set("+%&=") & set("".join(kept))


def test_pushes_are_cut_by_count_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [Command(f"refs/tags/{n:03}", None, oid(1)) for n in range(10)]
    monkeypatch.setattr(chunks, "REFS_PER_PUSH", 4)
    assert [len(push.commands) for push in pushes(Kind.REFS, commands)] == [4, 4, 2]
    monkeypatch.setattr(chunks, "HOOK_BYTES_PER_PUSH", 3 * (82 + 13))
    assert [len(push.commands) for push in pushes(Kind.REFS, commands)] == [3, 3, 3, 1]


def test_conflicts_are_found_in_both_directions() -> None:
    assert conflicts(["refs/heads/a", "refs/heads/b/c/d"], ["refs/heads/a/1", "refs/heads/b", "refs/heads/ab"]) == {
        "refs/heads/a": ["refs/heads/a/1"],
        "refs/heads/b/c/d": ["refs/heads/b"],
    }


def test_a_creation_that_collides_with_what_the_mirror_does_not_own_is_reported() -> None:
    there = target(heads_main=1, heads_release=1)
    only = RefFilter(("refs/heads/main", "refs/heads/release/*"))
    plan = plan_of(listing(heads_main=1, heads_release__1=2), there, refs=only)
    assert plan.steps == ()
    assert "refs/heads/release, which stays" in plan.rejected["refs/heads/release/1"]
