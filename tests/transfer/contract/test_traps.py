"""What is peculiar to OneDev: its statuses, its own refs, its slots, its silence, and hooks that misread names."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest

from github_onedev_sync.api.assignment import Remote
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import ENCODED, RefFilter
from github_onedev_sync.api.report import Outcome
from github_onedev_sync.transfer import chunks
from github_onedev_sync.transfer.side import basic
from tests.stand_ins import repositories
from tests.stand_ins.conftest import until
from tests.stand_ins.onedev import hooks
from tests.stand_ins.repositories import Import
from tests.transfer.contract.conftest import fill
from tests.transfer.contract.world import FETCH, PUSH, Contract
from tests.transfer.world import ONEDEV_TOKEN, PROJECT, REPOSITORY, create_project

READER = 3  # OneDev's role `Code Reader`
PUSHES = "^/repo/git-receive-pack"


# ---- statuses


def as_service(world: Contract, project: int | None, role: int) -> None:
    """The worker's token is that of an account with this role in this project alone."""
    user = world.onedev.store.add_user("service", "SERVICE").id
    if project is not None:
        world.onedev.store.authorize("user", user, project, role)
    world.token("target", world.onedev.store.add_token("t", user).value)


async def test_a_token_that_is_none(contract: Contract) -> None:
    contract.token("target", "nonsense")
    assert "nonsense" not in (await contract.fails(Reason.TARGET_AUTHENTICATION_FAILED)).message


async def test_an_account_that_does_not_see_the_project(contract: Contract) -> None:
    as_service(contract, None, READER)
    assert "404" in (await contract.fails(Reason.TARGET_CHANGED)).message


async def test_an_account_that_may_only_read(contract: Contract) -> None:
    await contract.change()
    as_service(contract, contract.project_id, READER)
    assert "code write permission" in (await contract.fails(Reason.TARGET_NOT_PERMITTED)).message


async def test_no_project_is_made_by_a_push(contract: Contract) -> None:
    gone = Remote(f"{contract.target.url}/gone", str(contract.folder / "target"))
    before = await contract.onedev.list_projects()
    await contract.fails(Reason.TARGET_CHANGED, target=gone)
    assert await contract.onedev.list_projects() == before


@pytest.mark.parametrize(("mode", "words"), [("not-ready", "503"), ("starting", "404 with a web page")])
async def test_a_server_that_is_not_up(contract: Contract, mode: str, words: str) -> None:
    await contract.change()
    await contract.onedev.set_mode(mode)
    assert words in (await contract.fails(Reason.TARGET_UNAVAILABLE)).message
    await contract.onedev.set_mode("ready")
    await contract.heals()


async def test_a_server_that_stops_in_the_middle(contract: Contract) -> None:
    await contract.change()

    async def stop() -> None:
        await contract.onedev.set_mode("starting")

    contract.target.add(**PUSH, meddle=stop)
    await contract.fails(Reason.TARGET_UNAVAILABLE)
    await contract.onedev.set_mode("ready")
    await contract.heals()


# ---- refs of its own, and HEAD


async def test_its_own_refs_are_left_alone(contract: Contract) -> None:
    await contract.onedev.seed_pull_request(PROJECT)
    own = RefFilter(("refs/pulls/*", "refs/updates/*")).select(await contract.onedev.refs(PROJECT))
    assert own
    contract.source_git("update-ref", "refs/pull/7/head", "main")
    contract.source_git("branch", "-D", "dev")
    await contract.change("main")
    report = await contract.sync(include=("refs/*",))
    assert report.outcome is Outcome.SYNCED
    now = await contract.onedev.refs(PROJECT)
    assert own.items() <= now.items()
    assert "refs/pull/7/head" not in now


@pytest.mark.parametrize("default", ["dev", "main"])
async def test_the_default_branch_is_the_source_s(empty: Contract, default: str) -> None:
    """While HEAD is unborn OneDev takes whatever it sees last, or `main`."""
    fill(empty)
    await empty.github.set_default_branch(REPOSITORY, default)
    assert (await empty.succeeds()).head == default
    assert await empty.target_head() == f"refs/heads/{default}"


