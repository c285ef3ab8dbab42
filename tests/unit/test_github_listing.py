"""Whatever a server may answer is rows or a refusal, and no next page leads to another host."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.adapters import github_listing
from github_onedev_sync.adapters.github_listing import Place
from github_onedev_sync.api.errors import Retry

API = "https://ghe.example:8443/api/v3"
PLACES = (
    github_listing.stars_of(None),
    github_listing.owned_by_token(),
    github_listing.owned_by_user("mona"),
    github_listing.owned_by_organization("acme"),
    github_listing.of_installation(),
)
STARS = PLACES[0]

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
members = st.dictionaries(
    st.sampled_from(["id", "full_name", "owner", "license", "topics", "size", "pushed_at", "repo", "starred_at", "x"]),
    st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)),
)
answers: st.SearchStrategy[Any] = (
    st.lists(members | plain, max_size=4) | st.builds(dict, repositories=st.lists(members, max_size=3)) | plain
)
places = st.sampled_from(PLACES)


@given(body=answers.map(json.dumps) | st.text(), place=places)
def test_an_answer_is_rows_or_is_refused(body: str, place: Place) -> None:
    try:
        rows = github_listing.read_rows(body, place)
    except Retry:
        return
    assert all(row.id > 0 and row.full_name.count("/") == 1 for row in rows)


urls = st.text() | st.builds(
    "{}://{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "ftp"]),
    st.sampled_from(["ghe.example:8443", "ghe.example", "evil.example", "ghe.example:8443@evil.example", "[", "[::1]"]),
    st.sampled_from(["/api/v3/user/starred?page=2", "", "?page=2", "//evil.example", "/\n", "/x#y"]),
)


@given(url=urls, place=places)
def test_a_cursor_leads_to_the_api_s_own_host(url: str, place: Place) -> None:
    try:
        cursor = github_listing.next_cursor({"link": f'<{url}>; rel="next"'}, API, place, "")
    except Retry:
        return
    if cursor:
        assert urlsplit(github_listing.page_url(API, place, cursor)).netloc == "ghe.example:8443"


@given(cursor=st.text(min_size=1), place=places)
def test_any_cursor_at_all_does(cursor: str, place: Place) -> None:
    assert github_listing.page_url(API, place, cursor).startswith("https://ghe.example:8443/")


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (PLACES[0], "/user/starred?sort=created&direction=desc&per_page=100"),
        (PLACES[1], "/user/repos?affiliation=owner&sort=created&direction=desc&per_page=100"),
        (PLACES[2], "/users/mona/repos?type=owner&sort=created&direction=desc&per_page=100"),
        (PLACES[3], "/orgs/acme/repos?type=all&sort=created&direction=desc&per_page=100"),
        (PLACES[4], "/installation/repositories?per_page=100"),
    ],
    ids=[place.path for place in PLACES],
)
def test_first_pages(place: Place, url: str) -> None:
    assert github_listing.page_url(API, place, "") == url


def test_words_that_many_rows_have_are_kept_once() -> None:
    def row(number: int) -> dict[str, Any]:
        told = {"language": "Emacs Lisp", "topics": ["command line"], "license": {"spdx_id": "GPL 3"}}
        return {"repo": {"id": number, "full_name": f"octo/{number}", "created_at": "2026-01-01T00:00:00Z", **told}}

    one, two = github_listing.read_rows(json.dumps([row(1), row(2)]), STARS)
    assert one.language is two.language
    assert one.topics[0] is two.topics[0]
    assert one.license is two.license
    assert one.created_at is not None
    assert two.created_at is not None
    assert one.created_at.tzinfo is two.created_at.tzinfo
