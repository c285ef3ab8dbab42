"""LFS objects on their way from GitHub to OneDev: what arrives, what is missing, what is never let through."""

import asyncio
import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Stalled, SyncError, Waiting
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.api.report import Outcome
from github_onedev_sync.transfer import lfs_stream
from github_onedev_sync.transfer.engine import Endpoint
from github_onedev_sync.transfer.lfs import LfsCounts, copy_objects, mirror_objects
from github_onedev_sync.transfer.lfs_pointers import Found, Pointer
from github_onedev_sync.transfer.listing import RefReader
from github_onedev_sync.transfer.pktline import Marker
from tests.adapters.test_tls import issue
from tests.hostile import Answer, Request, forever, hostile, response
from tests.stand_ins.github.lfs import TYPE, pointer
from tests.transfer.test_hostile import MAIN, PACKS, git, sends, tls_before
from tests.transfer.world import GITHUB_TOKEN, ONEDEV_TOKEN, PROJECT, REPOSITORY, World, create_project, world_in

BATCH: dict[str, Any] = {"method": "POST", "path": "objects/batch"}
PUT: dict[str, Any] = {"method": "PUT", "path": "lfs-objects"}
GET: dict[str, Any] = {"method": "GET", "path": "_media"}
BIG = "0123456789abcdef" * 65536  # a mebibyte


