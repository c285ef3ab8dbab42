"""`make bench-push`: from a push on GitHub to equal refs in OneDev, with everything in pods."""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import httpx

from tests.e2e.hooked import Hooked, hooked_up
from tests.local_cluster import choose, environment, images
from tests.local_cluster.choice import Cluster

from .errors import NotMeasured
from .figures import Figure

_PUSHES = 24
_REPOSITORIES = 4
_LOOK = 0.05
_PATIENCE = 60.0
# Between one push's end and the next push: no two meet the controller in the same moment of its rounds.
_PAUSE = (0.5, 3.0)


def push() -> list[Figure]:
    """Raises NotMeasured and ClusterError."""
    cluster = choose("tests", _quietly)
    cluster.up()
    operator, stand_ins = images.build(_quietly)
    for image in (operator, stand_ins):
        cluster.load_image(image.archive)
    crds = str(Path(__file__).parents[2] / "crds")
    _kubectl(cluster, "apply", "--server-side", "--force-conflicts", "-f", crds)
    values = {"rateLimitPerMinute": 0}
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            hooked_up(cluster, operator.reference, "push", Path(folder), **values) as hooked,
        ):
            return _measure(hooked)
    except (httpx.HTTPError, AssertionError) as error:
        raise NotMeasured(f"the release did not come up, or a server does not answer: {error!r}") from error


def _quietly(_: str) -> None:
    """On stdout there are figures."""


def _measure(hooked: Hooked) -> list[Figure]:
    names = [f"pushed-{number}" for number in range(_REPOSITORIES)]
    repositories = [hooked.mirrored(name) for name in names]
    chance, seen = random.Random(1), list[float]()
    for repository in itertools.islice(itertools.cycle(repositories), _PUSHES):
        time.sleep(chance.uniform(*_PAUSE))
        seen.append(_seconds(hooked, repository))
    told = [one for repository in repositories for one in hooked.deliveries(repository) if one["event"] == "push"]
    if len(told) != _PUSHES or any(one["status_code"] != 202 for one in told):
        raise NotMeasured(f"of {_PUSHES} pushes {len(told)} were delivered, with {[one['status'] for one in told]}")
    # The first run of each mirror is not a push's.
    runs = [run for name in names for run in hooked.history(name)[:-1]]
    answered = statistics.median(one["duration"] for one in told)
    worked = statistics.median(run.seconds for run in runs)
    of = f"of {_PUSHES}; the webhook answers in {answered:.2f} s, a worker takes {worked:.1f} s of it, each a median"
    ordered = sorted(seen)
    return [
        Figure("push to equal refs in OneDev, in pods, median", statistics.median(seen), "s", 5, of),
        Figure("push to equal refs in OneDev, in pods, p95", ordered[round(0.95 * (_PUSHES - 1))], "s", 6),
        Figure("push to equal refs in OneDev, in pods, worst", ordered[-1], "s", 10),
    ]


def _seconds(hooked: Hooked, repository: str) -> float:
    """From before the push until OneDev's main is GitHub's."""
    began, project = time.perf_counter(), f"{hooked.world.root}/{repository}"
    commit = hooked.push(repository)
    while hooked.installed.act("onedev", "refs", project=project).get("refs/heads/main") != commit:
        if time.perf_counter() - began > _PATIENCE:
            raise NotMeasured(f"{repository} is not equal {_PATIENCE:.0f} s after a push")
        time.sleep(_LOOK)
    return time.perf_counter() - began


def _kubectl(cluster: Cluster, *words: str) -> None:
    done = subprocess.run(
        [str(cluster.kubectl), *words], env=environment(cluster), check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NotMeasured(f"kubectl {words[0]}: {done.stderr.strip()}")
