"""A private certificate authority: refused with the remedy, and trusted once it is given."""

import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from github_onedev_sync.adapters.credentials import Anonymous
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.onedev import OneDev
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled

from .conftest import Clock

REPOSITORY = {"id": 1, "full_name": "octo/public", "clone_url": "https://127.0.0.1/octo/public.git"}


@dataclass(frozen=True)
class Server:
    url: str
    ca: str


def issue(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A new authority's PEM, and the context of a server at 127.0.0.1 that it vouches for."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(name: str, signer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Private", "Private", ca_key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = certificate("server", "Private", key).add_extension(address, critical=False)
    chain = leaf.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(chain + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    return ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM).decode(), context


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path.startswith("/repos/"):
            return web.json_response(REPOSITORY)
        return web.Response(text="16.5.6")

    ca, context = issue(tmp_path)
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield Server(f"https://127.0.0.1:{runner.addresses[0][1]}", ca)
    await runner.cleanup()


async def test_github(server: Server, clock: Clock) -> None:
    stranger = GitHub(server.url, Anonymous(), clock=clock)
    with pytest.raises(Retry, match=r"is not trusted: put its authority's PEM under the key ca\.crt") as caught:
        await stranger.repository("octo/public")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    friend = GitHub(server.url, Anonymous(), server.ca, clock=clock)
    assert (await friend.repository("octo/public")).id == 1
    await stranger.close()
    await friend.close()


async def test_onedev(server: Server) -> None:
    stranger = OneDev(server.url, "token")
    with pytest.raises(Retry, match=r"is not trusted: put its authority's PEM under the key ca\.crt") as caught:
        await stranger.version()
    assert caught.value.reason is Reason.TARGET_UNAVAILABLE
    friend = OneDev(server.url, "token", server.ca)
    assert await friend.version() == "16.5.6"
    await stranger.close()
    await friend.close()


async def test_a_host_that_the_certificate_does_not_name(server: Server) -> None:
    onedev = OneDev(server.url.replace("127.0.0.1", "localhost"), "token", server.ca)
    with pytest.raises(Retry, match="is not trusted"):
        await onedev.version()
    await onedev.close()


@pytest.mark.parametrize("ca", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ü"])
def test_what_is_no_certificate(ca: str, clock: Clock) -> None:
    said = r"The key ca\.crt of the Secret is not a PEM certificate"
    with pytest.raises(Stalled, match=said) as caught:
        OneDev("https://onedev.example", "token", ca)
    assert caught.value.reason is Reason.SECRET_INVALID
    with pytest.raises(Stalled, match=said):
        GitHub("https://github.example", Anonymous(), ca, clock=clock)