def oid_of(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


@dataclass
class Lfs:
    """A world whose repository has LFS objects, and the copying alone."""

    world: World
    session: aiohttp.ClientSession
    progress: list[tuple[str, int]] = field(default_factory=list)

    @property
    def source(self) -> Endpoint:
        return Endpoint(f"{self.world.github.url}/{REPOSITORY}.git", GITHUB_TOKEN)

    @property
    def target(self) -> Endpoint:
        return Endpoint(f"{self.world.onedev.url}/{PROJECT}", ONEDEV_TOKEN)

    async def commit(self, branch: str | None = None, **files: str) -> None:
        await self.world.github.commit_lfs(REPOSITORY, files, branch)

    async def mirror(self, source: Endpoint | None = None, target: Endpoint | None = None) -> LfsCounts:
        source, scratch = source or self.source, self.world.scratch() / "lfs"
        listing = await RefReader(self.session).source_refs(source.url, source.token, source.ca)
        tips, held = listing.refs.values(), (await self.world.target_refs()).values()
        try:
            return await mirror_objects(
                self.session, scratch, listing, tips, held, source, target or self.target, self._on_progress
            )
        finally:
            assert not scratch.exists()

    async def copy(self, *contents: bytes, source: Endpoint | None = None) -> LfsCounts:
        """The same for objects that no commit names."""
        found = Found(frozenset(Pointer(oid_of(content), len(content)) for content in contents))
        return await copy_objects(self.session, found, source or self.source, self.target, self._on_progress)

    def _on_progress(self, phase: str, percent: int) -> None:
        self.progress.append((phase, percent))

    async def fails(self, reason: Reason, *words: str, **changes: Any) -> SyncError:
        with pytest.raises(SyncError) as caught:
            await self.mirror(**changes)
        said = caught.value.message
        assert caught.value.reason is reason, said
        for word in words:
            assert word in said
        assert GITHUB_TOKEN not in said
        assert ONEDEV_TOKEN not in said
        return caught.value

    async def objects(self) -> dict[str, int]:
        return await self.world.onedev.lfs_objects(PROJECT)

    def sent(self, **what: Any) -> list[str]:
        """What the target was asked, and answered."""
        return [f"{entry.method} {entry.status}" for entry in self.world.onedev.journal.entries(**what)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """LFS objects go the same way whatever moves refs, so there is one world for both engines."""
    async with world_in(tmp_path) as made:
        yield made


@pytest.fixture
async def lfs(world: World) -> AsyncIterator[Lfs]:
    """One commit with two objects."""
    async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
        made = Lfs(world, session)
        await made.commit(a="hello", b=BIG)
        yield made


# ---- what arrives


async def test_a_first_copy_brings_every_object(lfs: Lfs) -> None:
    await lfs.commit("dev", c="only on dev")
    await lfs.commit("dev", c="and once more")
    await lfs.world.github.create_tag(REPOSITORY, "v1", annotated=True)
    contents = ("hello", BIG, "only on dev", "and once more")
    assert await lfs.mirror() == LfsCounts(4, sum(map(len, contents)), 0)
    assert await lfs.objects() == {oid_of(content): len(content) for content in contents}
    assert lfs.progress[-1] == ("Copying LFS objects", 100)
    uploads = lfs.world.onedev.journal.entries(**PUT)
    assert len(uploads) == 4
    assert all("transfer-encoding" not in upload.headers for upload in uploads)


async def test_a_second_run_copies_nothing(lfs: Lfs) -> None:
    counts = await lfs.mirror()
    lfs.world.onedev.journal.clear()
    assert await lfs.mirror() == counts
    assert lfs.sent(method="POST|PUT") == ["POST 200"]


async def test_a_new_object_is_copied_alone(lfs: Lfs) -> None:
    await lfs.mirror()
    await lfs.commit(c="new")
    lfs.world.onedev.journal.clear()
    assert (await lfs.mirror()).objects == 3
    assert len(lfs.sent(**PUT)) == 1


async def test_objects_that_were_not_copied_when_their_commits_were_follow(lfs: Lfs) -> None:
    assert (await lfs.world.sync()).outcome == "Synced"
    assert await lfs.objects() == {}
    assert (await lfs.mirror()).objects == 2


async def test_more_objects_than_one_request_takes(lfs: Lfs) -> None:
    await lfs.commit(**{f"f{number}": f"content {number}" for number in range(250)})
    assert (await lfs.mirror()).objects == 252
    assert len(lfs.world.github.journal.entries(**BATCH)) == 3
    assert len(await lfs.objects()) == 252


async def test_what_only_looks_like_a_pointer_is_none(lfs: Lfs) -> None:
    spoof = f"{'0' * 40} blob 5\n{pointer(b'spoof')}"
    long = pointer(b"long") + "x" * 1024
    await lfs.world.github.commit(REPOSITORY, None, {"spoof": spoof, "long": long, "utf": "ü\r\0", "none": ""})
    assert (await lfs.mirror()).objects == 2


async def test_a_repository_without_lfs_asks_nobody(world: World) -> None:
    await world.github.commit(REPOSITORY, "main")
    async with aiohttp.ClientSession() as session:
        lfs = Lfs(world, session)
        assert await lfs.mirror() == LfsCounts()
        assert lfs.sent(**BATCH) == []


async def test_an_empty_repository_asks_nobody(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        assert await Lfs(world, session).mirror() == LfsCounts()


async def test_a_source_that_cannot_leave_files_out(lfs: Lfs) -> None:
    lfs.world.source_git("config", "uploadpack.allowFilter", "false")
    await lfs.world.github.commit(REPOSITORY, None, {"large": "x" * 5000})
    assert (await lfs.mirror()).objects == 2


async def test_an_object_without_content(lfs: Lfs) -> None:
    await lfs.commit(empty="")
    assert (await lfs.mirror()).objects == 3
    assert (await lfs.objects())[oid_of("")] == 0


async def test_a_large_object_takes_no_memory(lfs: Lfs) -> None:
    content = b"x" * (48 << 20)
    lfs.world.github.lfs.store(REPOSITORY, content)
    wanted = Pointer(oid_of(content), len(content))
    del content
    tracemalloc.start()
    try:
        counts = await copy_objects(lfs.session, Found(frozenset((wanted,))), lfs.source, lfs.target, lfs._on_progress)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts == LfsCounts(1, wanted.size, 0)
    # The stand-ins' own buffers are in it.
    assert peak < 8 << 20, f"{peak >> 20} MiB"


# ---- in a run


async def test_a_run_copies_objects_before_refs(lfs: Lfs) -> None:
    report = await lfs.world.sync(lfs=True)
    assert (report.outcome, report.engine, report.created) == (Outcome.SYNCED, "Git", 1), report
    assert (report.lfs_objects, report.lfs_bytes, report.lfs_missing) == (2, len(BIG) + 5, 0)
    asked = lfs.world.onedev.journal.entries(method="PUT|POST", path="lfs-objects|git-receive-pack$")
    assert [entry.method for entry in asked[:3]] == ["PUT", "PUT", "POST"]
    await lfs.world.assert_equal()
    assert not list(lfs.world.scratch().iterdir())
    again = await lfs.world.sync(lfs=True)
    assert (again.outcome, again.lfs_objects) == (Outcome.UNCHANGED, 2)


async def test_a_worker_tells_of_objects_in_report_and_log(lfs: Lfs) -> None:
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    code, report, said = await (await lfs.world.start_worker(lfs.world.task(lfs=True))).end()
    assert (code, report is not None) == (0, True), said
    assert report is not None
    (told,) = report.tasks
    assert (told.outcome, told.lfs_objects, told.lfs_bytes, told.lfs_missing) == (Outcome.SYNCED, 1, len(BIG), 1)
    assert '"lfs": 1, "lfs_missing": 1' in said
    assert GITHUB_TOKEN not in said
    assert "RemoteAuth" not in said


async def test_a_run_that_is_not_asked_for_objects_tells_of_none(lfs: Lfs) -> None:
    report = await lfs.world.sync()
    assert (report.lfs_objects, report.lfs_bytes, report.lfs_missing) == (None, None, None)
    assert await lfs.objects() == {}


async def test_a_run_pushes_no_ref_whose_objects_cannot_be_had(lfs: Lfs) -> None:
    lfs.world.github.faults.add(**GET, status=503, count=None)
    report = await lfs.world.sync(lfs=True)
    assert (report.outcome, report.reason, report.lfs_objects) == (Outcome.FAILED, Reason.SOURCE_UNAVAILABLE, None)
    assert await lfs.world.target_refs() == {}
    lfs.world.github.faults.clear()
    report = await lfs.world.sync(lfs=True)
    assert (report.outcome, report.lfs_objects) == (Outcome.SYNCED, 2)


async def test_a_run_counts_what_the_source_lacks_and_mirrors_the_rest(lfs: Lfs) -> None:
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    report = await lfs.world.sync(lfs=True)
    assert (report.outcome, report.lfs_objects, report.lfs_missing) == (Outcome.SYNCED, 1, 1)
    await lfs.world.assert_equal()


async def test_only_the_objects_of_selected_refs_are_copied(lfs: Lfs) -> None:
    await lfs.commit("dev", c="only on dev")
    report = await lfs.world.sync(lfs=True, include=("refs/heads/main",))
    assert report.lfs_objects == 2


# ---- what is missing


async def test_an_object_that_the_source_lost_is_counted(lfs: Lfs) -> None:
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    assert await lfs.mirror() == LfsCounts(1, len(BIG), 1)
    lfs.world.github.lfs.store(REPOSITORY, b"hello")
    assert await lfs.mirror() == LfsCounts(2, len(BIG) + 5, 0)


async def test_an_object_that_only_the_store_lost_is_counted(lfs: Lfs) -> None:
    for status in (404, 410):
        lfs.world.github.faults.add(**GET, status=status)
    assert await lfs.mirror() == LfsCounts(0, 0, 2)
    assert lfs.sent(**PUT) == []


async def test_an_object_that_the_target_keeps_is_held_whatever_the_source_lost(lfs: Lfs) -> None:
    counts = await lfs.mirror()
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    assert await lfs.mirror() == counts


async def test_a_pointer_with_a_wrong_size_has_no_object(lfs: Lfs) -> None:
    wrong = pointer(b"hello").replace("size 5", "size 6")
    await lfs.world.github.commit(REPOSITORY, "other", {"a": wrong, "d": pointer(b"x" * 9).replace("size 9", "size 1")})
    lfs.world.github.lfs.store(REPOSITORY, b"x" * 9)
    assert await lfs.mirror() == LfsCounts(2, len(BIG) + 5, 1)


async def test_an_object_whose_size_only_its_store_knows_better(lfs: Lfs) -> None:
    """The source repeats what a pointer says."""

    async def store(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            href = f"{server.url}/object"
            writer.write(batch_answer(request, lambda _: {"actions": {"download": {"href": href}}}))
        else:
            writer.write(response(b"x" * 99))

    async with hostile(store) as server:
        assert await lfs.copy(b"x" * 98, source=Endpoint(f"{server.url}/o/r.git")) == LfsCounts(0, 0, 1)
    assert lfs.sent(**PUT) == []


# ---- what is never let through


@pytest.mark.parametrize("size", [5, 4_000_000], ids=["small", "large"])
@pytest.mark.parametrize("damage", ["changed", "short", "long"])
async def test_damaged_content_does_not_arrive(lfs: Lfs, size: int, damage: str) -> None:
    content = b"x" * size
    told = {"changed": content[:-1] + b"y", "short": content[:-1], "long": content + b"x"}[damage]

    async def store(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            href = f"{server.url}/object"
            writer.write(batch_answer(request, lambda _: {"actions": {"download": {"href": href}}}))
        else:
            # Without a length: one that is wrong is seen before anything else.
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + told)

    async with hostile(store) as server:
        with pytest.raises(SyncError, match="came damaged") as caught:
            await lfs.copy(content, source=Endpoint(f"{server.url}/o/r.git"))
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    await settled(lfs)
    assert await lfs.objects() == {}
    assert "PUT 200" not in lfs.sent()
    if size == 5:
        assert lfs.sent(**PUT) == [], "what fits into a piece is checked before the target hears of it"


async def settled(lfs: Lfs) -> None:
    """The target has noticed that a connection was cut."""
    async with asyncio.timeout(10):
        while any(entry.status is None for entry in lfs.world.onedev.journal.entries()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def batch_answer(request: Request, told: Callable[[str], dict[str, Any]]) -> bytes:
    asked = json.loads(request.body)["objects"]
    body = json.dumps({"objects": [{**one, **told(one["oid"])} for one in asked]}).encode()
    return response(body, content_type=TYPE)


async def test_an_object_that_is_there_is_never_put_again(lfs: Lfs) -> None:
    """Not even where the source has garbage under its name: OneDev would remove the good one."""
    await lfs.mirror()
    folder = lfs.world.source_repository / "lfs"
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")
    lfs.world.onedev.journal.clear()
    assert (await lfs.mirror()).objects == 2
    assert lfs.sent(**PUT) == []


@pytest.mark.parametrize(
    ("side", "fault"),
    [
        ("github", {**GET, "cut_after": 100_000}),
        ("github", {**GET, "cut_after": 0}),
        ("github", {**GET, "drop": "before"}),
        ("onedev", {**PUT, "cut_request_after": 100_000}),
        ("onedev", {**PUT, "drop": "before"}),
        ("onedev", {**PUT, "drop": "after"}),
    ],
    ids=str,
)
async def test_a_cut_is_healed_by_the_next_run(lfs: Lfs, side: str, fault: dict[str, Any]) -> None:
    faulty = getattr(lfs.world, side)
    # Small objects arrive whole before any fault cuts them.
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    faulty.faults.add(**fault, count=None)
    await lfs.fails(Reason.SOURCE_UNAVAILABLE if side == "github" else Reason.TARGET_UNAVAILABLE)
    await settled(lfs)
    assert set(await lfs.objects()) <= {oid_of(BIG)}
    faulty.faults.clear()
    assert (await lfs.mirror()) == LfsCounts(1, len(BIG), 1)
    assert await lfs.objects() == {oid_of(BIG): len(BIG)}


@pytest.mark.parametrize("side", ["source", "target"])
async def test_silence_in_mid_object_ends(lfs: Lfs, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs_stream, f"_{side.upper()}_SILENCE", 0.3)
    if side == "source":
        lfs.world.github.faults.add(**GET, stall_after=100_000, stall_seconds=30, skip=1)
    else:
        lfs.world.onedev.faults.add(**PUT, stall_request_after=100_000, stall_seconds=30, skip=1)
    reason = Reason.SOURCE_UNAVAILABLE if side == "source" else Reason.TARGET_UNAVAILABLE
    await lfs.fails(reason, "did not answer in time")


# ---- a target that died


async def cut_off(lfs: Lfs) -> None:
    """A run whose target dies in the middle of the large object."""
    lfs.world.onedev.lfs.survives = False
    fault = lfs.world.onedev.faults.add(**PUT, cut_request_after=100_000, count=None)
    await lfs.fails(Reason.TARGET_UNAVAILABLE)
    await settled(lfs)
    lfs.world.onedev.faults.clear(fault.id)
    lfs.world.onedev.lfs.survives = True


async def test_what_was_on_its_way_when_the_target_died_is_sent_again(lfs: Lfs) -> None:
    await cut_off(lfs)
    assert (await lfs.objects())[oid_of(BIG)] < len(BIG)
    assert await lfs.mirror() == LfsCounts(2, len(BIG) + 5, 0)
    assert (await lfs.objects())[oid_of(BIG)] == len(BIG)


async def test_what_died_under_refs_that_are_there_is_sent_again_where_more_is_lacking(lfs: Lfs) -> None:
    """LFS was asked for only after the refs had come."""
    await lfs.world.sync()
    await cut_off(lfs)
    await lfs.commit(c="later")
    await lfs.world.sync()
    assert (await lfs.mirror()).objects == 3
    assert (await lfs.objects())[oid_of(BIG)] == len(BIG)


async def test_a_damaged_object_that_the_source_lost_is_missing(lfs: Lfs) -> None:
    lfs.world.onedev.lfs.put(lfs.world.onedev.project(PROJECT), oid_of("hello"), b"hel")
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    assert await lfs.mirror() == LfsCounts(1, len(BIG), 1)


@pytest.mark.parametrize("content", [b"hallo", b"hello!", b""])
async def test_whatever_stands_for_an_object_that_no_ref_needed_yet_is_read(lfs: Lfs, content: bytes) -> None:
    lfs.world.onedev.lfs.put(lfs.world.onedev.project(PROJECT), oid_of("hello"), content)
    assert (await lfs.mirror()).objects == 2
    assert (await lfs.objects())[oid_of("hello")] == 5


async def test_what_refs_lead_to_is_not_read_again(lfs: Lfs) -> None:
    assert (await lfs.world.sync(lfs=True)).outcome is Outcome.SYNCED
    await lfs.commit(c="new")
    lfs.world.onedev.journal.clear()
    assert (await lfs.mirror()).objects == 3
    assert lfs.sent(method="GET", path="lfs-objects") == []


async def test_a_target_that_does_not_give_back_what_it_has(lfs: Lfs) -> None:
    await lfs.mirror()
    lfs.world.onedev.faults.add(method="GET", path="lfs-objects", status=500)
    await lfs.fails(Reason.TARGET_UNAVAILABLE, "500")
    lfs.world.onedev.faults.add(method="GET", path="lfs-objects", cut_after=2)
    await lfs.fails(Reason.TARGET_UNAVAILABLE, "cannot be reached")


# ---- where the token goes


async def test_the_store_on_another_host_gets_the_action_s_header_alone(lfs: Lfs) -> None:
    """The store refuses whatever is not its own signature."""
    lfs.world.github.lfs.media_url = lfs.world.github.url.replace("127.0.0.1", "localhost")
    assert (await lfs.mirror()).objects == 2
    asked = lfs.world.github.journal.entries(**GET)
    assert {entry.headers["host"].partition(":")[0] for entry in asked} == {"localhost"}


async def test_no_credential_goes_along_with_a_redirect(lfs: Lfs) -> None:
    async with hostile(_sends(b"hello")) as other:

        async def away(request: Request, writer: asyncio.StreamWriter) -> None:
            if request.method == "POST":
                action = {"href": f"{here.url}/object", "header": {"Authorization": "RemoteAuth secret"}}
                writer.write(batch_answer(request, lambda _: {"actions": {"download": action}}))
            elif request.target == "/object":
                writer.write(response(b"", "302 Found", Location="/once-more"))
            else:
                writer.write(response(b"", "302 Found", Location=f"{other.url}/object?sig=a%2Fb"))

        async with hostile(away) as here:
            counts = await lfs.copy(b"hello", source=Endpoint(f"{here.url}/o/r.git", GITHUB_TOKEN))
    assert counts.objects == 1
    assert [request.headers.get("authorization") for request in here.requests[1:]] == ["RemoteAuth secret"] * 2
    (asked,) = other.requests
    assert "authorization" not in asked.headers
    assert asked.target == "/object?sig=a%2Fb"


def _sends(content: bytes) -> Answer:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(content))

    return answer


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("", "redirects more often"),
        ("/again", "redirects more often"),
        ("ftp://x/y", "no store"),
        ("http://[", "no store"),
    ],
)
async def test_a_redirect_that_leads_nowhere(lfs: Lfs, location: str, words: str) -> None:
    lfs.world.github.faults.add(
        method="GET", path="_media|again", count=None, status=307, headers={"Location": location}
    )
    await lfs.fails(Reason.SOURCE_UNAVAILABLE, words)


async def test_the_configured_address_of_the_target_need_not_be_reachable(
    lfs: Lfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lfs.world.onedev, "_public_url", "https://onedev.invalid")
    assert (await lfs.mirror()).objects == 2


async def test_a_long_upload_outlives_the_target_s_temporary_token(lfs: Lfs) -> None:
    lfs.world.onedev.lfs.token_seconds = 0.0
    assert (await lfs.mirror()).objects == 2


async def test_a_repository_s_own_configuration_leads_nowhere(lfs: Lfs) -> None:
    async with hostile(_sends(b"")) as elsewhere:
        await lfs.world.github.commit(REPOSITORY, None, {".lfsconfig": f"[lfs]\n\turl = {elsewhere.url}\n"})
        assert (await lfs.mirror()).objects == 2
    assert elsewhere.requests == []


async def test_a_renamed_repository_s_objects_are_found(lfs: Lfs) -> None:
    old = lfs.source
    await lfs.world.github.rename_repository(REPOSITORY, "octo/new")
    assert (await lfs.mirror(source=old)).objects == 2
    (asked,) = lfs.world.github.journal.entries(**BATCH)
    assert asked.path == "/octo/new.git/info/lfs/objects/batch"


async def test_a_private_authority_is_trusted_and_https_leads_to_no_http(lfs: Lfs) -> None:
    ca, context = issue(lfs.world.folder)
    async with tls_before(lfs.world.github.url, context) as github, tls_before(lfs.world.onedev.url, context) as onedev:
        source = Endpoint(f"{github}/{REPOSITORY}.git", GITHUB_TOKEN, ca=ca)
        target = Endpoint(f"{onedev}/{PROJECT}", ONEDEV_TOKEN, ca=ca)
        # The stand-in does not know that there is TLS before it.
        await lfs.fails(Reason.SOURCE_UNAVAILABLE, "not https", source=source, target=target)
        assert lfs.world.github.journal.entries(**GET) == []
        lfs.world.github.lfs.media_url = github
        untrusting = replace(target, ca=None)
        await lfs.fails(Reason.TARGET_UNAVAILABLE, "is not trusted", source=source, target=untrusting)
        assert (await lfs.mirror(source=source, target=target)).objects == 2


# ---- refusals


async def test_an_object_that_is_too_large_for_the_target(lfs: Lfs) -> None:
    lfs.world.onedev.lfs.max_file_size = 1000
    error = await lfs.fails(Reason.TARGET_REFUSED, "maxGitLFSFileSize", oid_of(BIG), str(len(BIG)))
    assert isinstance(error, Stalled)
    assert await lfs.objects() == {}


async def test_an_object_that_is_too_large_for_the_target_and_nowhere(lfs: Lfs) -> None:
    """Somebody's example of a pointer must not stop a mirror."""
    lfs.world.onedev.lfs.max_file_size = 1000
    lfs.world.github.lfs.forget(REPOSITORY, oid_of(BIG))
    assert await lfs.mirror() == LfsCounts(1, 5, 1)


async def test_a_wrong_token_for_the_source(lfs: Lfs) -> None:
    lfs.world.github.faults.add(
        **BATCH, status=401, headers={"Content-Type": TYPE}, body='{"message":"Bad credentials"}'
    )
    assert isinstance(await lfs.fails(Reason.SOURCE_AUTHENTICATION_FAILED, "spec.source.secretRef"), Stalled)


async def test_a_source_without_a_token(lfs: Lfs) -> None:
    source = replace(lfs.source, token=None)
    assert (await lfs.mirror(source=source)).objects == 2
    lfs.world.github.faults.add(**BATCH, status=404)
    await lfs.fails(Reason.PRIVATE_OR_GONE, source=source, target=replace(lfs.target, url=await _another(lfs)))


async def _another(lfs: Lfs) -> str:
    await create_project(lfs.world.onedev, "another")
    return f"{lfs.world.onedev.url}/another"


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ({"status": 403, "body": '{"message":"This repository is over its data quota."}'}, Reason.BLOCKED, "quota"),
        ({"status": 509}, Reason.BLOCKED, "spec.lfs: false"),
        ({"status": 403}, Reason.BLOCKED, "403"),
        ({"status": 404}, Reason.PRIVATE_OR_GONE, "404"),
        ({"status": 501}, Reason.NOT_SUPPORTED, "spec.lfs: false"),
        ({"status": 429, "headers": {"Retry-After": "60"}}, Reason.RATE_LIMITED, "pause"),
        ({"status": 451}, Reason.TAKEN_DOWN, "451"),
        ({"status": 503}, Reason.SOURCE_UNAVAILABLE, "503"),
        ({"status": 307, "headers": {"Location": "/x"}}, Reason.SOURCE_UNAVAILABLE, "redirects"),
        (
            {"status": 200, "body": "<html>", "headers": {"Content-Type": "text/html"}},
            Reason.SOURCE_UNAVAILABLE,
            "web page",
        ),
        ({"status": 200, "body": "{", "headers": {"Content-Type": TYPE}}, Reason.SOURCE_UNAVAILABLE, "no JSON"),
        ({"drop": "before"}, Reason.SOURCE_UNAVAILABLE, "cannot be reached"),
        ({"cut_after": 20}, Reason.SOURCE_UNAVAILABLE, "cannot be reached"),
    ],
    ids=str,
)
async def test_a_source_that_says_no(lfs: Lfs, fault: dict[str, Any], reason: Reason, words: str) -> None:
    lfs.world.github.faults.add(**BATCH, count=None, **fault)
    error = await lfs.fails(reason, words)
    assert isinstance(error, Waiting) == (reason is Reason.RATE_LIMITED)
    assert await lfs.objects() == {}


