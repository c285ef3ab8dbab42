"""The addresses of a cluster, and the one link that leads to it.

Everything of one cluster lies in a /16 of its own, so that a cluster is found, routed and removed as a whole:
the link to the machine, the pods and the Services.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import ClusterError

_FIRST, _SLOTS = 200, 50


@dataclass(frozen=True)
class Network:
    """The addresses of the cluster in slot `slot` (0 to 49)."""

    slot: int

    def _address(self, third: int, last: int) -> str:
        return f"10.{_FIRST + self.slot}.{third}.{last}"

    @property
    def whole(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(f"{self._address(0, 0)}/16")

    @property
    def link(self) -> str:
        """Name of the machine's end of the veth pair; the kernel allows 15 characters."""
        return f"onedev-sync{self.slot}"

    @property
    def machine(self) -> str:
        return self._address(0, 1)

    @property
    def node(self) -> str:
        return self._address(0, 2)

    @property
    def pods(self) -> str:
        return f"{self._address(64, 0)}/18"

    @property
    def services(self) -> str:
        return f"{self._address(128, 0)}/18"

    @property
    def api_service(self) -> str:
        return self._address(128, 1)


def free(taken: Iterable[int]) -> Network:
    """The first network that no other cluster has and that the machine has no route into."""
    routes = [ipaddress.ip_network(r["dst"], strict=False) for r in _routes() if r["dst"][0].isdigit()]
    slots_taken = set(taken)
    for slot in range(_SLOTS):
        network = Network(slot)
        if slot not in slots_taken and not any(
            route.prefixlen and route.overlaps(network.whole) for route in routes if route.version == 4
        ):
            return network
    raise ClusterError(
        "no free network for the cluster",
        f"the machine has routes into each of 10.{_FIRST}.0.0/16 to 10.{_FIRST + _SLOTS - 1}.0.0/16",
        "stop a cluster: python -m tests.local_cluster down --name NAME",
    )


def connect(network: Network, pid: int) -> None:
    """Lay the veth pair into the network namespace of process `pid` and route pods and Services to it."""
    _ip("link", "add", network.link, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("address", "add", f"{network.machine}/24", "dev", network.link)
    _ip("link", "set", network.link, "up")
    for destination in (network.pods, network.services):
        _ip("route", "add", destination, "via", network.node)


def disconnect(network: Network) -> None:
    """Remove the link, and with it the routes; no error where the namespace's end has removed it already."""
    subprocess.run(["ip", "link", "delete", network.link], check=False, capture_output=True)


def connected(network: Network) -> bool:
    return subprocess.run(["ip", "link", "show", network.link], check=False, capture_output=True).returncode == 0


def _routes() -> list[dict[str, str]]:
    done = subprocess.run(["ip", "-json", "-4", "route"], check=True, capture_output=True, text=True)
    routes: list[dict[str, str]] = json.loads(done.stdout or "[]")
    return routes


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(
            f"cannot connect the cluster to the machine: ip {' '.join(words)}",
            done.stderr.strip(),
            "a kernel with veth and network namespaces, and root with CAP_NET_ADMIN",
        )