async def test_the_branch_of_head_goes(contract: Contract) -> None:
    await contract.github.set_default_branch(REPOSITORY, "dev")
    contract.source_git("branch", "-D", "main")
    report = await contract.succeeds()
    assert (report.deleted, report.head) == (1, "dev")


# ---- slots and silence


async def test_a_slot_that_another_holds(contract: Contract) -> None:
    """The push waits for it with everything at hand, and the refs are read all the same."""
    await contract.change()
    await contract.onedev.set_slots(1)
    await create_project(contract.onedev, "other")
    ended = asyncio.Event()
    holder = asyncio.create_task(hold_a_slot(f"{contract.onedev.url}/other", ended))
    await until(lambda: contract.onedev.processes.count > 0)
    pushed = len(contract.onedev.journal.entries("POST", PUSHES))
    run = asyncio.create_task(contract.sync())
    await until(lambda: len(contract.onedev.journal.entries("POST", PUSHES)) > pushed)
    assert not run.done()
    ended.set()
    await holder
    assert (await run).outcome is Outcome.SYNCED
    await contract.assert_equal()


async def hold_a_slot(url: str, ended: asyncio.Event) -> None:
    """Pushes nothing, in two halves."""

    async def halves() -> AsyncIterator[bytes]:
        yield b"00"
        await ended.wait()
        yield b"00"

    kind = {"Content-Type": "application/x-git-receive-pack-request", "Authorization": basic(ONEDEV_TOKEN)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/git-receive-pack", data=halves(), headers=kind) as response,
    ):
        assert response.status == 200


async def test_silence_of_the_source_in_mid_pack(contract: Contract) -> None:
    """OneDev gives a push up that is silent for long. It says so with 200, and nothing of the push stays."""
    await contract.onedev.configure(idle_seconds=0.3)
    await contract.change()
    await contract.spoiled(contract.target.add(**PUSH, stall_request=900), Reason.TARGET_UNAVAILABLE)
    await contract.onedev.configure(idle_seconds=30.0)
    await contract.heals()


async def test_nothing_is_asked_for_in_another_coat(contract: Contract) -> None:
    """OneDev would compress, and so hold back what shows that it is alive."""
    await contract.change()
    contract.onedev.journal.clear()
    await contract.succeeds()
    for entry in contract.onedev.journal.entries():
        if not entry.user_agent.startswith("git/2.39-") and "/~api/" not in entry.path:
            assert entry.headers["accept-encoding"] == "identity"
        assert entry.headers.get("content-encoding") in (None, "gzip"), "anything else is answered with 500"


# ---- names


async def test_names_that_its_hooks_misread(empty: Contract) -> None:
    """Branches with + are made over REST, a tag is kept under another name; none takes a neighbour down with it."""
    shutil.rmtree(empty.source_repository)
    repositories.odd_refs(empty.source_repository)
    report = await empty.sync()
    assert (report.outcome, report.reason) == (Outcome.PARTIAL, Reason.REFS_REJECTED)
    source, target = await empty.source_refs(), await empty.target_refs()
    missing = {name for name, oid in source.items() if target.get(name) != oid}
    assert missing == {name for name in source if name.startswith("refs/tags/") and ("+" in name or name[-1] == "%")}
    assert report.rejected == report.unequal_count == len(missing)
    assert not target.keys() - source.keys()
    kept = RefFilter((ENCODED + "*",)).select(await empty.onedev.refs(PROJECT))
    assert kept[ENCODED + "tags/v1.28.2!2Bk3s1"] == source["refs/tags/v1.28.2+k3s1"]
    await empty.assert_whole()
    again = await empty.sync()
    assert (again.outcome, again.created, again.updated) == (Outcome.PARTIAL, 0, 0)