@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ({"status": 429, "headers": {"Retry-After": "60"}}, Reason.RATE_LIMITED, "pause"),
        ({"status": 401}, Reason.SOURCE_UNAVAILABLE, "401"),
        ({"status": 403}, Reason.SOURCE_UNAVAILABLE, "403"),
        ({"status": 503}, Reason.SOURCE_UNAVAILABLE, "503"),
    ],
    ids=str,
)
async def test_a_store_that_says_no(lfs: Lfs, fault: dict[str, Any], reason: Reason, words: str) -> None:
    lfs.world.github.faults.add(**GET, count=None, **fault)
    error = await lfs.fails(reason, words)
    assert "AKIA" not in error.message


@pytest.mark.parametrize("operation", ["BATCH", "PUT"])
@pytest.mark.parametrize(
    ("fault", "reason", "words"),
    [
        ({"status": 401, "body": "Invalid account"}, Reason.TARGET_AUTHENTICATION_FAILED, "token"),
        ({"status": 403, "body": "{}", "headers": {"Content-Type": TYPE}}, Reason.TARGET_NOT_PERMITTED, "write"),
        ({"status": 404, "body": "{}", "headers": {"Content-Type": TYPE}}, Reason.TARGET_CHANGED, "no project"),
        ({"status": 413}, Reason.TARGET_REFUSED, "body size limit"),
        ({"status": 500, "body": "Invalid uploaded content"}, Reason.TARGET_UNAVAILABLE, "500"),
        ({"status": 404, "body": "<p>", "headers": {"Content-Type": "text/html"}}, Reason.TARGET_UNAVAILABLE, "page"),
    ],
    ids=str,
)  # fmt: skip
async def test_a_target_that_says_no(
    lfs: Lfs, operation: str, fault: dict[str, Any], reason: Reason, words: str
) -> None:
    lfs.world.onedev.faults.add(**(BATCH if operation == "BATCH" else PUT), count=None, **fault)
    await lfs.fails(reason, words)


