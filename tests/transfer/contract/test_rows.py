"""What a git server may hold and do, with nothing spoiled on the way: each row over both engines."""

import shutil

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.report import Outcome
from tests.stand_ins import repositories
from tests.stand_ins.processes import run_git
from tests.stand_ins.repositories import Import
from tests.transfer.contract.conftest import fill
from tests.transfer.contract.world import FETCH, PUSH, Contract
from tests.transfer.world import AT_ONCE, REPOSITORY

THEIRS = ("-c", "user.name=a", "-c", "user.email=b", "commit-tree")


@pytest.fixture(params=[("Git", "OneDev"), ("Relay", "OneDev"), ("Relay", "http-backend")], ids="-".join)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Engine and target; git is known to get along with git."""
    engine, target_name = request.param
    return engine, target_name


@pytest.fixture
def engine(pair: tuple[str, str]) -> str:
    return pair[0]


@pytest.fixture
def target_name(pair: tuple[str, str]) -> str:
    return pair[1]


async def test_an_empty_source(empty: Contract) -> None:
    report = await empty.sync()
    assert (report.outcome, report.reason) == (Outcome.SYNCED, Reason.SOURCE_EMPTY)
    assert await empty.target_refs() == {}


async def test_an_empty_source_that_had_refs_before(contract: Contract) -> None:
    before = await contract.target_refs()
    for name in await contract.source_refs():
        contract.source_git("update-ref", "-d", name)
    report = await contract.sync(on_rewrite="Follow")
    assert (report.outcome, report.reason, report.deleted) == (Outcome.BLOCKED, Reason.MASS_DISAPPEARANCE, 0)
    assert await contract.target_refs() == before


@pytest.mark.parametrize("commits", [2, 60], ids="{} commits".format)
async def test_a_first_sync(empty: Contract, commits: int) -> None:
    """Below 100 objects the target unpacks them, above it keeps the pack."""
    stream = Import()
    for number in range(commits):
        stream.commit("refs/heads/main", f"Number {number}", {f"file-{number}": f"{number}\n" * 50})
    stream.run(empty.source_repository)
    report = await empty.succeeds()
    assert (report.created, report.head) == (1, "main")
    assert report.bytes > 0
    assert report.engine == empty.engine


async def test_nothing_changed(contract: Contract) -> None:
    report = await contract.succeeds(Outcome.UNCHANGED)
    assert (report.created, report.updated, report.deleted, report.bytes) == (0, 0, 0, 0)


async def test_one_commit_whose_base_only_the_target_has(contract: Contract) -> None:
    lines = [f"line {number * 7919}\n" for number in range(20_000)]
    await contract.github.commit(REPOSITORY, "dev", {"long": "".join(lines)})
    await contract.succeeds()
    lines[10_000] = "changed\n"
    await contract.github.commit(REPOSITORY, "dev", {"long": "".join(lines)})
    report = await contract.succeeds()
    assert (report.updated, report.archived) == (1, 0)
    if contract.engine == "Relay":
        assert report.bytes < 3000, "the delta alone"


@pytest.mark.parametrize("at", ["main~1", "main"])
async def test_a_new_branch_at_what_the_target_has(contract: Contract, at: str) -> None:
    contract.source_git("branch", "old", at)
    assert (await contract.succeeds()).created == 1


async def test_a_branch_that_moves_back(contract: Contract) -> None:
    old = (await contract.source_refs())["refs/heads/main"]
    contract.source_git("update-ref", "refs/heads/main", "main~1")
    report = await contract.succeeds(archive_time="20270101T000000Z")
    assert (report.updated, report.archived) == (1, 1)
    assert await contract.archives() == {"refs/archive/20270101T000000Z/heads/main": old}


async def test_a_deletion_alone(contract: Contract) -> None:
    await contract.github.delete_branch(REPOSITORY, "dev")
    report = await contract.succeeds()
    assert (report.deleted, report.archived) == (1, 1)


async def test_tags_of_every_kind(contract: Contract) -> None:
    shutil.rmtree(contract.source_repository)
    repositories.odd_refs(contract.source_repository)
    for name in await contract.source_refs():
        if any(character in name for character in "+%&="):
            contract.source_git("update-ref", "-d", name)
    contract.source_git("tag", "of-a-tag-of-a-tree", "refs/tags/v1.0-tree")
    await contract.succeeds(on_rewrite="Follow")
    assert (await contract.sync()).outcome is Outcome.UNCHANGED


async def test_a_force_push(contract: Contract) -> None:
    """The target's own tip is unknown to the source by then."""
    old = (await contract.source_refs())["refs/heads/dev"]
    await contract.github.force_push(REPOSITORY, "dev")
    contract.source_git("prune", "--expire=now")
    report = await contract.succeeds(archive_time="20270101T000000Z")
    assert (report.updated, report.archived) == (1, 1)
    assert await contract.archives() == {"refs/archive/20270101T000000Z/heads/dev": old}


async def test_a_branch_that_was_deleted_and_made_anew(contract: Contract) -> None:
    old = (await contract.source_refs())["refs/heads/dev"]
    await contract.github.delete_branch(REPOSITORY, "dev")
    await contract.succeeds(archive_time="20270101T000001Z")
    contract.source_git("branch", "dev", "main")
    await contract.succeeds(archive_time="20270101T000002Z")
    assert await contract.archives() == {"refs/archive/20270101T000001Z/heads/dev": old}


