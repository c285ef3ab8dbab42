"""What a run makes of the target, case by case; real git and OneDev's hooks on the other side."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import digest
from github_onedev_sync.api.report import Outcome
from tests.stand_ins import repositories
from tests.transfer.world import MARK, PROJECT, REPOSITORY, World


async def test_a_first_sync_brings_everything(world: World) -> None:
    await world.github.commit(REPOSITORY, "main")
    await world.github.create_branch(REPOSITORY, "dev")
    await world.github.commit(REPOSITORY, "dev")
    await world.github.create_tag(REPOSITORY, "v1", annotated=True)
    report = await world.sync()
    assert (report.outcome, report.reason) == (Outcome.SYNCED, Reason.SYNCED)
    assert (report.created, report.updated, report.deleted, report.archived, report.rejected) == (3, 0, 0, 0, 0)
    assert (report.branches, report.tags, report.head) == (2, 1, "main")
    assert report.digest == digest(await world.source_refs())
    assert report.bytes > 0
    await world.assert_equal()
    assert MARK.ref in await world.onedev.refs(PROJECT)
    assert not list(world.scratch().iterdir()), "scratch data is left behind"


async def test_nothing_changed_pushes_nothing(mirrored: World) -> None:
    mirrored.onedev.journal.clear()
    mirrored.github.journal.clear()
    report = await mirrored.sync()
    assert report.outcome is Outcome.UNCHANGED
    assert [entry.method for entry in mirrored.onedev.journal.entries()] == ["GET"]
    assert len(mirrored.github.journal.entries()) == 2


async def test_a_new_commit_is_a_fast_forward(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY, "dev")
    report = await mirrored.sync()
    assert (report.outcome, report.updated, report.archived) == (Outcome.SYNCED, 1, 0)
    await mirrored.assert_equal()


@pytest.mark.parametrize("branch", ["main", "dev"])
async def test_a_force_push_is_archived(mirrored: World, branch: str) -> None:
    old = (await mirrored.source_refs())[f"refs/heads/{branch}"]
    await mirrored.github.force_push(REPOSITORY, branch)
    report = await mirrored.sync(archive_time="20270101T000000Z")
    assert (report.outcome, report.updated, report.archived, report.archives) == (Outcome.SYNCED, 1, 1, 1)
    assert await mirrored.archives() == {f"refs/archive/20270101T000000Z/heads/{branch}": old}
    await mirrored.assert_equal()


async def test_a_force_push_is_followed(mirrored: World) -> None:
    await mirrored.github.force_push(REPOSITORY, "main")
    report = await mirrored.sync(on_rewrite="Follow")
    assert (report.outcome, report.updated, report.archived) == (Outcome.SYNCED, 1, 0)
    assert await mirrored.archives() == {}
    await mirrored.assert_equal()


async def test_a_force_push_is_blocked_until_it_is_approved(mirrored: World) -> None:
    before = await mirrored.target_refs()
    await mirrored.github.force_push(REPOSITORY, "main")
    await mirrored.github.commit(REPOSITORY, "dev")
    report = await mirrored.sync(on_rewrite="Block")
    assert (report.outcome, report.reason, report.updated) == (Outcome.BLOCKED, Reason.REWRITE_BLOCKED, 1)
    assert report.unequal == ("refs/heads/main",)
    after = await mirrored.target_refs()
    assert after["refs/heads/main"] == before["refs/heads/main"]
    assert after["refs/heads/dev"] != before["refs/heads/dev"]
    command = f"kubectl annotate rmir -n default repo --overwrite github-onedev-sync.io/approve={report.approval}"
    assert command in report.message

    approved = await mirrored.sync(on_rewrite="Block", approved=report.approval)
    assert (approved.outcome, approved.updated) == (Outcome.SYNCED, 1)
    await mirrored.assert_equal()


async def test_a_deleted_branch_and_a_moved_tag_are_archived(mirrored: World) -> None:
    old = await mirrored.source_refs()
    await mirrored.github.delete_branch(REPOSITORY, "dev")
    await mirrored.github.create_tag(REPOSITORY, "v1", "HEAD~1", annotated=True)
    report = await mirrored.sync(archive_time="20270101T000000Z")
    assert (report.updated, report.deleted, report.archived) == (1, 1, 2)
    assert await mirrored.archives() == {
        "refs/archive/20270101T000000Z/heads/dev": old["refs/heads/dev"],
        "refs/archive/20270101T000000Z/tags/v1": old["refs/tags/v1"],
    }
    await mirrored.assert_equal()


async def test_a_directory_takes_the_place_of_a_branch_and_back(mirrored: World) -> None:
    await mirrored.github.delete_branch(REPOSITORY, "dev")
    await mirrored.github.create_branch(REPOSITORY, "dev/one")
    await mirrored.github.create_branch(REPOSITORY, "dev/two")
    assert (await mirrored.sync()).outcome is Outcome.SYNCED
    await mirrored.assert_equal()
    for name in ("one", "two"):
        await mirrored.github.delete_branch(REPOSITORY, f"dev/{name}")
    await mirrored.github.create_branch(REPOSITORY, "dev")
    assert (await mirrored.sync()).outcome is Outcome.SYNCED
    await mirrored.assert_equal()


async def test_a_renamed_default_branch_takes_head_along(mirrored: World) -> None:
    mirrored.source_git("branch", "-m", "main", "trunk")
    report = await mirrored.sync()
    assert (report.outcome, report.head) == (Outcome.SYNCED, "trunk")
    assert await mirrored.target_head() == "refs/heads/trunk"
    await mirrored.assert_equal()


async def test_a_default_branch_that_moves_into_a_directory_of_its_own_name(mirrored: World) -> None:
    mirrored.source_git("update-ref", "refs/heads/tmp", "refs/heads/main")
    mirrored.source_git("symbolic-ref", "HEAD", "refs/heads/tmp")
    mirrored.source_git("update-ref", "-d", "refs/heads/main")
    mirrored.source_git("branch", "-m", "tmp", "main/next")
    report = await mirrored.sync()
    assert (report.outcome, report.head) == (Outcome.SYNCED, "main/next"), report
    await mirrored.assert_equal()


async def test_another_default_branch_without_any_other_change(mirrored: World) -> None:
    await mirrored.github.set_default_branch(REPOSITORY, "dev")
    report = await mirrored.sync()
    assert (report.outcome, report.head) == (Outcome.SYNCED, "dev")
    assert (await mirrored.sync()).outcome is Outcome.UNCHANGED


async def test_an_empty_source_is_fine(world: World) -> None:
    report = await world.sync()
    assert report.outcome is Outcome.SYNCED
    assert "empty" in report.message
    assert await world.target_refs() == {}


async def test_a_source_that_became_empty_deletes_nothing(mirrored: World) -> None:
    before = await mirrored.target_refs()
    for name in await mirrored.source_refs():
        mirrored.source_git("update-ref", "-d", name)
    report = await mirrored.sync(on_rewrite="Follow")
    assert (report.outcome, report.reason) == (Outcome.BLOCKED, Reason.MASS_DISAPPEARANCE)
    assert report.deleted == 0
    assert "approve" not in report.message
    assert await mirrored.target_refs() == before


async def test_a_mass_disappearance_waits_for_approval(mirrored: World) -> None:
    for number in range(10):
        await mirrored.github.create_branch(REPOSITORY, f"b{number}")
    await mirrored.sync()
    for number in range(10):
        await mirrored.github.delete_branch(REPOSITORY, f"b{number}")
    report = await mirrored.sync()
    assert (report.outcome, report.reason, report.deleted) == (Outcome.BLOCKED, Reason.MASS_DISAPPEARANCE, 0)
    approved = await mirrored.sync(approved=report.approval)
    assert (approved.outcome, approved.deleted, approved.archived) == (Outcome.SYNCED, 10, 10)
    await mirrored.assert_equal()


def replace_source(world: World, make: Callable[[Path], None]) -> None:
    shutil.rmtree(world.source_repository)
    make(world.source_repository)


async def test_odd_names_go_as_far_as_onedev_lets_them(world: World) -> None:
    replace_source(world, repositories.odd_refs)
    report = await world.sync()
    assert (report.outcome, report.reason) == (Outcome.PARTIAL, Reason.REFS_REJECTED)
    source, target = await world.source_refs(), await world.target_refs()
    missing = {name for name, oid in source.items() if target.get(name) != oid}
    assert all("+" in name or "%zz" in name or name.endswith("%") for name in missing), missing
    assert set(report.unequal) <= missing
    assert report.unequal_count == len(missing) == report.rejected
    assert not target.keys() - source.keys()
    await world.assert_whole()

    again = await world.sync()
    assert again.outcome is Outcome.PARTIAL
    assert again.created == 0


async def test_hundreds_of_refs(world: World) -> None:
    replace_source(world, repositories.many_refs)
    report = await world.sync()
    assert report.outcome is Outcome.SYNCED
    assert report.created == len(await world.source_refs()) > 900
    await world.assert_equal()


async def test_onedevs_own_refs_are_left_alone(mirrored: World) -> None:
    await mirrored.onedev.seed_pull_request(PROJECT)
    own = {name for name in await mirrored.onedev.refs(PROJECT) if name.startswith(("refs/pulls", "refs/updates"))}
    await mirrored.github.commit(REPOSITORY)
    assert (await mirrored.sync(include=("refs/*",))).outcome is Outcome.SYNCED
    assert own
    assert own <= (await mirrored.onedev.refs(PROJECT)).keys()


async def test_only_selected_refs_are_mirrored(mirrored: World) -> None:
    await mirrored.github.create_branch(REPOSITORY, "wip/a")
    report = await mirrored.sync(exclude=("refs/heads/wip/*",))
    assert report.outcome is Outcome.UNCHANGED
    assert "refs/heads/wip/a" not in await mirrored.target_refs()


async def test_a_renamed_repository_is_followed_by_its_redirect(mirrored: World) -> None:
    task = mirrored.task()
    await mirrored.github.rename_repository(REPOSITORY, "octo/new")
    await mirrored.github.commit("octo/new", "main")
    (report,) = await mirrored.sync_all(task)
    assert (report.outcome, report.updated) == (Outcome.SYNCED, 1)


async def test_an_older_mark_is_replaced(mirrored: World) -> None:
    report = await mirrored.sync(mark_ref=MARK.ref + "2")
    assert report.outcome is Outcome.SYNCED
    refs = await mirrored.onedev.refs(PROJECT)
    assert MARK.ref not in refs
    assert MARK.ref + "2" in refs


async def test_anonymous_source(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY)
    task = mirrored.task()
    (report,) = await mirrored.sync_all(replace(task, source=replace(task.source, credentials="")))
    assert report.outcome is Outcome.SYNCED
    assert not any(entry.authenticated for entry in mirrored.github.journal.entries()[-3:])


async def test_tasks_do_not_disturb_each_other(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY)
    good, bad = mirrored.task(key="default/good"), mirrored.task(key="default/bad")
    bad = type(bad)(
        **{**bad.__dict__, "target": type(bad.target)(f"{mirrored.onedev.url}/nowhere", bad.target.credentials)}
    )
    reports = await mirrored.sync_all(bad, good)
    assert [(r.key, r.outcome, r.reason) for r in reports] == [
        ("default/bad", Outcome.FAILED, Reason.TARGET_CHANGED),
        ("default/good", Outcome.SYNCED, Reason.SYNCED),
    ]
