"""Secrets: what is read, and which sentence meets each mistake."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from github_onedev_sync.adapters.credentials import (
    Anonymous,
    App,
    Token,
    ca_from_secret,
    credentials_from_secret,
    onedev_token_from_secret,
)
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Stalled

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
ENCRYPTED = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
EC = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
APP = {"appID": b"12345", "installationID": b"678", "privateKey": PEM}


def test_a_token_loses_the_last_newline_of_its_file() -> None:
    assert credentials_from_secret("github", {"token": b"ghp_abc\n"}) == Token("ghp_abc")


def test_a_token_may_have_any_length() -> None:
    token = "ghs_" + "x" * 900
    assert credentials_from_secret("github", {"token": token.encode()}) == Token(token)


def test_an_app_is_read() -> None:
    assert credentials_from_secret("github", APP) == App("12345", 678, PEM.decode().strip())


def test_an_app_may_be_named_by_its_client_id() -> None:
    found = credentials_from_secret("github", {**APP, "appID": b"Iv23liExample"})
    assert isinstance(found, App)
    assert found.app_id == "Iv23liExample"


def test_an_authority_alone_means_anonymous_access() -> None:
    assert credentials_from_secret("github", {"ca.crt": b"PEM"}) == Anonymous()


def test_no_credential_is_shown_by_repr() -> None:
    shown = repr(credentials_from_secret("github", {"token": b"hidden"})) + repr(credentials_from_secret("g", APP))
    assert "hidden" not in shown
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "needs the key token, or the keys appID, installationID, privateKey; it is empty"),
        ({"Token": b"x"}, "needs the key token, or the keys appID, installationID, privateKey; it holds Token"),
        ({"token": b""}, "has an empty key token"),
        ({"token": b" \n"}, "has an empty key token"),
        ({"token": b"two words"}, "has a key token with white space or other illegal characters inside"),
        ({"token": b"two\nlines"}, "has a key token with white space or other illegal characters inside"),
        ({"token": "ключ".encode()}, "has a key token with white space or other illegal characters inside"),
        ({"token": b"\xff\xfe"}, "has a key token that is not UTF-8 text"),
        ({"token": b"x", "appID": b"1"}, "holds both token and appID: remove one or the other"),
        ({"appID": b"1"}, "lacks installationID, privateKey: a GitHub App needs appID, installationID, privateKey"),
        ({**APP, "appID": b""}, "has an empty key appID"),
        ({**APP, "installationID": b"six"}, "has a key installationID that is not a number"),
        ({**APP, "installationID": b"9" * 40}, "has a key installationID that is not a number"),
        ({**APP, "privateKey": b"garbage"}, "has a key privateKey that is not an unencrypted PEM private key"),
        ({**APP, "privateKey": PEM[:400]}, "has a key privateKey that is not an unencrypted PEM private key"),
        ({**APP, "privateKey": ENCRYPTED}, "has a key privateKey that is not an unencrypted PEM private key"),
        ({**APP, "privateKey": EC}, "has a key privateKey that is no RSA key"),
    ],
)
def test_a_mistake_is_answered_with_the_key_to_mend(data: dict[str, bytes], said: str) -> None:
    with pytest.raises(Stalled) as caught:
        credentials_from_secret("github", data)
    assert caught.value.reason is Reason.SECRET_INVALID
    assert caught.value.message.startswith(f"Secret github {said}")


def test_a_missing_secret_has_a_reason_of_its_own() -> None:
    for read in (credentials_from_secret, onedev_token_from_secret):
        with pytest.raises(Stalled, match="Secret github does not exist in this namespace: create it with") as caught:
            read("github", None)
        assert caught.value.reason is Reason.SECRET_NOT_FOUND


def test_the_token_for_onedev() -> None:
    assert onedev_token_from_secret("onedev", {"token": b"abc\n"}) == "abc"
    with pytest.raises(Stalled, match="needs the key token with a OneDev access token; it holds password"):
        onedev_token_from_secret("onedev", {"password": b"abc"})


def test_an_authority() -> None:
    assert ca_from_secret("onedev", {"token": b"abc"}) is None
    assert ca_from_secret("onedev", None) is None
    assert ca_from_secret("onedev", {"ca.crt": b"PEM\n"}) == "PEM"
    with pytest.raises(Stalled, match=r"has a key ca\.crt that is not UTF-8 text"):
        ca_from_secret("onedev", {"ca.crt": b"\xff"})