async def test_a_token_that_may_not_write(lfs: Lfs) -> None:
    onedev = lfs.world.onedev
    token = onedev.store.add_token("project-scoped", 1, own_permissions=False)
    onedev.store.authorize("token", token.id, lfs.world.project_id, 3)
    error = await lfs.fails(
        Reason.TARGET_NOT_PERMITTED, "code write permission", target=replace(lfs.target, token=token.value)
    )
    assert isinstance(error, Stalled)


@pytest.mark.parametrize(
    ("told", "reason", "words"),
    [
        ({"error": {"code": 403, "message": "no"}}, Reason.SOURCE_UNAVAILABLE, "(403)"),
        ({"error": {"code": 500}}, Reason.SOURCE_UNAVAILABLE, "(500)"),
        ({"actions": {"download": {"href": "gopher://x"}}}, Reason.SOURCE_UNAVAILABLE, "address"),
    ],
)
async def test_a_source_that_says_no_of_one_object(lfs: Lfs, told: dict[str, Any], reason: Reason, words: str) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(batch_answer(request, lambda _: told))

    async with hostile(answer) as server:
        with pytest.raises(SyncError) as caught:
            await lfs.copy(b"x", source=Endpoint(f"{server.url}/o/r.git"))
    assert caught.value.reason is reason
    assert words in caught.value.message


