"""Who signed it: GitHub's own vector, two secrets while they are exchanged, and nothing else."""

from pathlib import Path

import pytest

from github_onedev_sync.api.delivery import sign
from github_onedev_sync.webhook.secret import Secrets, Verifier, signature_of

# docs.github.com, "Validating webhook deliveries".
SECRET, BODY = b"It's a Secret to Everybody", b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def signed_by(body: bytes, header: str, *secrets: bytes) -> bool:
    verifier, signature = Verifier(secrets), signature_of(header)
    for start in range(0, len(body), 5):
        verifier.update(body[start : start + 5])
    return signature is not None and verifier.matches(signature)


def test_the_vector_of_github_s_documentation() -> None:
    assert sign(SECRET, BODY) == SIGNATURE
    assert signed_by(BODY, SIGNATURE, SECRET)
    assert signed_by(BODY, SIGNATURE.upper().replace("SHA", "sha"), SECRET)


@pytest.mark.parametrize(
    ("body", "header", "secrets"),
    [
        (b"Hello, World?", SIGNATURE, [SECRET]),
        (BODY, SIGNATURE, [b"another"]),
        (BODY, SIGNATURE, []),
        (BODY, SIGNATURE.replace("sha256", "sha1"), [SECRET]),
        (BODY, SIGNATURE[:-1], [SECRET]),
        (BODY, SIGNATURE + "0", [SECRET]),
        (BODY, SIGNATURE.removeprefix("sha256="), [SECRET]),
        (BODY, SIGNATURE[:-1] + "g", [SECRET]),
        (BODY, SIGNATURE[:-1] + "\N{ARABIC-INDIC DIGIT SEVEN}", [SECRET]),
        (BODY, "", [SECRET]),
        (b"", sign(b"", b""), [SECRET]),
    ],
)
def test_anything_else_is_not_signed(body: bytes, header: str, secrets: list[bytes]) -> None:
    assert not signed_by(body, header, *secrets)


@pytest.mark.parametrize("secret", [b"old", b"new"])
def test_both_secrets_are_good_while_they_are_exchanged(secret: bytes) -> None:
    assert signed_by(BODY, sign(secret, BODY), b"new", b"old")


def test_secrets_are_read_anew_when_they_change(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    assert secrets.current() == ()
    assert secrets.trouble == f"the file {tmp_path}/secret is missing or empty: mount a Secret with the key secret"
    (tmp_path / "secret").write_bytes(b"one\n")
    assert (secrets.current(), secrets.trouble) == ((b"one",), "")
    (tmp_path / "previousSecret").write_bytes(b"one")
    (tmp_path / "secret").write_bytes(b"second\r\n")
    assert secrets.current() == (b"second", b"one")
    (tmp_path / "previousSecret").write_bytes(b"")
    assert secrets.current() == (b"second",)
    (tmp_path / "secret").write_bytes(b"\n")
    assert secrets.current() == ()


def test_a_mounted_secret_that_is_exchanged_at_once(tmp_path: Path) -> None:
    """As the kubelet does it: both files are links through one link to a folder."""
    for folder, word in (("first", b"old"), ("second", b"new")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "secret").write_bytes(word)
    (tmp_path / "second" / "previousSecret").write_bytes(b"old")
    (tmp_path / "data").symlink_to("first")
    for name in ("secret", "previousSecret"):
        (tmp_path / name).symlink_to(f"data/{name}")
    secrets = Secrets(tmp_path)
    assert secrets.current() == (b"old",)
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "data")
    assert secrets.current() == (b"new", b"old")


def test_a_secret_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    secrets = Secrets(tmp_path)
    assert secrets.current() == ()
    assert secrets.trouble == f"the file {tmp_path}/secret cannot be read: Is a directory"
