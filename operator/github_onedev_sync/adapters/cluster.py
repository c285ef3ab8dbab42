"""The Kubernetes API, for what is not watched. The only module that knows the library `kubernetes`.

Objects go in and come out as plain dicts: the library's models would refuse fields of a newer API and cost five times
the CPU.
"""

import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from .. import __version__
from ..api import names
from ..api.errors import ClusterRefused, ClusterUnavailable
from .field_conflicts import give_way

# For a whole call; the library's own default is 300 s.
_TIMEOUT = aiohttp.ClientTimeout(total=15)
_MERGE_PATCH = "application/merge-patch+json"
_JSON = "application/json"
# JSON is YAML.
_APPLY = "application/apply-patch+yaml"
# Objects in one answer of a long list.
_CHUNK = 500
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_LEASES = "coordination.k8s.io/v1"
_JOBS = "batch/v1"

Body = Mapping[str, Any]


class Cluster:
    """`ports.Cluster`, and the Lease of the leader election. Made by `connect`; close it when done.

    Every method may raise `ClusterUnavailable` and `ClusterRefused`.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> Self:
        """As the pod's service account; outside a pod as KUBECONFIG says, or as that file where one is named."""
        configuration = Configuration()
        try:
            if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(config_file=kubeconfig, client_configuration=configuration)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            raise ClusterUnavailable(f"No way to the cluster is configured, set KUBECONFIG: {error}") from error
        # Where no proxy is on the way, aiohttp need not look for one at each request: that is two changes of thread.
        configuration.client_session_kwargs = {"trust_env": _is_proxied(configuration.host)}
        client = ApiClient(configuration)
        client.user_agent = f"github-onedev-sync/{__version__}"
        return cls(client)

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def patch_status(self, plural: str, key: str, resource_version: str, status: Body) -> Body | None:
        namespace, name = key.split("/")
        path = _path(names.API_VERSION, namespace, plural, name) + "/status"
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return await self._call("PATCH", path, body, _MERGE_PATCH, none_for=(404, 409))

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        secret = await self._call("GET", _path("v1", namespace, "secrets", name), none_for=(404,))
        return None if secret is None else _decoded(secret)

    async def create_job(self, manifest: Body) -> Body:
        namespace, name = _place(manifest)
        created = await self._call("POST", _path(_JOBS, namespace, "jobs"), manifest, none_for=(409,))
        existing = created or await self.read_job(namespace, name)
        if existing is None:
            raise ClusterUnavailable(f"The Job {namespace}/{name} was there and is gone again")
        return existing

    async def read_job(self, namespace: str, name: str) -> Body | None:
        return await self._call("GET", _path(_JOBS, namespace, "jobs", name), none_for=(404,))

    async def read_resource(self, plural: str, key: str) -> Body | None:
        namespace, name = key.split("/")
        return await self._call("GET", _path(names.API_VERSION, namespace, plural, name), none_for=(404,))

    async def list_resources(
        self, plural: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Body]:
        """`labels` and `fields` are selectors, such as `status.source.id=7`."""
        selectors = {"labelSelector": labels, "fieldSelector": fields}
        query = {"limit": str(_CHUNK)} | {name: selector for name, selector in selectors.items() if selector}
        while True:
            found = await self._call("GET", f"{_path(names.API_VERSION, namespace, plural)}?{urlencode(query)}") or {}
            for item in found.get("items", ()):
                yield item
            query["continue"] = (found.get("metadata") or {}).get("continue", "")
            if not query["continue"]:
                return

    async def apply(self, plural: str, manifest: Body, manager: str, *, take_over: bool = False) -> Body | None:
        namespace, name = _place(manifest)
        path = f"{_path(names.API_VERSION, namespace, plural, name)}?{urlencode({'fieldManager': manager})}"
        status, answer = await self._exchange("PATCH", path, manifest, _APPLY)
        if status == 409:
            agreed = give_way(manifest, answer or {}, take_over=take_over)
            if agreed is None:
                return None
            path += "&force=true"
            status, answer = await self._exchange("PATCH", path, agreed, _APPLY)
        if status >= 400 or answer is None:
            raise _failure(status, "PATCH", path, answer or {})
        return answer

    async def annotate(self, plural: str, key: str, annotations: Mapping[str, str]) -> bool:
        """Whether it is there."""
        namespace, name = key.split("/")
        path = _path(names.API_VERSION, namespace, plural, name)
        body = {"metadata": {"annotations": dict(annotations)}}
        return await self._call("PATCH", path, body, _MERGE_PATCH, none_for=(404,)) is not None

    async def delete_resource(self, plural: str, key: str, uid: str) -> None:
        namespace, name = key.split("/")
        options = {"preconditions": {"uid": uid}}
        path = _path(names.API_VERSION, namespace, plural, name)
        await self._call("DELETE", path, options, none_for=(404, 409))

    async def list_jobs(self, namespace: str) -> list[Body]:
        return await self._list(_path(_JOBS, namespace, "jobs"), f"{names.COMPONENT}={names.COMPONENT_SYNC}")

    async def list_pods(self, namespace: str, job_uid: str = "") -> list[Body]:
        of_job = f",batch.kubernetes.io/controller-uid={job_uid}" if job_uid else ""
        return await self._list(_path("v1", namespace, "pods"), f"{names.COMPONENT}={names.COMPONENT_SYNC}{of_job}")

    async def _list(self, path: str, selector: str) -> list[Body]:
        found = await self._call("GET", f"{path}?{urlencode({'labelSelector': selector})}") or {}
        return list(found.get("items", ()))

    async def create_secret(self, manifest: Body) -> None:
        """One that exists already is left as it is."""
        namespace, _ = _place(manifest)
        await self._call("POST", _path("v1", namespace, "secrets"), manifest, none_for=(409,))

    async def delete_job(self, namespace: str, name: str) -> None:
        # Without a policy the API orphans a Job's pods.
        options = {"propagationPolicy": "Background"}
        await self._call("DELETE", _path(_JOBS, namespace, "jobs", name), options, none_for=(404,))

    async def record_event(self, manifest: Body) -> None:
        """In a namespace that is being deleted there is nothing to record."""
        namespace, _ = _place(manifest)
        try:
            await self._call("POST", _path("v1", namespace, "events"), manifest, none_for=(404, 409))
        except ClusterRefused as refused:
            if "is being terminated" not in str(refused):
                raise

    async def read_lease(self, namespace: str, name: str) -> Body | None:
        return await self._call("GET", _path(_LEASES, namespace, "leases", name), none_for=(404,))

    async def create_lease(self, manifest: Body) -> Body | None:
        """None where somebody was faster."""
        namespace, _ = _place(manifest)
        return await self._call("POST", _path(_LEASES, namespace, "leases"), manifest, none_for=(409,))

    async def replace_lease(self, manifest: Body) -> Body | None:
        """`manifest` as read, with its `metadata.resourceVersion`. None where somebody was faster or it is gone."""
        namespace, name = _place(manifest)
        return await self._call("PUT", _path(_LEASES, namespace, "leases", name), manifest, none_for=(404, 409))

    async def groups(self) -> frozenset[str]:
        """The plurals that the API server serves of our group: empty where the CRDs are not installed."""
        found = await self._call("GET", f"/apis/{names.API_VERSION}", none_for=(404,)) or {}
        return frozenset(resource["name"] for resource in found.get("resources", ()) if "/" not in resource["name"])

    async def _call(
        self, method: str, path: str, body: Body | None = None, kind: str = _JSON, *, none_for: tuple[int, ...] = ()
    ) -> Body | None:
        """The answer's object, or None for these statuses."""
        status, answer = await self._exchange(method, path, body, kind)
        if status in none_for:
            return None
        if status >= 400 or answer is None:
            raise _failure(status, method, path, answer or {})
        return answer

    async def _exchange(self, method: str, path: str, body: Body | None, kind: str) -> tuple[int, Body | None]:
        """The answer's status, and its object where it is one."""
        try:
            status, text = await self._send(method, path, body, kind)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterUnavailable(f"{method} {path}: {error or type(error).__name__}") from error
        return status, _object(text)

    async def _send(self, method: str, path: str, body: Body | None, kind: str) -> tuple[int, bytes]:
        """Below the library's typed calls: its authentication, token renewal, TLS and connections, our bodies."""
        serialized = await self._client.param_serialize(
            method,
            path,
            header_params={"Accept": _JSON, "Content-Type": kind},
            body=dict(body) if body is not None else None,
            auth_settings=["BearerToken"],
        )
        response = await self._client.call_api(*serialized, _request_timeout=_TIMEOUT)
        return response.status, await response.read()  # type: ignore[no-untyped-call]


def _is_proxied(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme in getproxies() and not proxy_bypass(address.hostname or "")


def _path(api_version: str, namespace: str, plural: str, name: str = "") -> str:
    root = "api" if "/" not in api_version else "apis"
    place = f"namespaces/{namespace}/{plural}" if namespace else plural
    return f"/{root}/{api_version}/{place}" + (f"/{name}" if name else "")


def _place(manifest: Body) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata["namespace"], metadata.get("name", "")


def _decoded(secret: Body) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


def _object(text: bytes) -> Body | None:
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _failure(status: int, method: str, path: str, answer: Body) -> ClusterUnavailable | ClusterRefused:
    said = str(answer.get("message") or "no reason given")
    if status == 403:
        # The API server's own sentence names the account, verb, resource and namespace.
        return ClusterRefused(f"The chart's RBAC must allow {_VERBS[method]} on {path}: {said}")
    if status in (401, 429) or status >= 500 or status < 400:
        return ClusterUnavailable(f"{method} {path} was answered {status}: {said}")
    return ClusterRefused(f"{method} {path} was answered {status}: {said}")
