"""What the chart tells the controller."""

import pytest

from github_onedev_sync.controller.settings import Settings, SettingsError, read_settings
from github_onedev_sync.decide.job import WorkerSettings

NEEDED = {"WORKER_IMAGE": "image:1", "POD_NAMESPACE": "ops", "POD_NAME": "controller-0"}


def test_defaults() -> None:
    assert read_settings(NEEDED) == Settings("ops", "controller-0", WorkerSettings("image:1"))


def test_all() -> None:
    found = read_settings(
        {
            **NEEDED,
            "WORKER_IMAGE_PULL_POLICY": "Always",
            "WORKER_SERVICE_ACCOUNT": "worker",
            "WORKER_RESOURCES": '{"limits": {"memory": "1Gi"}}',
            "WORKER_SCRATCH_SIZE_LIMIT": "1Gi",
            "WORKER_IMAGE_PULL_SECRETS": "one, two,",
            "WATCH_NAMESPACES": " a,b ",
            "MAX_CONCURRENT_JOBS": "9",
            "MAX_CONCURRENT_PER_CREDENTIAL": "7",
            "HTTP_PORT": "9090",
            "WEBHOOK_URL": " https://hooks.example.com/webhook ",
            "WORKER_ENV": '[{"name": "HTTPS_PROXY", "value": "http://proxy"}]',
            "WORKER_NODE_SELECTOR": '{"disk": "fast"}',
            "WORKER_TOLERATIONS": '[{"key": "batch"}]',
            "LOG_FORMAT": "console",
            "LOG_LEVEL": "DEBUG",
        }
    )
    assert found.worker == WorkerSettings(
        "image:1",
        "Always",
        "worker",
        {"limits": {"memory": "1Gi"}},
        "1Gi",
        ("one", "two"),
        environment=({"name": "HTTPS_PROXY", "value": "http://proxy"},),
        node_selector={"disk": "fast"},
        tolerations=({"key": "batch"},),
    )
    assert (found.watch_namespaces, found.max_concurrent_jobs, found.http_port) == (("a", "b"), 9, 9090)
    assert found.max_concurrent_per_credential == 7
    assert found.webhook_url == "https://hooks.example.com/webhook"
    assert (found.log_format, found.log_level) == ("console", "DEBUG")


@pytest.mark.parametrize("name", list(NEEDED))
@pytest.mark.parametrize("value", [None, "", "  "])
def test_what_is_missing_is_named(name: str, value: str | None) -> None:
    env = {key: word for key, word in NEEDED.items() if key != name} | ({} if value is None else {name: value})
    with pytest.raises(SettingsError, match=f"{name} is not set"):
        read_settings(env)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MAX_CONCURRENT_JOBS", "0", "above 0"),
        ("MAX_CONCURRENT_JOBS", "-1", "above 0"),
        ("MAX_CONCURRENT_PER_CREDENTIAL", "0", "above 0"),
        ("MAX_CONCURRENT_JOBS", "many", "'many'"),
        ("HTTP_PORT", "80.5", "whole number"),
        ("WEBHOOK_URL", "hooks.example.com", "such as https://hooks.example.com/webhook"),
        ("WEBHOOK_URL", "ftp://hooks.example.com/", "must be an address"),
        ("WORKER_RESOURCES", "{", "is not JSON"),
        ("WORKER_RESOURCES", "[]", "must be a JSON object"),
        ("WORKER_ENV", "{}", "must be a JSON list"),
        ("WORKER_ENV", "7", "must be a JSON list"),
        ("WORKER_ENV", '["HTTPS_PROXY"]', "list of objects"),
        ("WORKER_NODE_SELECTOR", "[]", "must be a JSON object"),
        ("WORKER_NODE_SELECTOR", "null", "must be a JSON object"),
        ("WORKER_TOLERATIONS", '"all"', "must be a JSON list"),
        ("WORKER_TOLERATIONS", "[", "is not JSON"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        read_settings({**NEEDED, name: value})
    assert name in str(caught.value)
