"""Which proxy a request takes."""

import pytest

from github_onedev_sync.transfer import side


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://github.com/o/r.git", "http://proxy:3128"),
        ("http://onedev.internal/o/r", None),
        ("https://onedev.internal/o/r", None),
        ("https://onedev.internal:6611/o/r", None),
    ],
)
def test_the_environment_names_the_proxy(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", ".internal,10.0.0.1")
    side._proxy.cache_clear()
    assert side.proxy_for(url) == proxy
    side._proxy.cache_clear()
