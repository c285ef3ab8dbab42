"""What the relay hears from either side: whole, in pieces, changed, and made up."""

import hashlib
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.errors import Stalled
from github_onedev_sync.transfer import wire
from github_onedev_sync.transfer.advertisement import AdvertisementError, Answer, parse_ls_refs, parse_v0
from github_onedev_sync.transfer.pktline import Marker, Parser, PktLineError, encode
from github_onedev_sync.transfer.steps import Command
from github_onedev_sync.transfer.wire import FetchAnswer, PushAnswer, WireError

A, B = "a" * 40, "b" * 40
COMMIT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nWords\n"
PACK = wire.build_pack([("commit", COMMIT), ("blob", b"x" * 300)])


def band(number: int, data: bytes) -> bytes:
    return bytes([number]) + data


def report(*lines: str | Marker) -> bytes:
    return encode(lines)


FETCHED = encode(
    ["shallow-info", f"shallow {A}", f"shallow {B}", Marker.DELIMITER, "packfile", band(2, b"Counting\r"), band(1, b""),
     band(1, PACK[:40]), band(1, PACK[40:]), Marker.FLUSH]
)  # fmt: skip
PUSHED = encode(
    [band(2, b"Hello\nfrom a ho"), band(1, b""), band(2, b"ok\n"), band(1, report("unpack ok", "ok refs/heads/a")),
     band(1, report("option refname refs/x", "ng refs/heads/b no, never", Marker.FLUSH)), Marker.FLUSH]
)  # fmt: skip
LISTED = encode(
    ["# service=git-upload-pack", Marker.FLUSH, f"{A} HEAD\0symref=HEAD:refs/heads/a object-format=sha1",
     f"{A} refs/heads/a", f"{B} refs/tags/b", f"{A} refs/tags/b^{{}}", Marker.FLUSH]
)  # fmt: skip
LISTED_2 = encode(
    [f"{A} HEAD symref-target:refs/heads/a", f"{A} refs/heads/a", f"{B} refs/tags/b peeled:{A}", Marker.FLUSH]
)


def fetched(pieces: Iterator[bytes]) -> object:
    answer = FetchAnswer()
    pack = b"".join(part for piece in pieces for part in answer.feed(piece))
    answer.finish()
    wire.object_count(pack)
    return answer.shallow, pack, wire.holds_trees_or_blobs(pack)


def pushed(pieces: Iterator[bytes]) -> object:
    answer = PushAnswer()
    for piece in pieces:
        answer.feed(piece)
    answer.finish()
    return answer.unpack, answer.refs, answer.said


def listed(pieces: Iterator[bytes]) -> object:
    return _lines(pieces, parse_v0)


def listed_2(pieces: Iterator[bytes]) -> object:
    return _lines(pieces, parse_ls_refs)


def _lines(pieces: Iterator[bytes], parse: Callable[[list[bytes]], object]) -> object:
    parser, answer = Parser(), Answer()
    lines = [line for piece in pieces for line in answer.lines(parser.feed(piece))]
    parser.finish()
    answer.finish()
    return parse(lines)


Hear = Callable[[Iterator[bytes]], object]
HEARD: dict[str, tuple[Hear, bytes]] = {
    "fetch": (fetched, FETCHED),
    "push": (pushed, PUSHED),
    "list of version 0": (listed, LISTED),
    "list of version 2": (listed_2, LISTED_2),
}
# What each of them may raise, and nothing else.
DOCUMENTED = (WireError, PktLineError, AdvertisementError, Stalled)

each = pytest.mark.parametrize(("hear", "whole"), HEARD.values(), ids=list(HEARD))


def cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    start = 0
    for place in sorted(place % (len(data) + 1) for place in places):
        yield data[start:place]
        start = place
    yield data[start:]


def outcome(hear: Hear, pieces: Iterator[bytes]) -> object:
    """What was heard, or the kind of error, which is one of those documented."""
    try:
        return hear(pieces)
    except DOCUMENTED as error:
        return type(error)


@each
@given(places=st.lists(st.integers(0, 1000), max_size=30))
def test_it_does_not_matter_how_the_bytes_arrive(hear: Hear, whole: bytes, places: list[int]) -> None:
    assert hear(cut(whole, places)) == hear(iter([whole]))


@each
def test_a_byte_at_a_time(hear: Hear, whole: bytes) -> None:
    assert hear(bytes([byte]) for byte in whole) == hear(iter([whole]))


@each
def test_what_was_cut_is_never_taken_for_whole(hear: Hear, whole: bytes) -> None:
    for length in range(len(whole)):
        with pytest.raises(DOCUMENTED):
            hear(iter([whole[:length]]))


@each
@given(data=st.binary(max_size=400))
def test_garbage_breaks_nothing(hear: Hear, whole: bytes, data: bytes) -> None:
    outcome(hear, iter([data]))


@each
@given(frames=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(Marker)), max_size=12))
def test_frames_of_anything_break_nothing(hear: Hear, whole: bytes, frames: list[bytes | Marker]) -> None:
    outcome(hear, iter([encode(frames)]))


