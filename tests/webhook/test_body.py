"""A form is read as a browser's library would read it, in a fraction of the memory."""

from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.webhook.answers import Refused
from github_onedev_sync.webhook.body import FORM, payload_of


@given(st.text(), st.integers(0, 3), st.booleans())
def test_a_form_as_parse_qs_reads_it(text: str, pad: int, other: bool) -> None:
    # Pieces of 64 KiB end at every place of a %XX.
    fields = {"payload": "x" * (65536 - 3 - pad) + "é" + text} | ({"more": "a&b=c"} if other else {})
    form = urlencode(fields)
    assert payload_of(FORM, bytearray(form.encode())).decode() == parse_qs(form)["payload"][0]


@pytest.mark.parametrize("form", [b"", b"payload", b"other=1", b"payload=1&payload=2", b"\xff"])
def test_no_form(form: bytes) -> None:
    with pytest.raises(Refused):
        payload_of(FORM, bytearray(form))
