"""Whom TLS trusts: the usual authorities, or only those of a Secret's `ca.crt`, as in the worker's git."""

import ssl

import httpx

from ..api.conditions import Reason
from ..api.errors import Stalled


def ssl_context(ca: str | None) -> ssl.SSLContext:
    """A verifying client context. `ca` is PEM text; raises `Stalled` where it holds no certificate."""
    if ca is None:
        return httpx.create_ssl_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, ValueError, TypeError) as error:  # ValueError: empty; TypeError: not ASCII
        raise Stalled(
            Reason.SECRET_INVALID,
            "The key ca.crt of the Secret is not a PEM certificate: it must begin with -----BEGIN CERTIFICATE-----",
        ) from error
    return context


def what_broke(error: BaseException, host: str, *, timed_out: bool) -> str:
    """Why a connection to `host` did not come about or broke, with the remedy where there is one."""
    if _certificate_refused(error):
        return f"The certificate of {host} is not trusted: put its authority's PEM under the key ca.crt of the Secret"
    return f"{host} did not answer in time" if timed_out else f"{host} cannot be reached: {_in_short(error)}"


def _certificate_refused(error: BaseException) -> bool:
    """Whether the other side's certificate is what broke this connection."""
    return any(
        isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(cause)
        for cause in _causes(error)
    )


def _in_short(error: BaseException) -> str:
    """The system's own words at the bottom of a library's wrapping: `Connection refused`."""
    words = [cause.strerror for cause in _causes(error) if isinstance(cause, OSError) and cause.strerror]
    return words[-1] if words else type(error).__name__


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    return chain
