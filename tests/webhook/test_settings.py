"""What the chart tells the webhook pod."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from github_onedev_sync.environment import SettingsError
from github_onedev_sync.webhook.settings import Settings, read_settings


def test_defaults() -> None:
    assert read_settings({}) == Settings()


def test_all() -> None:
    assert read_settings(
        {
            "WEBHOOK_SECRET_FOLDER": "/secret",
            "WEBHOOK_PORT": "9000",
            "WEBHOOK_PATH": "/hooks/github",
            "WATCH_NAMESPACES": "a, b",
            "RATE_LIMIT_PER_MINUTE": "0",
            "TRUSTED_PROXIES": "10.0.0.0/8,2001:db8::1",
            "ALLOW_GITHUB_ONLY": "true",
            "GITHUB_META_URL": "https://ghe.example.com/api/v3/meta",
            "TLS_CERT_FILE": "/tls/tls.crt",
            "TLS_KEY_FILE": "/tls/tls.key",
            "MAX_CONNECTIONS": "7",
            "HTTP_PORT": "9090",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "DEBUG",
        }
    ) == Settings(
        secret_folder=Path("/secret"),
        port=9000,
        path="/hooks/github",
        watch_namespaces=("a", "b"),
        rate_limit=0,
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128")),
        allow_list=True,
        meta_url="https://ghe.example.com/api/v3/meta",
        certificate=Path("/tls/tls.crt"),
        key=Path("/tls/tls.key"),
        max_connections=7,
        http_port=9090,
        log_format="json",
        log_level="DEBUG",
    )


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"WEBHOOK_PORT": "0"}, "WEBHOOK_PORT is '0' and must be a whole number above 0"),
        ({"WEBHOOK_PORT": "65536"}, "WEBHOOK_PORT is 65536 and must be a port, at most 65535"),
        ({"HTTP_PORT": "http"}, "HTTP_PORT is 'http'"),
        ({"WEBHOOK_PATH": "webhook"}, "WEBHOOK_PATH is 'webhook' and must be a path such as /webhook"),
        ({"WEBHOOK_PATH": "/{anything}"}, "must be a path"),
        ({"RATE_LIMIT_PER_MINUTE": "-1"}, "RATE_LIMIT_PER_MINUTE is '-1' and must be a whole number from 0 on"),
        ({"RATE_LIMIT_PER_MINUTE": "many"}, "'many'"),
        ({"TRUSTED_PROXIES": "10.0.0.0/8, ingress"}, "TRUSTED_PROXIES has 'ingress', which is no network such as"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "has host bits set"),
        ({"ALLOW_GITHUB_ONLY": "yes"}, "ALLOW_GITHUB_ONLY is 'yes' and must be true or false"),
        ({"GITHUB_META_URL": "ghe.example.com"}, "GITHUB_META_URL is 'ghe.example.com' and must be an address"),
        ({"TLS_CERT_FILE": "/tls.crt"}, "TLS_CERT_FILE and TLS_KEY_FILE only one is set"),
        ({"TLS_KEY_FILE": "/tls.key"}, "only one is set"),
        ({"MAX_CONNECTIONS": "0"}, "MAX_CONNECTIONS is '0'"),
    ],
)
def test_what_is_wrong_is_named(env: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read_settings(env)
