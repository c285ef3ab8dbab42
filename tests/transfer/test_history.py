"""Nothing that was overwritten is lost before its time: each kind of rewrite, retention, and what a person restored."""

import asyncio

import pytest

from github_onedev_sync.__main__ import main

from .world import PROJECT, REPOSITORY, World

OLD, NEW = "refs/archive/20261123T010202Z", "refs/archive/20261123T010203Z"


async def restore(world: World, *arguments: str) -> int:
    where = (f"--server={world.onedev.url}", "--insecure", f"--project={PROJECT}")
    token = f"--token-file={world.folder / 'target' / 'token'}"
    return await asyncio.to_thread(main, ["restore", *where, token, *arguments])


@pytest.mark.parametrize("at_once", [True, False], ids=["between two runs", "with a run in between"])
async def test_a_branch_deleted_and_made_again_with_other_commits(mirrored: World, at_once: bool) -> None:
    old = (await mirrored.source_refs())["refs/heads/dev"]
    await mirrored.github.delete_branch(REPOSITORY, "dev")
    if not at_once:
        assert (await mirrored.sync()).archived == 1
    await mirrored.github.commit(REPOSITORY, "dev", {"c": "another beginning"})
    report = await mirrored.sync()
    assert (report.outcome, report.archived) == ("Synced", int(at_once))
    assert await mirrored.archives() == {f"{OLD}/heads/dev": old}
    await mirrored.assert_equal()


async def test_what_was_restored_outlives_the_next_rewrites(mirrored: World) -> None:
    old = (await mirrored.source_refs())["refs/heads/dev"]
    await mirrored.github.delete_branch(REPOSITORY, "dev")
    await mirrored.sync()
    assert await restore(mirrored, f"--archived={OLD}/heads/dev", "--branch=dev") == 0
    await mirrored.github.force_push(REPOSITORY, "main", {"a": "3"})
    report = await mirrored.sync(keep_for=0.5)
    assert (report.outcome, report.deleted, report.unequal, report.pruned) == ("Synced", 0, (), 1)
    refs = await mirrored.onedev.refs(PROJECT)
    assert refs["refs/heads/restored/dev"] == old
    assert f"{OLD}/heads/dev" not in refs
    await mirrored.assert_whole()


async def test_a_branch_of_the_source_s_below_restored_is_mirrored_like_any_other(mirrored: World) -> None:
    await mirrored.github.create_branch(REPOSITORY, "restored/dev")
    assert (await mirrored.sync()).created == 1
    await mirrored.github.commit(REPOSITORY, "restored/dev", {"d": "1"})
    assert (await mirrored.sync()).updated == 1
    await mirrored.assert_equal()


async def test_a_tag_moved_there_and_back_is_kept_each_time(mirrored: World) -> None:
    first = (await mirrored.source_refs())["refs/tags/v1"]
    second = await mirrored.github.create_tag(REPOSITORY, "v1", "dev", annotated=True)
    assert (await mirrored.sync()).archived == 1
    await mirrored.github.create_tag(REPOSITORY, "v1", first)
    assert (await mirrored.sync()).archived == 1
    assert await mirrored.archives() == {f"{OLD}/tags/v1": first, f"{NEW}/tags/v1": second}
    await mirrored.assert_equal()


async def test_a_wiped_repository_takes_nothing_along_and_heals(mirrored: World) -> None:
    before = await mirrored.source_refs()
    for name in before:
        if name != "HEAD":
            mirrored.source_git("update-ref", "-d", name)
    report = await mirrored.sync()
    assert (report.outcome, report.reason, report.deleted) == ("Blocked", "MassDisappearance", 0)
    for name, oid in before.items():
        mirrored.source_git("update-ref", name, oid)
    assert (await mirrored.sync()).outcome == "Unchanged"
    assert await mirrored.archives() == {}
    await mirrored.assert_equal()


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        pytest.param({"keep_last": 1}, [NEW], id="the newest"),
        pytest.param({"keep_for": 1.0}, [], id="none so young"),
        pytest.param({"keep_for": 1.0, "keep_last": 1}, [NEW], id="none so young, but the newest"),
    ],
)
async def test_archived_tips_go_when_their_time_is_over(
    mirrored: World, keep: dict[str, float], left: list[str]
) -> None:
    for content in ("2", "3"):
        await mirrored.github.force_push(REPOSITORY, "dev", {"b": content})
        assert (await mirrored.sync()).archived == 1
    report = await mirrored.sync(**keep)
    assert (report.outcome, report.pruned, report.archives) == ("Synced", 2 - len(left), len(left)), report
    assert list(await mirrored.archives()) == [f"{time}/heads/dev" for time in left]
    again = await mirrored.sync(**keep)
    assert (again.outcome, again.pruned) == ("Unchanged", 0)
    await mirrored.assert_equal()


async def test_what_a_run_archives_itself_it_never_lets_go(mirrored: World) -> None:
    await mirrored.github.force_push(REPOSITORY, "dev", {"b": "2"})
    report = await mirrored.sync(keep_for=0.001)
    assert (report.archived, report.pruned, report.archives) == (1, 0, 1)