async def test_a_moved_tag(contract: Contract) -> None:
    old = (await contract.source_refs())["refs/tags/v1"]
    await contract.github.create_tag(REPOSITORY, "v1", "HEAD~1", annotated=True)
    report = await contract.succeeds(archive_time="20270101T000000Z")
    assert (report.updated, report.archived) == (1, 1)
    assert await contract.archives() == {"refs/archive/20270101T000000Z/tags/v1": old}


async def test_another_history_under_the_same_name(contract: Contract) -> None:
    """Every branch and tag is unrelated to what was there, and what was there is kept."""
    old = await contract.source_refs()
    shutil.rmtree(contract.source_repository)
    repositories.empty(contract.source_repository)
    stream = Import()
    stream.commit("refs/heads/main", "Another beginning", {"other": "x"})
    stream.point("refs/heads/dev", "refs/heads/main")
    stream.run(contract.source_repository)
    await contract.succeeds(archive_time="20270101T000000Z")
    kept = {
        f"refs/{name.removeprefix('refs/archive/20270101T000000Z/')}": oid
        for name, oid in (await contract.archives()).items()
    }
    assert kept == {name: oid for name, oid in old.items() if name.startswith(("refs/heads/", "refs/tags/"))}


async def test_commits_that_the_target_has_on_its_own(contract: Contract) -> None:
    tree = contract.target_git("rev-parse", "main^{tree}")
    theirs = contract.target_git(*THEIRS, tree, "-p", "main", "-m", "theirs")
    contract.target_git("update-ref", "refs/heads/theirs", theirs)
    contract.target_git("update-ref", "refs/heads/main", theirs)
    report = await contract.succeeds(archive_time="20270101T000000Z")
    assert (report.updated, report.deleted, report.archived) == (1, 1, 2)
    assert set((await contract.archives()).values()) == {theirs}


async def test_a_directory_takes_the_place_of_a_branch_and_back(contract: Contract) -> None:
    contract.source_git("branch", "-D", "dev")
    contract.source_git("branch", "dev/one", "main")
    await contract.succeeds()
    contract.source_git("branch", "-D", "dev/one")
    contract.source_git("branch", "dev", "main")
    await contract.succeeds()


async def test_the_default_branch_takes_another_name(contract: Contract) -> None:
    contract.source_git("branch", "-m", "main", "trunk")
    report = await contract.succeeds()
    assert report.head == "trunk"
    assert await contract.target_head() == "refs/heads/trunk"


@pytest.mark.parametrize("change", ["update", "force", "delete"])
async def test_a_ref_that_moves_at_the_target_meanwhile(contract: Contract, change: str) -> None:
    """What somebody pushed there in the meantime is not overwritten unseen: it is archived when it is seen."""
    tree = contract.target_git("rev-parse", "dev^{tree}")
    theirs = contract.target_git(*THEIRS, tree, "-p", "dev", "-m", "theirs")
    if change == "update":
        await contract.change("dev")
    elif change == "force":
        await contract.github.force_push(REPOSITORY, "dev")
    else:
        await contract.github.delete_branch(REPOSITORY, "dev")

    async def meddle() -> None:
        contract.target_git("update-ref", "refs/heads/dev", theirs)

    contract.target.add(**PUSH, count=1, meddle=meddle)
    contract.pauses = ()
    report = await contract.sync()
    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.TARGET_CHANGED), report
    assert (await contract.target_refs())["refs/heads/dev"] == theirs
    contract.pauses = AT_ONCE
    await contract.heals()
    assert theirs in (await contract.archives()).values()


async def test_a_source_that_moves_between_list_and_pack(contract: Contract) -> None:
    await contract.change("dev")

    async def meddle() -> None:
        await contract.github.force_push(REPOSITORY, "dev", {"b": "another"})
        contract.source_git("prune", "--expire=now")

    contract.source.add(**FETCH, count=1, meddle=meddle)
    report = await contract.sync()
    if report.outcome is Outcome.FAILED:
        assert report.reason is Reason.SOURCE_UNAVAILABLE
        assert "changed while it was being read" in report.message
    await contract.heals()


async def test_a_shallow_source(empty: Contract) -> None:
    fill(empty)
    tip = empty.source_git("rev-parse", "main")
    (empty.source_repository / "shallow").write_text(f"{tip}\n")
    report = await empty.fails(Reason.NOT_SUPPORTED)
    assert "shallow" in report.message
    assert await empty.target_refs() == {}


async def test_a_source_of_another_object_format(empty: Contract) -> None:
    shutil.rmtree(empty.source_repository)
    run_git(empty.folder, "init", "--quiet", "--bare", "--object-format=sha256", str(empty.source_repository))
    Import().run(empty.source_repository)
    stream = Import()
    stream.commit("refs/heads/main", "First words", {"a": "1"})
    stream.run(empty.source_repository)
    report = await empty.sync()
    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.NOT_SUPPORTED)
    assert "SHA-1" in report.message
    assert await empty.target_refs() == {}