@pytest.mark.parametrize("name", ["rel+1", "100%zz", "a&b", "k=v", "ü#@,;!$('"])
async def test_a_branch_of_an_odd_name_comes_moves_and_goes(contract: Contract, name: str) -> None:
    contract.source_git("branch", name, "main~1")
    assert (await contract.succeeds()).created == 1
    contract.source_git("update-ref", f"refs/heads/{name}", "main")
    assert (await contract.succeeds()).updated == 1
    contract.source_git("update-ref", f"refs/heads/{name}", "dev")
    contract.source_git("branch", "-D", name)
    old = (await contract.target_refs())[f"refs/heads/{name}"]
    report = await contract.succeeds()
    assert (report.deleted, report.archived) == (1, 1)
    assert old in (await contract.archives()).values()


async def test_a_rewritten_branch_of_an_odd_name_is_archived(contract: Contract) -> None:
    contract.source_git("branch", "rel+1", "dev")
    await contract.succeeds()
    old = (await contract.target_refs())["refs/heads/rel+1"]
    await contract.github.force_push(REPOSITORY, "rel+1")
    report = await contract.succeeds()
    assert (report.updated, report.archived) == (1, 1)
    assert list((await contract.archives()).values()) == [old]


async def test_more_refs_than_a_hook_may_hear_of(empty: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte more and OneDev refuses them all."""
    monkeypatch.setattr(hooks, "FORM_LIMIT", 10_000)
    monkeypatch.setattr(chunks, "HOOK_BYTES_PER_PUSH", 10_000)
    stream = Import()
    stream.commit("refs/heads/main", "First words", {"a": "1"})
    for number in range(150):
        stream.point(f"refs/heads/{number:03}/{'x' * 120}", "refs/heads/main")
    stream.run(empty.source_repository)
    assert (await empty.succeeds()).created == 151


async def test_one_refusal_refuses_the_whole_push(contract: Contract) -> None:
    contract.onedev.project(PROJECT).setting["branchProtections"] = [{"branches": "dev", "preventForcedPush": True}]
    before = await contract.target_refs()
    await contract.github.force_push(REPOSITORY, "dev")
    contract.source_git("branch", "new", "dev")
    report = await contract.fails(Reason.TARGET_REFUSED)
    assert "refs/heads/dev" in report.message or "refs/heads/new" in report.message
    assert "Cannot force-push to this branch" in report.message
    assert await contract.target_refs() == before
    contract.onedev.project(PROJECT).setting.clear()
    await contract.heals()


async def test_tags_that_lead_to_no_commit_take_no_event_away(empty: Contract) -> None:
    """After such a tag OneDev stops reading a push: so they come in one of their own, when all else is there."""
    stream = Import()
    stream.commit("refs/heads/main", "First words", {"a": "1"})
    stream.point("refs/tags/v1", "refs/heads/main")
    stream.run(empty.source_repository)
    empty.source_git("tag", "a-tree", "main^{tree}")
    empty.source_git("tag", "a-blob", "main:a")
    pushes: list[bytes] = []
    empty.target.add(**PUSH, watch=pushes.append)
    await empty.succeeds()
    assert b"refs/tags/a-tree" in pushes[-1]
    assert b"refs/tags/a-blob" in pushes[-1]
    assert not any(b"refs/tags/v1" in push or b"refs/heads/" in push for push in pushes[-1:])
    assert (await empty.target_head()) == "refs/heads/main"


async def test_what_was_done_unheard_is_found_done(contract: Contract) -> None:
    """A push that had arrived runs although nobody waits for it any more."""
    old = (await contract.target_refs())["refs/heads/dev"]
    await contract.github.force_push(REPOSITORY, "dev")
    contract.target.add(**PUSH, count=2, cut_answer=0)
    await contract.succeeds()
    assert set((await contract.archives()).values()) == {old}


async def test_a_pack_that_a_source_takes_long_to_count(contract: Contract) -> None:
    """No slot of OneDev's is asked for before there is something to send."""
    await contract.change()
    reached, ended = asyncio.Event(), asyncio.Event()

    async def count() -> None:
        reached.set()
        await ended.wait()

    contract.source.add(**FETCH, meddle=count)
    run = asyncio.create_task(contract.sync())
    await reached.wait()
    assert contract.onedev.processes.count == 0
    pushes = contract.onedev.journal.entries("POST", PUSHES)
    assert all(entry.status == 200 for entry in pushes), "none is open"
    ended.set()
    assert (await run).outcome is Outcome.SYNCED
