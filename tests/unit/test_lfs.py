"""Pointers, and what LFS servers answer: of every shape, and of none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.transfer.lfs_batch import OBJECTS, BatchError, Offer, parse_batch, portions
from github_onedev_sync.transfer.lfs_pointers import Pointer, parse_pointer

A, B = "a" * 64, "b" * 64
VERSION = "version https://git-lfs.github.com/spec/v1"
HREF = "https://store.example/x?sig=a%2Fb"
POINTERS = (Pointer(A, 5), Pointer(B, 7))


# ---- pointers


@pytest.mark.parametrize(
    "text",
    [
        f"{VERSION}\noid sha256:{A}\nsize 5\n",
        f"{VERSION}\noid sha256:{A}\nsize 5",
        f"{VERSION}\r\noid sha256:{A}\r\nsize 5\r\n",
        f"{VERSION}\n\noid sha256:{A}\nsize 5\n\n",
        f"version https://hawser.github.com/spec/v1\noid sha256:{A}\nsize 5\n",
        f"{VERSION}\next-0-foo sha256:{B}\next-1-bar sha256:{B}\noid sha256:{A}\nsize 5\n",
    ],
)
def test_a_pointer(text: str) -> None:
    assert parse_pointer(text.split("\n")) == Pointer(A, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        VERSION,
        f"{VERSION}\noid sha256:{A}\n",
        f"{VERSION}\nsize 5\noid sha256:{A}\n",
        f"oid sha256:{A}\nsize 5\n{VERSION}\n",
        f"{VERSION}\noid sha256:{A[1:]}\nsize 5\n",
        f"{VERSION}\noid sha256:{A.upper()}\nsize 5\n",
        f"{VERSION}\noid sha1:{A}\nsize 5\n",
        f"{VERSION}\noid sha256:{A}\nsize -5\n",
        f"{VERSION}\noid sha256:{A}\nsize \N{ARABIC-INDIC DIGIT FIVE}\n",
        f"{VERSION}\noid sha256:{A}\nsize {'9' * 5000}\n",
        f"{VERSION}\noid sha256:{A}\nsize 5\nmore 1\n",
        f"version https://git-lfs.github.com/spec/v2\noid sha256:{A}\nsize 5\n",
        f"{VERSION}\noid sha256:../../../etc/passwd\nsize 5\n",
    ],
)
def test_no_pointer(text: str) -> None:
    assert parse_pointer(text.split("\n")) is None


@given(st.lists(st.one_of(st.text(), st.sampled_from((VERSION, f"oid sha256:{A}", "size 5", f"ext-0-a sha256:{B}")))))
def test_whatever_a_file_holds_is_a_pointer_or_none(lines: list[str]) -> None:
    found = parse_pointer(lines)
    assert found in (None, Pointer(A, 5))


# ---- answers


def answer(*objects: Any, **members: Any) -> bytes:
    return json.dumps({"transfer": "basic", "objects": objects, **members}).encode()


def offered(oid: str = A, size: Any = 5, operation: str = "download", **action: Any) -> dict[str, Any]:
    return {"oid": oid, "size": size, "actions": {operation: {"href": HREF, **action}}}


MISSING = {"oid": B, "size": 7, "error": {"code": 404, "message": "no such object"}}


def test_an_answer_offers_and_refuses() -> None:
    stranger = {"oid": "c" * 64, "size": 1}
    body = answer(MISSING, offered(header={"Authorization": "RemoteAuth x", "Host": "evil"}), stranger)
    offers = parse_batch(body, "download", POINTERS)
    assert offers[POINTERS[1]] == Offer(7, None, 404)
    action = offers[POINTERS[0]].action
    assert action is not None
    assert (str(action.href), dict(action.header)) == (HREF, {"Authorization": "RemoteAuth x"})
    assert "RemoteAuth" not in repr(offers)


def test_an_upload_without_an_action_is_there_already() -> None:
    told = ({"oid": A, "size": 5}, {"oid": B, "size": 7, "actions": None})
    assert set(parse_batch(answer(*told), "upload", POINTERS).values()) == {Offer(5), Offer(7)}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"objects": [' + b"9" * 5000 + b"]}", "no JSON"),
        (b"[]", "not what"),
        (b"null", "not what"),
        (b"{}", "2 of 2"),
        (answer(MISSING), "1 of 2"),
        (answer(MISSING, MISSING), "1 of 2"),
        (answer(None), "not what"),
        (answer({"oid": 7}), "not what"),
        (b'{"objects": {}}', "not what"),
        (answer(MISSING, offered(), transfer="tus"), "basic"),
        (answer(MISSING, {"oid": A, "size": 5}), "neither"),
        (answer(MISSING, offered(operation="upload")), "neither"),
        (answer(MISSING, offered(size="5")), "not what"),
        (answer(MISSING, offered(size=True)), "not what"),
        (answer(MISSING, {"oid": A, "error": {"code": "404"}}), "not what"),
        (answer(MISSING, {"oid": A, "actions": []}), "not what"),
        (answer(MISSING, offered(header={"X": 1})), "header"),
        (answer(MISSING, offered(header={"X": "a\r\nY: b"})), "header"),
        (answer(MISSING, offered(header={"X\n": "a"})), "header"),
        (answer(MISSING, offered(header={"X": "a" * 10_000})), "header"),
    ],
)
def test_an_answer_that_is_none(body: bytes, why: str) -> None:
    with pytest.raises(BatchError, match=why):
        parse_batch(body, "download", POINTERS)


@pytest.mark.parametrize(
    "href",
    [
        "",
        "x",
        "/x",
        "//host/x",
        "https://",
        "https:///x",
        "http://store.example/x",
        "ftp://store.example/x",
        "file:///etc/passwd",
        "https://u:p@store.example/x",
        "https://u@store.example/x",
        "https://[::1/x",
        "https://store.example:99999999/x",
        "https://store.example:x/x",
        "https://store.example/x HTTP/1.1\r\nHost: evil",
        "https://store.example/\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    ],
)
def test_an_address_that_no_request_goes_to(href: str) -> None:
    with pytest.raises(BatchError, match="address"):
        parse_batch(answer(MISSING, offered(href=href)), "download", POINTERS)


def test_a_plain_http_source_may_have_a_plain_http_store() -> None:
    body = answer(MISSING, offered(href="http://store.example/x"))
    assert parse_batch(body, "download", POINTERS, "http")[POINTERS[0]].action is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(A),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("objects", "oid", "size", "error", "code", "actions", "download", "href", "header", "x")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.one_of(json_values.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60)))
def test_whatever_a_server_says_is_an_answer_or_an_error(body: bytes) -> None:
    try:
        offers = parse_batch(body, "download", POINTERS[:1])
    except BatchError:
        return
    assert set(offers) == {POINTERS[0]}


# ---- requests


def test_a_request_asks_for_as_much_as_is_got_in_time() -> None:
    small = [Pointer(f"{number:064x}", 1) for number in range(2 * OBJECTS + 1)]
    assert [len(portion) for portion in portions(small)] == [OBJECTS, OBJECTS, 1]
    assert list(portions([])) == []
    sizes = [Pointer(A, 60), Pointer(B, 60), Pointer("c" * 64, 500), Pointer("d" * 64, 40), Pointer("e" * 64, 60)]
    assert [len(portion) for portion in portions(sizes, 100)] == [1, 1, 1, 2]
