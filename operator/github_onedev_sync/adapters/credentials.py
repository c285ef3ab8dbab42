"""What the Secrets hold, read strictly: each mistake is answered with the key to mend.

Keys for GitHub: `token`, or `appID` + `installationID` + `privateKey`; for OneDev: `token`; for either `ca.crt`.
White space around a value is dropped, because `kubectl create secret --from-file` keeps a file's last newline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ..api.conditions import Reason
from ..api.errors import Stalled

TOKEN = "token"
APP_ID = "appID"
INSTALLATION_ID = "installationID"
PRIVATE_KEY = "privateKey"
CA = "ca.crt"
_APP_KEYS = (APP_ID, INSTALLATION_ID, PRIVATE_KEY)

Data = Mapping[str, bytes]


@dataclass(frozen=True)
class Anonymous:
    """No credential: 60 requests an hour and public repositories only."""


@dataclass(frozen=True)
class Token:
    """A personal access token, of whatever shape: GitHub changes it now and then."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class App:
    """One installation of a GitHub App. `app_id` is the numeric id or the client id; `private_key` is PEM text."""

    app_id: str
    installation_id: int
    private_key: str = field(repr=False)


Credentials = Anonymous | Token | App


def credentials_from_secret(name: str, data: Data | None) -> Credentials:
    """GitHub's credential of the Secret `name`; `data` is None where there is no such Secret. Raises `Stalled`."""
    data = _existing(name, data, f"the key {TOKEN}")
    app_keys = [key for key in _APP_KEYS if key in data]
    if TOKEN in data and app_keys:
        raise _invalid(name, f"holds both {TOKEN} and {', '.join(app_keys)}: remove one or the other")
    if TOKEN in data:
        return Token(_word(name, data, TOKEN))
    if app_keys:
        return _app(name, data)
    if CA in data:
        return Anonymous()
    raise _invalid(name, f"needs the key {TOKEN}, or the keys {', '.join(_APP_KEYS)}; {_held(data)}")


def onedev_token_from_secret(name: str, data: Data | None) -> str:
    """OneDev's access token of the Secret `name`. Raises `Stalled`."""
    data = _existing(name, data, f"the key {TOKEN}")
    if TOKEN not in data:
        raise _invalid(name, f"needs the key {TOKEN} with a OneDev access token; {_held(data)}")
    return _word(name, data, TOKEN)


def ca_from_secret(name: str, data: Data | None) -> str | None:
    """The PEM text under `ca.crt`, or None. Raises `Stalled` where it is not text."""
    return _text(name, data, CA) if data and CA in data else None


def _app(name: str, data: Data) -> App:
    missing = [key for key in _APP_KEYS if key not in data]
    if missing:
        raise _invalid(name, f"lacks {', '.join(missing)}: a GitHub App needs {', '.join(_APP_KEYS)}")
    installation = _word(name, data, INSTALLATION_ID)
    if not (installation.isdecimal() and len(installation) < 20):
        raise _invalid(name, f"has a key {INSTALLATION_ID} that is not a number")
    private_key = _text(name, data, PRIVATE_KEY)
    try:
        parsed = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid(
            name,
            f"has a key {PRIVATE_KEY} that is not an unencrypted PEM private key: paste the .pem file that GitHub gave",
        ) from error
    if not isinstance(parsed, RSAPrivateKey):
        raise _invalid(name, f"has a key {PRIVATE_KEY} that is no RSA key, which GitHub Apps sign with")
    return App(_word(name, data, APP_ID), int(installation), private_key)


def _existing(name: str, data: Data | None, needed: str) -> Data:
    if data is None:
        raise Stalled(
            Reason.SECRET_NOT_FOUND, f"Secret {name} does not exist in this namespace: create it with {needed}"
        )
    return data


def _word(name: str, data: Data, key: str) -> str:
    """A value that goes into a header: printable ASCII without blanks."""
    value = _text(name, data, key)
    if not all("!" <= character <= "~" for character in value):
        raise _invalid(name, f"has a key {key} with white space or other illegal characters inside")
    return value


def _text(name: str, data: Data, key: str) -> str:
    try:
        value = data[key].decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _invalid(name, f"has a key {key} that is not UTF-8 text") from error
    if not value:
        raise _invalid(name, f"has an empty key {key}")
    return value


def _held(data: Data) -> str:
    return f"it holds {', '.join(sorted(data))}" if data else "it is empty"


def _invalid(name: str, fault: str) -> Stalled:
    return Stalled(Reason.SECRET_INVALID, f"Secret {name} {fault}")