async def test_an_answer_without_an_end(lfs: Lfs) -> None:
    async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
        await forever(writer, f"HTTP/1.1 200 OK\r\nContent-Type: {TYPE}\r\n\r\n".encode(), b" " * 65536)

    async with hostile(endless) as server:
        with pytest.raises(SyncError, match="more than"):
            await lfs.copy(b"x", source=Endpoint(f"{server.url}/o/r.git"))


async def test_a_target_that_took_an_object_and_does_not_have_it(lfs: Lfs) -> None:
    lfs.world.onedev.faults.add(**PUT, count=None, status=200)
    await lfs.fails(Reason.TARGET_UNAVAILABLE)


async def test_a_target_that_answers_before_it_has_the_object(lfs: Lfs) -> None:
    lfs.world.github.lfs.forget(REPOSITORY, oid_of("hello"))
    lfs.world.github.faults.add(**GET, stall_after=300_000, stall_seconds=0.5)
    lfs.world.onedev.faults.add(**PUT, count=None, status=200)
    await lfs.fails(Reason.TARGET_UNAVAILABLE, "before it had")


async def test_a_shallow_source_is_named(lfs: Lfs) -> None:
    await lfs.world.github.commit(REPOSITORY, "main")
    tip = lfs.world.source_git("rev-parse", "main")
    (lfs.world.source_repository / "shallow").write_text(f"{tip}\n")
    await lfs.fails(Reason.NOT_SUPPORTED, "shallow")


