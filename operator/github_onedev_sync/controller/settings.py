"""What the chart tells the controller, read once from the environment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from ..decide.job import WorkerSettings

T = TypeVar("T")


class SettingsError(Exception):
    """A variable is missing or wrong; the text names it and what it takes."""


@dataclass(frozen=True)
class Settings:
    """`watch_namespaces` empty means the whole cluster."""

    namespace: str
    identity: str
    worker: WorkerSettings
    watch_namespaces: tuple[str, ...] = ()
    max_concurrent_jobs: int = 4
    max_concurrent_per_credential: int = 4
    http_port: int = 8080
    log_format: str = "auto"
    log_level: str = "INFO"
    lease: str = "github-onedev-sync-controller"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Raises SettingsError."""
    worker = WorkerSettings(
        image=_required(env, "WORKER_IMAGE", "the image of worker pods"),
        image_pull_policy=env.get("WORKER_IMAGE_PULL_POLICY") or "IfNotPresent",
        service_account=env.get("WORKER_SERVICE_ACCOUNT") or "default",
        resources=_json(env, "WORKER_RESOURCES", {}),
        scratch_size_limit=env.get("WORKER_SCRATCH_SIZE_LIMIT") or "10Gi",
        image_pull_secrets=_list(env, "WORKER_IMAGE_PULL_SECRETS"),
        start_limit=timedelta(seconds=_positive(env, "WORKER_START_LIMIT_SECONDS", 120)),
        environment=_json(env, "WORKER_ENV", ()),
        node_selector=_json(env, "WORKER_NODE_SELECTOR", {}),
        tolerations=_json(env, "WORKER_TOLERATIONS", ()),
    )
    return Settings(
        namespace=_required(env, "POD_NAMESPACE", "the namespace of the Lease"),
        identity=_required(env, "POD_NAME", "who holds the Lease"),
        worker=worker,
        watch_namespaces=_list(env, "WATCH_NAMESPACES"),
        max_concurrent_jobs=_positive(env, "MAX_CONCURRENT_JOBS", 4),
        max_concurrent_per_credential=_positive(env, "MAX_CONCURRENT_PER_CREDENTIAL", 4),
        http_port=_positive(env, "HTTP_PORT", 8080),
        log_format=env.get("LOG_FORMAT") or "auto",
        log_level=env.get("LOG_LEVEL") or "INFO",
    )


def _required(env: Mapping[str, str], name: str, purpose: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"the environment variable {name} is not set ({purpose})")
    return value


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in env.get(name, "").split(",") if word.strip())


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"the environment variable {name} is {text!r} and must be a whole number above 0")
    return int(text)


def _json(env: Mapping[str, str], name: str, default: T) -> T:
    """A JSON object where the default is one, a tuple of them where the default is a tuple."""
    text = env.get(name)
    if not text:
        return default
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"the environment variable {name} is not JSON: {error}") from error
    value = tuple(value) if isinstance(value, list) else value
    objects = not isinstance(value, tuple) or all(isinstance(item, dict) for item in value)
    if not isinstance(value, type(default)) or not objects:
        kind = "list of objects" if isinstance(default, tuple) else "object"
        raise SettingsError(f"the environment variable {name} must be a JSON {kind}")
    return value