@each
def test_thousands_of_small_changes_break_nothing(hear: Hear, whole: bytes) -> None:
    """The same ones every time: bytes changed, taken out, doubled, put elsewhere; heard whole and in pieces alike."""
    chance = random.Random(4)
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            start, length = chance.randrange(len(data)), chance.randint(1, 12)
            part = data[start : start + length]
            match chance.randrange(4):
                case 0:
                    data[start] = chance.randrange(256)
                case 1:
                    del data[start : start + length]
                case 2:
                    data[start:start] = part
                case _:
                    place = chance.randrange(len(data))
                    data[place : place + length] = part
            data = data or bytearray(b"0")
        places = [chance.randrange(len(data) + 1) for _ in range(3)]
        assert outcome(hear, cut(bytes(data), places)) == outcome(hear, iter([bytes(data)]))


# ---- memory


def flood(head: bytes, again: bytes, times: int) -> Iterator[bytes]:
    yield head
    for _ in range(times):
        yield again


FLOODS = {
    "keepalives of a fetch": (fetched, encode(["packfile"]), b"0005\x01" * 500),
    "progress of a fetch": (fetched, encode(["packfile"]), encode([band(2, b"x" * 60_000)])),
    "sections before a pack": (fetched, b"", encode(["acknowledgments", f"ACK {A}", Marker.DELIMITER]) * 100),
    "ends of a history": (fetched, encode(["shallow-info"]), encode([f"shallow {A}"] * 200)),
    "keepalives of a push": (pushed, b"", b"0005\x01" * 500),
    "words of a hook": (pushed, b"", encode([band(2, b"x\n" * 30_000)])),
    "a hook's endless line": (pushed, b"", encode([band(2, b"x" * 60_000)])),
    "refs that nobody pushed": (
        pushed, b"", encode([band(1, report(*(f"ok {number}" for number in range(300))))]),
    ),
    "long reasons": (pushed, b"", encode([band(1, report("ng a " + "x" * 60_000))])),
}  # fmt: skip


@pytest.mark.parametrize(("hear", "head", "again"), FLOODS.values(), ids=list(FLOODS))
def test_a_flood_is_heard_in_bounded_memory(hear: Hear, head: bytes, again: bytes) -> None:
    tracemalloc.start()
    with suppress(*DOCUMENTED):
        hear(flood(head, again, 100))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 1024 * 1024


def test_more_refs_than_were_pushed_are_no_report() -> None:
    told = (encode([band(1, report(*(f"ok {number}-{n}" for n in range(1000))))]) for number in range(40))
    with pytest.raises(WireError, match="more refs"):
        pushed(told)


@pytest.mark.parametrize("end", ["", "x" * 40, A + "0", A[:39], "A" * 40, f"{A}\n", "../" * 13 + "a"])
def test_the_end_of_a_history_is_an_object_id(end: str) -> None:
    with pytest.raises(WireError, match="no end of a history"):
        FetchAnswer().feed(encode(["shallow-info", f"shallow {end}".encode() + b"\n"]))


# ---- packs


@pytest.mark.parametrize("count", [0, 1, 2, 3, 2**32 - 1])
def test_a_pack_that_lies_about_its_count_ends_where_it_ends(count: int) -> None:
    commits = wire.build_pack([("commit", COMMIT), ("tag", b"x")])
    lying = commits[:8] + struct.pack(">L", count) + commits[12:]
    assert wire.object_count(lying) == count
    if count > 2:
        with pytest.raises(WireError):
            wire.holds_trees_or_blobs(lying)
    else:
        assert not wire.holds_trees_or_blobs(lying)


@given(st.binary(max_size=300))
def test_what_is_no_pack(data: bytes) -> None:
    with suppress(WireError):
        wire.holds_trees_or_blobs(data)
    with suppress(WireError):
        wire.holds_trees_or_blobs(b"PACK" + struct.pack(">LL", 2, 9) + data)


def test_a_commit_that_never_ends_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that become as many megabytes."""
    monkeypatch.setattr(wire, "_CONTENTS", 1 << 20)
    bomb = zlib.compress(b"0" * (64 << 20))
    with pytest.raises(WireError, match="larger than any"):
        wire.holds_trees_or_blobs(b"PACK" + struct.pack(">LL", 2, 1) + b"\x10" + bomb + b"x" * 20)


def test_git_reads_what_is_built_here() -> None:
    assert PACK[-20:] == hashlib.sha1(PACK[:-20]).digest()
    assert wire.holds_trees_or_blobs(PACK)
    assert not wire.holds_trees_or_blobs(wire.build_pack([("commit", COMMIT * 500)] * 3))


# ---- requests


def test_only_what_was_offered_is_asked_for() -> None:
    offered = wire.capabilities_in(f"{A} refs/heads/a\0report-status delete-refs atomic push-options\n".encode())
    assert wire.push_request([Command("refs/x", None, A), Command("refs/y", B, None)], offered) == encode(
        [
            f"{wire.ZERO} {A} refs/x\0 report-status delete-refs".encode(),
            f"{B} {wire.ZERO} refs/y".encode(),
            Marker.FLUSH,
        ]
    )
