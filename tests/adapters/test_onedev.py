"""The OneDev adapter against the stand-in, over real HTTP."""

import asyncio

import pytest

from github_onedev_sync.adapters.onedev import OneDev
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled
from github_onedev_sync.api.observed import TargetProject
from tests.stand_ins.onedev import OneDevStandIn

from .conftest import CHILD_CREATOR, ONEDEV_TOKEN, allow

CREATE = r"/~api/projects$"
LOOK_UP = r"/~api/projects/ids/"


async def paths(stand_in: OneDevStandIn) -> list[str]:
    return [project["path"] for project in await stand_in.list_projects()]


async def test_the_version_and_the_account(onedev: OneDev) -> None:
    assert await onedev.version() == "16.5.6"
    await onedev.check_account()


async def test_an_absent_project(onedev: OneDev) -> None:
    assert await onedev.find_project("nobody/has/this") is None


async def test_a_path_is_created_level_by_level(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("github/octo/public", "Out in the open")
    assert made == await onedev.find_project("github/octo/public")
    assert (made.path, made.description) == ("github/octo/public", "Out in the open")
    github, octo, public = await onedev_stand_in.list_projects()
    assert (public["parentId"], octo["parentId"], github["parentId"]) == (octo["id"], github["id"], None)
    for container in (github, octo):
        assert not container["codeManagement"]
        assert container["description"] is None
    assert public["codeManagement"]
    assert not any(one["issueManagement"] or one["packManagement"] for one in (github, octo, public))


async def test_a_project_that_exists_is_returned_unchanged(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("github/octo/public", "First")
    onedev_stand_in.journal.clear()
    assert await onedev.ensure_project("github/octo/public", "Second") == made
    assert not onedev_stand_in.journal.entries(method="POST")


async def test_case_does_not_make_another_project(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("GitHub/Octo/Public", None)
    assert await onedev.ensure_project("github/octo/public", None) == made
    await onedev.ensure_project("github/OCTO/other", None)
    assert await paths(onedev_stand_in) == ["GitHub", "GitHub/Octo", "GitHub/Octo/Public", "GitHub/Octo/other"]


@pytest.mark.parametrize("root", ["", "github/octo/"], ids=["at the root", "below one parent"])
async def test_twenty_paths_at_once_are_created_once_each(onedev_stand_in: OneDevStandIn, root: str) -> None:
    # Two adapters for one server, as two resources that name it would have.
    adapters = [OneDev(onedev_stand_in.url, ONEDEV_TOKEN), OneDev(onedev_stand_in.url + "/", ONEDEV_TOKEN)]
    wanted = [f"{root}number-{number}" for number in range(20)]
    made = await asyncio.gather(*(one.ensure_project(path, None) for path in wanted for one in adapters))
    assert [project.path for project in made] == [path for path in wanted for _ in adapters]
    containers = ["github", "github/octo"] if root else []
    assert sorted(await paths(onedev_stand_in)) == sorted(containers + wanted)
    assert len(onedev_stand_in.journal.entries("POST", CREATE)) == len(wanted) + len(containers)
    for adapter in adapters:
        await adapter.close()


async def test_a_creation_that_another_program_wins(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("github", None)
    absent = {"status": 404, "body": "Project not found or inaccessible: github"}
    onedev_stand_in.faults.add(path=LOOK_UP, count=2, **absent)
    assert await onedev.ensure_project("github", None) == made
    onedev_stand_in.faults.add(path=LOOK_UP, count=2, **absent)
    onedev_stand_in.faults.add(method="POST", path=CREATE, status=500, body="could not execute statement")
    assert await onedev.ensure_project("github", None) == made


async def test_a_creation_whose_answer_is_lost_is_found_by_the_next(
    onedev: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    onedev_stand_in.faults.add(method="POST", path=CREATE, drop="after")
    with pytest.raises(Retry, match="cannot be reached") as caught:
        await onedev.ensure_project("github", None)
    assert caught.value.reason is Reason.TARGET_UNAVAILABLE
    assert (await onedev.ensure_project("github", None)).path == "github"
    assert await paths(onedev_stand_in) == ["github"]


async def test_a_project_that_the_account_cannot_see(
    onedev: OneDev, bot: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    await onedev.ensure_project("github", None)
    onedev_stand_in.store.users[2].create_root_projects = True
    with pytest.raises(Stalled, match="OneDev has a project github already, which the account may not see") as caught:
        await bot.ensure_project("github/octo", None)
    assert caught.value.reason is Reason.TARGET_NOT_PERMITTED


async def test_the_right_to_create_children_is_enough(
    onedev: OneDev, bot: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    root = await onedev.ensure_project("github", None)
    allow(onedev_stand_in, CHILD_CREATOR, "github")
    assert await bot.may_manage(root) is None
    made = await bot.ensure_project("github/octo/public", None)
    assert await bot.may_manage(made) is True
    await bot.describe_project(made, "Words")
    await bot.delete_project(made)


async def test_describing_keeps_everything_else(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("github/octo/public", None)
    (before,) = [one for one in await onedev_stand_in.list_projects() if one["id"] == made.id]
    await onedev.describe_project(made, 'Words with "quotes"\n\nand lines')
    (after,) = [one for one in await onedev_stand_in.list_projects() if one["id"] == made.id]
    assert after == before | {"description": 'Words with "quotes"\n\nand lines'}
    assert after["parentId"] is not None


async def test_an_equal_description_is_not_written(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    made = await onedev.ensure_project("github", None)
    onedev_stand_in.journal.clear()
    await onedev.describe_project(made, "")
    assert not onedev_stand_in.journal.entries(method="POST")
    await onedev.describe_project(made, "Words")
    await onedev.describe_project(made, "Words")
    assert len(onedev_stand_in.journal.entries(method="POST")) == 1
    await onedev.describe_project(made, "")
    found = await onedev.find_project("github")
    assert found is not None
    assert found.description is None


async def test_moving_takes_the_children_along(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    project = await onedev.ensure_project("github/octo/public", "Words")
    archive = await onedev.ensure_project("github/archive", None)
    await onedev.move_project(project, archive, "octo-public")
    moved = await onedev.find_project("github/archive/octo-public")
    assert moved == TargetProject(project.id, "github/archive/octo-public", "Words", archive.id)
    assert await onedev.find_project("github/octo/public") is None
    onedev_stand_in.journal.clear()
    await onedev.move_project(moved, archive, "octo-public")
    assert not onedev_stand_in.journal.entries(method="POST")


async def test_moving_onto_another_project_is_refused(onedev: OneDev) -> None:
    project = await onedev.ensure_project("github/octo/public", None)
    archive = await onedev.ensure_project("github/archive", None)
    await onedev.ensure_project("github/archive/public", None)
    with pytest.raises(Stalled, match="Name 'public' is already used by another project under 'github/archive'"):
        await onedev.move_project(project, archive, "public")


async def test_an_id_that_belongs_to_another_project_now_is_left_alone(
    onedev: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    made = await onedev.ensure_project("github/octo", None)
    stale = TargetProject(made.id, "github/somebody-else")
    for act in (onedev.delete_project(stale), onedev.describe_project(stale, "x")):
        with pytest.raises(Retry, match="is github/octo and was github/somebody-else a moment ago"):
            await act
    assert await paths(onedev_stand_in) == ["github", "github/octo"]


async def test_children(onedev: OneDev) -> None:
    parent = await onedev.ensure_project("github", None)
    assert not await onedev.has_children(parent)
    child = await onedev.ensure_project("github/octo", None)
    assert await onedev.has_children(parent)
    assert not await onedev.has_children(child)


async def test_listing_goes_on_to_the_short_page(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    wanted = [f"number-{number}" for number in range(6)]
    for path in wanted:
        await onedev.ensure_project(path, None)
    for page, pages in ((2, 4), (4, 2), (100, 1)):
        onedev_stand_in.journal.clear()
        assert [one.path async for one in onedev.projects("", page)] == wanted
        assert len(onedev_stand_in.journal.entries(path=r"/~api/projects\?")) == pages


async def test_deleting_takes_the_children_and_happens_once(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    project = await onedev.ensure_project("github/octo", None)
    await onedev.ensure_project("github/octo/public", None)
    await onedev.delete_project(project)
    await onedev.delete_project(project)
    assert await paths(onedev_stand_in) == ["github"]
    assert len(onedev_stand_in.journal.entries(method="DELETE")) == 1


async def test_a_deletion_that_another_program_wins(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    project = await onedev.ensure_project("github", None)
    gone = f"No row with the given identifier exists: [io.onedev.server.model.Project#{project.id}]"
    onedev_stand_in.faults.add(method="DELETE", status=404, body=gone)
    await onedev.delete_project(project)


async def test_a_project_that_was_deleted_cannot_be_described(onedev: OneDev) -> None:
    project = await onedev.ensure_project("github", None)
    await onedev.delete_project(project)
    with pytest.raises(Retry, match="was deleted a moment ago") as caught:
        await onedev.describe_project(project, "Words")
    assert caught.value.reason is Reason.TARGET_CHANGED


async def test_the_default_branch(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    project = await onedev.ensure_project("github", None)
    assert await onedev.default_branch(project) is None
    repository = onedev_stand_in.store.repository(onedev_stand_in.project("github"))
    tree = await onedev_stand_in.processes.git(repository, "mktree")
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    commit = await onedev_stand_in.processes.git(repository, *identity, "commit-tree", "-m", "First", tree)
    for branch in ("main", "release/1.0"):
        await onedev_stand_in.processes.git(repository, "update-ref", f"refs/heads/{branch}", commit)
    assert await onedev.default_branch(project) == "main"
    await onedev.set_default_branch(project, "release/1.0")
    assert await onedev.default_branch(project) == "release/1.0"
    with pytest.raises(Stalled, match="Branch not exist: nowhere") as caught:
        await onedev.set_default_branch(project, "nowhere")
    assert caught.value.reason is Reason.TARGET_REFUSED


async def test_who_may_manage(onedev: OneDev, bot: OneDev) -> None:
    project = await onedev.ensure_project("github", None)
    assert await onedev.may_manage(project) is True
    assert await bot.may_manage(project) is None


async def test_what_is_sent(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    onedev_stand_in.faults.add(path="/users/me", status=200, headers={"Set-Cookie": "rememberMe=yes; Path=/"})
    await onedev.check_account()
    await onedev.ensure_project("github", None)
    for entry in onedev_stand_in.journal.entries(path="/~api/"):
        assert entry.headers["accept"] == "application/json"
        assert entry.headers["user-agent"].startswith("github-onedev-sync/")
        assert "cookie" not in entry.headers
        assert ("content-type" in entry.headers) == (entry.method == "POST")
        assert entry.authenticated or entry.fault


async def test_no_token_is_logged(onedev: OneDev, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await onedev.check_account()
    assert ONEDEV_TOKEN not in caplog.text
