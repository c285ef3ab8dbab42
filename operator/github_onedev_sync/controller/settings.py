"""What the chart tells the controller, read once from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from ..decide import deliveries
from ..decide.job import WorkerSettings
from ..environment import SettingsError as SettingsError
from ..environment import required, structure, whole, words


@dataclass(frozen=True)
class Settings:
    """`watch_namespaces` empty means the whole cluster; without `webhook_url` no delivery is asked for again."""

    namespace: str
    identity: str
    worker: WorkerSettings
    watch_namespaces: tuple[str, ...] = ()
    max_concurrent_jobs: int = 4
    max_concurrent_per_credential: int = 4
    http_port: int = 8080
    webhook_url: str = ""
    log_format: str = "auto"
    log_level: str = "INFO"
    lease: str = "github-onedev-sync-controller"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Raises SettingsError."""
    worker = WorkerSettings(
        image=required(env, "WORKER_IMAGE", "the image of worker pods"),
        image_pull_policy=env.get("WORKER_IMAGE_PULL_POLICY") or "IfNotPresent",
        service_account=env.get("WORKER_SERVICE_ACCOUNT") or "default",
        resources=structure(env, "WORKER_RESOURCES", {}),
        scratch_size_limit=env.get("WORKER_SCRATCH_SIZE_LIMIT") or "10Gi",
        image_pull_secrets=words(env, "WORKER_IMAGE_PULL_SECRETS"),
        start_limit=timedelta(seconds=whole(env, "WORKER_START_LIMIT_SECONDS", 120)),
        environment=structure(env, "WORKER_ENV", ()),
        node_selector=structure(env, "WORKER_NODE_SELECTOR", {}),
        tolerations=structure(env, "WORKER_TOLERATIONS", ()),
    )
    return Settings(
        namespace=required(env, "POD_NAMESPACE", "the namespace of the Lease"),
        identity=required(env, "POD_NAME", "who holds the Lease"),
        worker=worker,
        watch_namespaces=words(env, "WATCH_NAMESPACES"),
        max_concurrent_jobs=whole(env, "MAX_CONCURRENT_JOBS", 4),
        max_concurrent_per_credential=whole(env, "MAX_CONCURRENT_PER_CREDENTIAL", 4),
        http_port=whole(env, "HTTP_PORT", 8080),
        webhook_url=_address(env, "WEBHOOK_URL"),
        log_format=env.get("LOG_FORMAT") or "auto",
        log_level=env.get("LOG_LEVEL") or "INFO",
    )


def _address(env: Mapping[str, str], name: str) -> str:
    url = env.get(name, "").strip()
    if url and not deliveries.address(url):
        raise SettingsError(
            f"the environment variable {name} is {url!r} and must be an address such as https://hooks.example.com/webhook"
        )
    return url
