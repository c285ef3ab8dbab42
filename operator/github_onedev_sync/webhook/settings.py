"""What the chart tells the webhook pod, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from ..environment import SettingsError, truth, whole, words
from .addresses import Network

_SECRET_FOLDER = "/etc/github-onedev-sync/webhook"
_META = "https://api.github.com/meta"
_PORTS = 65535


@dataclass(frozen=True)
class Settings:
    """`watch_namespaces` empty means the whole cluster, `rate_limit` 0 none; without certificate it is plain HTTP."""

    secret_folder: Path = Path(_SECRET_FOLDER)
    port: int = 8000
    path: str = "/webhook"
    watch_namespaces: tuple[str, ...] = ()
    rate_limit: int = 100
    trusted_proxies: tuple[Network, ...] = ()
    allow_list: bool = False
    meta_url: str = _META
    certificate: Path | None = None
    key: Path | None = None
    max_connections: int = 1000
    http_port: int = 8080
    log_format: str = "auto"
    log_level: str = "INFO"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Raises SettingsError."""
    certificate, key = _pair(env, "TLS_CERT_FILE", "TLS_KEY_FILE")
    return Settings(
        secret_folder=Path(env.get("WEBHOOK_SECRET_FOLDER") or _SECRET_FOLDER),
        port=_port(env, "WEBHOOK_PORT", 8000),
        path=_path(env, "WEBHOOK_PATH"),
        watch_namespaces=words(env, "WATCH_NAMESPACES"),
        rate_limit=whole(env, "RATE_LIMIT_PER_MINUTE", 100, least=0),
        trusted_proxies=tuple(_network(word) for word in words(env, "TRUSTED_PROXIES")),
        allow_list=truth(env, "ALLOW_GITHUB_ONLY"),
        meta_url=_address(env, "GITHUB_META_URL"),
        certificate=certificate,
        key=key,
        max_connections=whole(env, "MAX_CONNECTIONS", 1000),
        http_port=_port(env, "HTTP_PORT", 8080),
        log_format=env.get("LOG_FORMAT") or "auto",
        log_level=env.get("LOG_LEVEL") or "INFO",
    )


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    found = whole(env, name, default)
    if found > _PORTS:
        raise SettingsError(f"the environment variable {name} is {found} and must be a port, at most {_PORTS}")
    return found


def _path(env: Mapping[str, str], name: str) -> str:
    path = env.get(name) or "/webhook"
    if not path.startswith("/") or not path.isascii() or any(character in path for character in "?#{} "):
        raise SettingsError(f"the environment variable {name} is {path!r} and must be a path such as /webhook")
    return path


def _address(env: Mapping[str, str], name: str) -> str:
    url = env.get(name) or _META
    if not url.startswith(("https://", "http://")):
        raise SettingsError(f"the environment variable {name} is {url!r} and must be an address such as {_META}")
    return url


def _network(word: str) -> Network:
    try:
        return ip_network(word)
    except ValueError as error:
        raise SettingsError(
            f"the environment variable TRUSTED_PROXIES has {word!r}, which is no network such as 10.0.0.0/8: {error}"
        ) from error


def _pair(env: Mapping[str, str], *both: str) -> tuple[Path | None, Path | None]:
    certificate, key = (Path(env[name]) if env.get(name) else None for name in both)
    if (certificate is None) != (key is None):
        raise SettingsError(f"of the environment variables {' and '.join(both)} only one is set: set both, or none")
    return certificate, key
