"""One delivery after another through the app: what GitHub is answered, what the log tells, what is counted."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from github_onedev_sync.api import mirror, names
from github_onedev_sync.api.errors import ClusterRefused, ClusterUnavailable
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import Pod, build_pod
from github_onedev_sync.webhook.settings import Settings

from .conftest import PATH, SECRET, GitHub, headers
from .fakes import FakeCluster, mirror_body, sync_body
from .samples import NAMES, OCTOCAT, WIDGET, body, event_of, raw

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


@pytest.fixture(autouse=True)
def mirrored(fake: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake.put(mirror.PLURAL, mirror_body("widget", WIDGET))


def lines(caplog: pytest.LogCaptureFixture, name: str = "delivery") -> list[dict[str, object]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == name]


def counted(pod: Pod, event: str, result: str) -> float | None:
    return pod.metrics.registry.get_sample_value(
        "github_onedev_sync_webhook_deliveries_total", {"event": event, "result": result}
    )


@pytest.mark.parametrize("name", NAMES)
async def test_every_documented_event_is_taken(github: GitHub, name: str) -> None:
    answer = await github.deliver(raw(name), event_of(name))
    assert answer.status_code in (200, 202), answer.text


async def test_a_push_reaches_its_mirror(
    github: GitHub, pod: Pod, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await github.deliver(raw("push"), "push", GUID)
    assert answer.status_code == 202
    assert answer.json().items() >= {"delivery": GUID, "result": "accepted"}.items()
    assert answer.headers["X-GitHub-Delivery"] == GUID
    assert fake.annotations == [("team/widget", GUID)]
    (line,) = lines(caplog)
    assert (
        line.items()
        >= {
            "delivery": GUID,
            "request": answer.headers["X-Request-Id"],
            "github_event": "push",
            "repository": "acme/widget",
            "repository_id": WIDGET,
            "ref": "refs/heads/main",
            "sender": "octocat",
            "result": "accepted",
            "looks": 1,
        }.items()
    )
    assert counted(pod, "push", "accepted") == 1
    assert pod.metrics.registry.get_sample_value("github_onedev_sync_webhook_looks_total") == 1


async def test_a_form_is_as_good_as_json(github: GitHub, fake: FakeCluster) -> None:
    form = b"payload=" + quote(raw("push")).encode()
    answer = await github.deliver(form, "push", GUID, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 202
    assert fake.annotations == [("team/widget", GUID)]


@pytest.mark.parametrize("text", [b"payload=", b"other=%7B%7D", b"payload=1&payload=2", b"&&&", b"payload=\xff", b""])
async def test_a_form_without_a_payload(github: GitHub, text: bytes) -> None:
    answer = await github.deliver(text, "push", content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.json()["result"]) == (400, "unreadable")


@pytest.mark.parametrize(
    ("changed", "status", "result"),
    [
        ({"X-Hub-Signature-256": None}, 401, "wrong signature"),
        ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401, "wrong signature"),
        ({"X-Hub-Signature-256": "sha1=" + "0" * 40}, 401, "wrong signature"),
        ({"X-GitHub-Event": None}, 400, "no delivery"),
        ({"X-GitHub-Event": "Push!"}, 400, "no delivery"),
        ({"X-GitHub-Delivery": None}, 400, "no delivery"),
        ({"X-GitHub-Delivery": "a b"}, 400, "no delivery"),
        ({"X-GitHub-Delivery": "a" * 101}, 400, "no delivery"),
        ({"Content-Type": None}, 415, "wrong type"),
        ({"Content-Type": "text/plain"}, 415, "wrong type"),
        ({"Content-Encoding": "gzip"}, 415, "wrong type"),
        ({"Content-Length": str(26 << 20)}, 413, "too large"),
        ({"Content-Length": "9" * 5000}, 413, "too large"),
    ],
)
async def test_what_is_refused(
    github: GitHub, fake: FakeCluster, changed: dict[str, str | None], status: int, result: str
) -> None:
    text = raw("push")
    sent = {name: value for name, value in (headers(text, "push") | changed).items() if value is not None}
    answer = await github.client.post(PATH, content=text, headers=sent)
    assert (answer.status_code, answer.json()["result"]) == (status, result)
    assert answer.headers["X-Request-Id"] == answer.json()["request"]
    assert set(answer.json()) <= {"request", "delivery", "result"}
    assert not fake.calls


async def test_a_wrong_signature_tells_nothing_of_what_is_mirrored(github: GitHub) -> None:
    known = await github.deliver(raw("push"), "push", secret=b"guessed")
    other = await github.deliver(body("push", repository={"id": 7, "full_name": "a/b"}), "push", secret=b"guessed")
    ids = re.compile(r"[0-9a-f]{12}|[0-9a-f-]{36}")
    assert ids.sub("", known.text) == ids.sub("", other.text)
    assert (known.status_code, other.status_code) == (401, 401)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"repository": 7}', b'{"repository": {"id": "x"}}'])
async def test_what_was_signed_but_cannot_be_read(
    github: GitHub, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await github.deliver(text, "push")
    assert (answer.status_code, answer.json()["result"]) == (400, "unreadable")
    assert lines(caplog)[-1]["why"]


async def test_a_deep_body_is_no_harm(github: GitHub) -> None:
    assert (await github.deliver(b'{"a":' * 100_000, "push")).status_code == 400


async def test_an_event_that_is_not_handled_is_taken_and_counted_without_its_name(github: GitHub, pod: Pod) -> None:
    answer = await github.deliver(b"not even JSON", "workflow_run")
    assert (answer.status_code, answer.json()["result"]) == (202, "not handled")
    assert counted(pod, "other", "not handled") == 1


async def test_a_ping(github: GitHub) -> None:
    answer = await github.deliver(raw("ping.organization"), "ping")
    assert (answer.status_code, answer.json()["result"]) == (200, "pong")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", PATH, 405), ("POST", "/", 404), ("PUT", PATH, 405)])
async def test_elsewhere(github: GitHub, method: str, path: str, status: int) -> None:
    answer = await github.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["X-Request-Id"] == answer.json()["request"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
async def test_no_page_is_for_strangers(github: GitHub, path: str) -> None:
    assert (await github.client.get(path)).status_code == 404


async def test_a_redelivery_of_what_is_finished_does_nothing(github: GitHub, fake: FakeCluster) -> None:
    for result in ("accepted", "duplicate", "duplicate"):
        assert (await github.deliver(raw("push"), "push", GUID)).json()["result"] == result
    assert len(fake.annotations) == 1


@pytest.mark.parametrize("error", [ClusterUnavailable("GET /x: refused"), ClusterRefused("RBAC must allow patch")])
async def test_what_the_cluster_did_not_take_is_a_failure_and_its_redelivery_is_not_a_duplicate(
    github: GitHub, fake: FakeCluster, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    fake.trouble = error
    answer = await github.deliver(raw("push"), "push", GUID)
    assert (answer.status_code, answer.json()["result"]) == (503, "cluster unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert lines(caplog)[-1]["why"] == str(error)
    assert str(error) not in answer.text
    fake.trouble = None
    assert (await github.deliver(raw("push"), "push", GUID)).json()["result"] == "accepted"
    assert fake.annotations == [("team/widget", GUID)]


async def test_a_call_that_fails_once_is_no_failure(
    github: GitHub, fake: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = fake.annotate, [ClusterUnavailable("connection reset")]

    async def annotate(plural: str, key: str, annotations: Mapping[str, str]) -> bool:
        if failures:
            raise failures.pop()
        return await real(plural, key, annotations)

    monkeypatch.setattr(fake, "annotate", annotate)
    assert (await github.deliver(raw("push"), "push", GUID)).json()["result"] == "accepted"
    assert fake.annotations == [("team/widget", GUID)]


async def test_a_cluster_that_does_not_answer_in_time(github: GitHub, pod: Pod, fake: FakeCluster) -> None:
    pod.receiver.deadline = 0.05
    fake.gate.clear()
    answer = await github.deliver(raw("push"), "push", GUID)
    assert (answer.status_code, answer.json()["result"]) == (503, "cluster unavailable")
    fake.gate.set()
    await pod.asking.drain()
    pod.receiver.deadline = 5
    assert (await github.deliver(raw("push"), "push", GUID)).json()["result"] == "accepted"


async def test_a_burst_is_few_calls_and_every_delivery_is_answered(github: GitHub, pod: Pod, fake: FakeCluster) -> None:
    await github.deliver(raw("push"), "push")
    fake.gate.clear()
    burst = [asyncio.create_task(github.deliver(raw("push"), "push")) for _ in range(50)]
    for _ in range(200):
        await asyncio.sleep(0)
    fake.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*burst)} == {202}
    assert len(fake.annotations) <= 3
    assert pod.metrics.registry.get_sample_value("github_onedev_sync_webhook_look_calls_total") == len(fake.annotations)


async def test_two_replicas_ask_with_the_same_word(settings: Settings, fake: FakeCluster) -> None:
    """So that the second time nothing changes, and the mirror runs once."""
    for _ in range(2):
        app = build_app(build_pod(settings, fake).receiver, PATH)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pod") as client:
            assert (await GitHub(client).deliver(raw("push"), "push", GUID)).status_code == 202
    assert fake.annotations == [("team/widget", GUID)] * 2
    assert fake.resources[mirror.PLURAL, "team/widget"]["metadata"]["annotations"] == {names.REQUESTED_AT: GUID}


async def test_a_star_makes_a_mirror(github: GitHub, fake: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    fake.resources.clear()
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    answer = await github.deliver(raw("star.created"), "star", GUID)
    assert answer.json()["result"] == "accepted"
    assert fake.mirrors == [f"team/acme-widget-{WIDGET}"]
    assert lines(caplog, "mirror made") == [
        {"mirror": f"team/acme-widget-{WIDGET}", "sync": "srs.all", "delivery": GUID}
    ]


async def test_a_secret_is_exchanged_without_a_loss(github: GitHub, secret_folder: Path) -> None:
    (secret_folder / "previousSecret").write_bytes(SECRET)
    (secret_folder / "secret").write_bytes(b"the new one")
    for secret, status in ((SECRET, 202), (b"the new one", 202), (b"neither", 401)):
        assert (await github.deliver(raw("push"), "push", secret=secret)).status_code == status
    (secret_folder / "previousSecret").unlink()
    assert (await github.deliver(raw("push"), "push")).status_code == 401


async def test_without_a_secret_nothing_is_taken(github: GitHub, pod: Pod, secret_folder: Path) -> None:
    await pod.syncs.refresh()
    assert pod.trouble() == ""
    (secret_folder / "secret").unlink()
    answer = await github.deliver(raw("push"), "push", secret=b"")
    assert (answer.status_code, answer.json()["result"]) == (503, "not ready")
    assert "is missing or empty" in pod.trouble()


async def test_ready_is_a_cluster_that_answers(pod: Pod, fake: FakeCluster) -> None:
    assert pod.trouble() == "the syncs were not listed yet"
    fake.trouble = ClusterUnavailable("GET /apis: refused")
    with pytest.raises(ClusterUnavailable):
        await pod.syncs.refresh()
    assert pod.trouble() == "GET /apis: refused"
    fake.trouble = None
    await pod.syncs.refresh()
    assert pod.trouble() == ""


@pytest.mark.parametrize("settings", [Settings(rate_limit=3)])
async def test_too_many_from_one_address(github: GitHub, pod: Pod, settings: Settings, secret_folder: Path) -> None:
    pod.receiver.secrets.folder = secret_folder
    answers = [await github.deliver(raw("push"), "push") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 21


async def test_a_fault_of_ours_is_counted_and_told_with_its_ids(
    github: GitHub, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pod.receiver.acting, "act", broken)
    answer = await github.deliver(raw("push"), "push", GUID)
    assert (answer.status_code, answer.json()["result"]) == (500, "bug")
    assert answer.json()["delivery"] == GUID
    assert counted(pod, "push", "bug") == 1
    assert pod.receiver.room.taken == 0


async def test_what_bodies_hold_is_limited_and_given_back(github: GitHub, pod: Pod) -> None:
    pod.receiver.room.size = 10
    answer = await github.deliver(raw("push"), "push")
    assert (answer.status_code, answer.json()["result"]) == (503, "busy")
    pod.receiver.room.size = 1 << 20
    for secret in (SECRET, b"wrong"):
        await github.deliver(raw("push"), "push", secret=secret)
    assert pod.receiver.room.taken == 0


async def test_a_replay_asks_with_a_new_word(github: GitHub, pod: Pod, fake: FakeCluster) -> None:
    assert await pod.receiver.replay(GUID) is None
    await github.deliver(raw("push"), "push", GUID)
    answer = await pod.receiver.replay(GUID)
    assert answer is not None
    assert (answer.delivery, answer.status) == (GUID, 202)
    assert [key for key, _ in fake.annotations] == ["team/widget"] * 2
    assert fake.annotations[1][1] == f"{GUID}.{answer.request}"


async def test_a_log_line_is_json_without_the_secret(github: GitHub, caplog: pytest.LogCaptureFixture) -> None:
    await github.deliver(raw("push"), "push")
    assert SECRET.decode() not in json.dumps(lines(caplog))
