"""The parts of the local cluster that need no cluster."""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import subprocess
import tarfile
from pathlib import Path

import pytest

from . import choice, engines, network
from .certificates import Authority
from .choice import choose
from .errors import ClusterError
from .kind import KindCluster
from .named import NamedCluster
from .node import NodeCluster
from .oci import write_single_file_image
from .places import cache_root, state_root


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBECONFIG_FOR_TESTS", raising=False)
    monkeypatch.delenv(choice.WAY, raising=False)


def engine(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    monkeypatch.setattr(engines, "for_kind", lambda: name)


def test_the_named_cluster_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, "docker")
    monkeypatch.setenv("KUBECONFIG_FOR_TESTS", "/somewhere")
    said: list[str] = []
    assert isinstance(choose("tests", said.append), NamedCluster)
    assert said == ["using the cluster of KUBECONFIG_FOR_TESTS=/somewhere"]


@pytest.mark.parametrize(
    ("answering", "way", "expected"),
    [
        ("docker", "", KindCluster),
        ("podman", "", KindCluster),
        (None, "", NodeCluster),
        ("docker", "node", NodeCluster),
        ("docker", "kind", KindCluster),
    ],
)
def test_the_way_that_is_chosen(
    monkeypatch: pytest.MonkeyPatch, answering: str | None, way: str, expected: type
) -> None:
    engine(monkeypatch, answering)
    monkeypatch.setenv(choice.WAY, way)
    said: list[str] = []
    assert isinstance(choose("tests", said.append), expected)
    assert len(said) == 1


def test_a_cluster_stays_the_way_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, "docker")
    (state_root() / "demo").mkdir(parents=True)
    (state_root() / "demo" / "slot").write_text("0")
    assert isinstance(choose("demo", lambda _: None), NodeCluster)


@pytest.mark.parametrize(
    ("name", "way"), [("Demo", ""), ("a b", ""), ("x" * 31, ""), ("demo", "minikube"), ("demo", "kind")]
)
def test_a_wrong_choice_names_its_remedy(monkeypatch: pytest.MonkeyPatch, name: str, way: str) -> None:
    engine(monkeypatch, None)
    monkeypatch.setenv(choice.WAY, way)
    with pytest.raises(ClusterError) as refused:
        choose(name, lambda _: None)
    assert str(refused.value).startswith("error: ")
    assert "\n  fix: " in str(refused.value)


def test_a_relative_folder_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert cache_root() == Path.home() / ".cache" / "github-onedev-sync"


def test_addresses_of_two_clusters_do_not_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        network, "_routes", lambda: [{"dst": "default"}, {"dst": "10.201.7.0/24"}, {"dst": "192.0.2.1"}]
    )
    first, second = network.free(taken=[]), network.free(taken=[0])
    assert (first.slot, second.slot) == (0, 2)
    for each in (first, second):
        parts = [ipaddress.IPv4Network(part) for part in (each.pods, each.services, f"{each.node}/32")]
        assert all(part.subnet_of(each.whole) for part in parts)
        assert not any(a.overlaps(b) for a in parts for b in parts if a is not b)
        assert len(each.link) <= 15
    assert not first.whole.overlaps(second.whole)


def test_certificates_are_signed_and_name_whom_they_serve(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "certificates")
    authority.sign("server", "kube-apiserver", names=("DNS:kubernetes.default", "IP:10.200.128.1"))
    checked = ["openssl", "verify", "-purpose", "sslserver", "-verify_ip", "10.200.128.1", "-CAfile"]
    subprocess.run(
        [*checked, authority.certificate("ca"), authority.certificate("server")], check=True, capture_output=True
    )
    context = ssl.create_default_context(cafile=str(authority.certificate("ca")))
    context.load_cert_chain(authority.certificate("server"), authority.key("server"))
    assert authority.folder.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_is_complete_and_private(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "certificates")
    authority.sign("admin", "admin", "system:masters")
    authority.kubeconfig(tmp_path / "kubeconfig", "admin", "https://10.200.0.2:6443", "demo")
    content = json.loads((tmp_path / "kubeconfig").read_text())
    assert content["current-context"] == "demo"
    assert content["users"][0]["user"].keys() == {"client-certificate-data", "client-key-data"}
    assert os.stat(tmp_path / "kubeconfig").st_mode & 0o077 == 0


def test_the_image_of_one_file_is_an_oci_layout(tmp_path: Path) -> None:
    (tmp_path / "pause").write_bytes(b"program")
    write_single_file_image(tmp_path / "pause.tar", "localhost/pause:1", tmp_path / "pause", "amd64")
    with tarfile.open(tmp_path / "pause.tar") as archive:
        names = set(archive.getnames())
        index = json.load(archive.extractfile("index.json") or pytest.fail("no index"))
    (manifest,) = index["manifests"]
    assert f"blobs/sha256/{manifest['digest'].removeprefix('sha256:')}" in names
    assert manifest["annotations"] == {"org.opencontainers.image.ref.name": "localhost/pause:1"}
