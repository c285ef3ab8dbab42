"""A push is in OneDev seconds later: GitHub, the webhook's two replicas, the controller and the worker, all in pods."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from github_onedev_sync.api.delivery import sign
from tests.local_cluster.choice import Cluster

from .hooked import INTERVAL, SECRET, Hooked, hooked_up
from .world import GROUP, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]


@pytest.fixture(scope="module")
def hooked(cluster: Cluster, worker_image: str, crds: None, folder: Path) -> Iterator[Hooked]:
    with hooked_up(cluster, worker_image, "webhook", folder, rateLimitPerMinute=1000) as found:
        yield found


def answers(deliveries: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """Event, status and result of each."""
    told = [(one["event"], one["status_code"], json.loads(one["response"]["payload"] or "{}")) for one in deliveries]
    return [(event, status, answer.get("result", "")) for event, status, answer in told]


def test_a_push_is_in_onedev_although_nobody_polls(hooked: Hooked) -> None:
    repository = hooked.mirrored("pushed")
    assert answers(hooked.deliveries(repository)) == [("ping", 200, "pong")]
    hooked.push(repository)
    hooked.wait_equal(repository)
    assert answers(hooked.deliveries(repository))[0] == ("push", 202, "accepted")
    hooked.github("create_tag", repository=repository, tag="v1")
    hooked.wait_equal(repository)
    assert len(hooked.history("pushed")) == 3


# In a replica: what it answers to a delivery that comes by stdin.
DELIVER = (
    "import httpx, json, sys; told = json.load(sys.stdin); "
    "print(httpx.post('http://127.0.0.1:8000/webhook', headers=told['headers'], content=told['body']).text)"
)


def test_a_delivery_that_comes_twice_and_to_both_replicas_is_one_run(hooked: Hooked) -> None:
    installed, repository = hooked.installed, hooked.mirrored("twice")
    hooked.github("disturb_deliveries", how="twice", count=1)
    hooked.push(repository)
    hooked.wait_equal(repository)
    both = [one for one in hooked.deliveries(repository) if one["event"] == "push"]
    assert len(both) == 2
    assert len({one["guid"] for one in both}) == 1
    assert all(one["status_code"] == 202 for one in both)

    body = json.dumps(both[0]["request"]["payload"])
    headers = {**both[0]["request"]["headers"], "X-Hub-Signature-256": sign(SECRET.encode(), body.encode())}
    pods = installed.run("kubectl", "-n", installed.name, "get", "pods", hooked.replicas, "-o", "name").split()
    assert len(pods) == 2
    for pod in pods:
        in_pod = ("kubectl", "-n", installed.name, "exec", "-i", pod, "--", "python", "-c", DELIVER)
        said = json.loads(installed.run(*in_pod, input=json.dumps({"headers": headers, "body": body})))
        assert said["delivery"] == both[0]["guid"]
        assert said["result"] in ("duplicate", "accepted")
    assert len(hooked.history("twice")) == 2


def test_a_burst_of_fifty_deliveries_is_one_run_after_the_current_one(hooked: Hooked) -> None:
    repository = hooked.mirrored("burst")
    into_onedev = {"method": "POST", "path": f"{repository}/git-receive-pack$", "delay": 15}
    hooked.installed.steer("onedev", "faults", into_onedev)
    hooked.push(repository)
    eventually("the current run pushes", lambda: hooked.installed.steer("onedev", "faults")[-1]["hits"])
    hooked.push(repository)
    payload = hooked.deliveries(repository)[0]["request"]["payload"]
    copy = {"hook_id": hooked.hooks[repository], "event": "push", "payload": payload}
    with ThreadPoolExecutor(4) as at_once:
        list(at_once.map(lambda _: hooked.github("send_event", **copy), range(48)))
    assert [status for event, status, _ in answers(hooked.deliveries(repository)) if event == "push"] == [202] * 50
    hooked.wait_equal(repository)
    assert len(hooked.history("burst")) == 3


def test_a_star_is_a_mirror_at_once(hooked: Hooked) -> None:
    world, repository = hooked.world, hooked.repository("starred")
    source = {"apiURL": world.github.url, "insecure": True, "secretRef": {"name": "github"}}
    template = {"target": {"serverRef": {"name": "default"}}, "interval": INTERVAL}
    world.apply(
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "StarredReposSync",
            "metadata": {"name": "stars"},
            "spec": {"source": source, "interval": INTERVAL, "template": template},
        }
    )
    world.wait_for("starredrepossync", "stars", "Ready", "True")

    def taken() -> bool:
        hooked.github("unstar", login="octocat", repository=repository)
        hooked.github("star", login="octocat", repository=repository)
        deliveries = hooked.deliveries(repository)
        return answers([one for one in deliveries if one["action"] == "created"])[0] == ("star", 202, "accepted")

    # A pod that has just listed the syncs does not list them for each stranger that comes by.
    eventually("the webhook knows of the new sync", taken)
    # The mirror was there when GitHub was answered.
    [made] = world.items("rmir", f"--selector={GROUP}/sync=srs.stars")
    world.wait_ready(made["metadata"]["name"])
    hooked.wait_equal(repository)

    # And the sync knows it as its own.
    world.ask("stars", kind="starredrepossync")
    eventually(
        "the sync counts it",
        lambda: world.get("starredrepossync", "stars")["status"].get("stars", {}).get("mirrored") == 1,
    )
    [after] = world.items("rmir", f"--selector={GROUP}/sync=srs.stars")
    assert after["metadata"]["uid"] == made["metadata"]["uid"]
    assert after["metadata"]["generation"] == made["metadata"]["generation"]


def test_a_wrong_signature_does_nothing(hooked: Hooked) -> None:
    repository = hooked.mirrored("forged")
    hooked.github("set_hook", hook_id=hooked.hooks[repository], secret="somebody else's")
    hooked.push(repository)
    assert answers(hooked.deliveries(repository))[0] == ("push", 401, "wrong signature")
    assert len(hooked.history("forged")) == 1
    assert SECRET not in hooked.log()


def test_a_line_of_the_log_is_replayed_from_a_pod(hooked: Hooked) -> None:
    """As docs/webhook.md tells: the mirror looks again, whichever pod had the delivery."""
    name, repository = hooked.installed.name, hooked.mirrored("replayed")
    hooked.push(repository)
    hooked.wait_equal(repository)
    push = hooked.deliveries(repository)[0]
    lines = "\n".join(line for line in hooked.log().splitlines() if push["guid"] in line)
    in_pod = ("kubectl", "-n", name, "exec", "-i", f"deployment/{name}-webhook", "--", "python", "-m")
    said = hooked.installed.run(*in_pod, "github_onedev_sync", "replay", "--lines", "-", input=lines)
    assert said == f"{push['guid']} accepted\n"
    asked = hooked.world.get("rmir", "replayed")["metadata"]["annotations"][f"{GROUP}/requestedAt"]
    assert asked.startswith(f"{push['guid']}.")


def test_a_new_version_takes_over_and_no_delivery_is_lost(hooked: Hooked) -> None:
    """GitHub would not try again by itself."""
    name, repository = hooked.installed.name, hooked.repository("rolled")
    kubectl = ("kubectl", "-n", name, "rollout")
    hooked.installed.run(*kubectl, "restart", f"deployment/{name}-webhook")
    with ThreadPoolExecutor(1) as beside:
        rolled = beside.submit(hooked.installed.run, *kubectl, "status", f"deployment/{name}-webhook")
        while not rolled.done():
            hooked.push(repository)
    rolled.result()
    found = answers(hooked.deliveries(repository))
    assert len(found) > 5
    assert {status for event, status, _ in found if event == "push"} == {202}, found
