"""Whether a node answers: its API server and its DNS, asked from the machine."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import struct
import urllib.error
import urllib.request
from typing import Any

from .configuration import DOMAIN, Layout


def get(layout: Layout, path: str) -> dict[str, Any] | None:
    """The object at `path` of the API, or None while there is none or no server."""
    authority = layout.authority
    context = ssl.create_default_context(cafile=str(authority.certificate("ca")))
    context.load_cert_chain(authority.certificate("admin"), authority.key("admin"))
    try:
        with urllib.request.urlopen(f"{layout.server}{path}", context=context, timeout=3) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except (urllib.error.URLError, OSError):
        return None


def node_ready(layout: Layout) -> bool:
    node = get(layout, f"/api/v1/nodes/{layout.node}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pods_welcome(layout: Layout) -> bool:
    """Without its namespace's default ServiceAccount a pod is refused."""
    return get(layout, "/api/v1/namespaces/default/serviceaccounts/default") is not None


def dns_ready(layout: Layout) -> bool:
    """The cluster's DNS gives the API server's Service address (RFC 1035 query of type A)."""
    number = secrets.token_bytes(2)
    labels = f"kubernetes.default.svc.{DOMAIN}".encode().split(b".")
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    query = number + struct.pack(">5H", 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(query, (layout.network.node, 53))
            answer = asking.recv(512)
        except OSError:
            return False
    return answer[:2] == number and answer.endswith(socket.inet_aton(layout.network.api_service))