async def test_history_that_cannot_be_fetched(lfs: Lfs, tmp_path: Path) -> None:
    listing = Listing({}, url=lfs.source.url, features=frozenset())
    with pytest.raises(SyncError, match="changed while") as caught:
        await mirror_objects(
            lfs.session, tmp_path / "x", listing, ["1" * 40], [], lfs.source, lfs.target, lfs._on_progress
        )
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("lines", PACKS.values(), ids=PACKS)
async def test_a_pack_that_lies_leads_to_nothing(lfs: Lfs, tmp_path: Path, lines: list[str | bytes | Marker]) -> None:
    async with hostile(git(MAIN, sends(*lines))) as server:
        listing = Listing({}, url=f"{server.url}/o/r.git", features=frozenset())
        with pytest.raises(SyncError) as caught:
            await mirror_objects(
                lfs.session, tmp_path / "x", listing, ["1" * 40], [], lfs.source, lfs.target, lfs._on_progress
            )
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert "\x1b" not in caught.value.message
    assert not (tmp_path / "x").exists()
    assert lfs.sent(**BATCH) == []


async def test_a_source_of_protocol_zero_is_named(lfs: Lfs, tmp_path: Path) -> None:
    listing = Listing({}, url=lfs.source.url)
    with pytest.raises(Stalled, match="version 2") as caught:
        await mirror_objects(
            lfs.session, tmp_path / "x", listing, ["1" * 40], [], lfs.source, lfs.target, lfs._on_progress
        )
    assert caught.value.reason is Reason.NOT_SUPPORTED


async def test_a_run_that_is_cancelled_leaves_nothing_half(lfs: Lfs) -> None:
    lfs.world.onedev.faults.add(**PUT, stall_request_after=100_000, stall_seconds=0.2, count=None)
    running = asyncio.create_task(lfs.mirror())
    async with asyncio.timeout(20):
        while not lfs.world.onedev.journal.entries(**PUT):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await settled(lfs)
    assert set(await lfs.objects()) <= {oid_of("hello")}
