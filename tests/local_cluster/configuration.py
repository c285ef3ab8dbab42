"""What each component of the node is started with.

The settings that a machine without systemd, with cgroup v1 or without CAP_SYS_RESOURCE needs are marked *bare*.
Configuration files are written as JSON, which every YAML reader reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .certificates import Authority
from .network import Network

PAUSE = "localhost/pause:1"
DOMAIN = "cluster.local"
_CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"


@dataclass(frozen=True)
class Layout:
    """The folders and files of the cluster `name`, its network, and the binaries in `programs`."""

    name: str
    root: Path
    network: Network
    programs: Path

    @property
    def node(self) -> str:
        return f"{self.name}-node"

    @property
    def cgroup(self) -> str:
        return f"github-onedev-sync-{self.name}"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def authority(self) -> Authority:
        return Authority(self.root / "certificates")

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.root / "containerd.sock"

    @property
    def server(self) -> str:
        return f"https://{self.network.node}:6443"

    def etc(self, name: str) -> Path:
        return self.root / "etc" / name


def write(layout: Layout) -> None:
    """Write certificates, kubeconfigs and configuration files; the folder must be new."""
    for folder in ("etc/net.d", "logs", "containerd", "kubelet", "log-pods"):
        (layout.root / folder).mkdir(parents=True)
    _write_certificates(layout)
    layout.etc("containerd.toml").write_text(_containerd(layout))
    layout.etc("net.d/10-pods.conflist").write_text(json.dumps(_cni(layout), indent=1))
    layout.etc("kubelet.yaml").write_text(json.dumps(_kubelet(layout), indent=1))
    layout.etc("kube-proxy.yaml").write_text(json.dumps(_proxy(layout), indent=1))
    layout.etc("Corefile").write_text(
        f".:53 {{\n  errors\n  ready 127.0.0.1:8181\n  cache 5\n"
        f"  kubernetes {DOMAIN} in-addr.arpa {{\n    kubeconfig {layout.etc('coredns.kubeconfig')} {layout.name}\n"
        f"  }}\n}}\n"
    )
    layout.etc("components.json").write_text(json.dumps(phases(layout), indent=1))


def _write_certificates(layout: Layout) -> None:
    network, authority = layout.network, Authority.create(layout.root / "certificates")
    api_names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_names += [f"kubernetes.default.svc.{DOMAIN}"]
    addresses = ("127.0.0.1", network.node, network.api_service)
    api = tuple(f"DNS:{name}" for name in api_names) + tuple(f"IP:{address}" for address in addresses)
    authority.sign("apiserver", "kube-apiserver", names=api)
    authority.sign("apiserver-kubelet", "kube-apiserver-kubelet-client", "system:masters")
    users = {
        "kube-controller-manager": ("system:kube-controller-manager", ""),
        "kube-scheduler": ("system:kube-scheduler", ""),
        "kube-proxy": ("system:kube-proxy", ""),
        "coredns": ("coredns", "system:masters"),
        "admin": ("admin", "system:masters"),
    }
    for name, (user, group) in users.items():
        authority.sign(name, user, group)
    served = (f"DNS:{layout.node}", f"IP:{network.node}")
    authority.sign("kubelet", f"system:node:{layout.node}", "system:nodes", names=served)
    for name in (*users, "kubelet"):
        path = layout.kubeconfig if name == "admin" else layout.etc(f"{name}.kubeconfig")
        authority.kubeconfig(path, name, layout.server, layout.name)


def phases(layout: Layout) -> list[dict[str, list[str]]]:
    """Command lines by component name, in groups that need the ones before them."""
    certificates, programs = layout.authority.folder, layout.programs

    def program(name: str, **options: object) -> list[str]:
        words = (f"--{key.replace('_', '-')}={value}" for key, value in options.items())
        return [str(programs / name), *words]

    etcd = program(
        "etcd", data_dir=layout.root / "etcd", log_level="warn", unsafe_no_fsync="true",
        listen_client_urls=_ETCD, advertise_client_urls=_ETCD, listen_peer_urls=_ETCD_PEER,
        initial_advertise_peer_urls=_ETCD_PEER, initial_cluster=f"default={_ETCD_PEER}",
    )  # fmt: skip
    api = program(
        "kube-apiserver", etcd_servers=_ETCD, advertise_address=layout.network.node, secure_port=6443,
        service_cluster_ip_range=layout.network.services, allow_privileged="true",
        authorization_mode="Node,RBAC", enable_admission_plugins="NodeRestriction",
        client_ca_file=certificates / "ca.crt", cert_dir=certificates,
        tls_cert_file=certificates / "apiserver.crt", tls_private_key_file=certificates / "apiserver.key",
        kubelet_certificate_authority=certificates / "ca.crt",
        kubelet_client_certificate=certificates / "apiserver-kubelet.crt",
        kubelet_client_key=certificates / "apiserver-kubelet.key",
        kubelet_preferred_address_types="InternalIP",
        service_account_issuer=f"https://kubernetes.default.svc.{DOMAIN}",
        service_account_key_file=certificates / "sa.pub", service_account_signing_key_file=certificates / "sa.key",
    )  # fmt: skip
    manager = program(
        "kube-controller-manager", kubeconfig=layout.etc("kube-controller-manager.kubeconfig"),
        leader_elect="false", use_service_account_credentials="true",
        service_account_private_key_file=certificates / "sa.key", root_ca_file=certificates / "ca.crt",
        cluster_signing_cert_file=certificates / "ca.crt", cluster_signing_key_file=certificates / "ca.key",
        cert_dir=certificates,
    )  # fmt: skip
    scheduler = program(
        "kube-scheduler", kubeconfig=layout.etc("kube-scheduler.kubeconfig"), leader_elect="false",
        cert_dir=certificates,
    )  # fmt: skip
    kubelet = program(
        "kubelet", config=layout.etc("kubelet.yaml"), kubeconfig=layout.etc("kubelet.kubeconfig"),
        root_dir=layout.root / "kubelet", hostname_override=layout.node, node_ip=layout.network.node,
    )  # fmt: skip
    return [
        {"etcd": etcd, "containerd": ["containerd", "--config", str(layout.etc("containerd.toml"))]},
        {"kube-apiserver": api},
        {
            "kube-controller-manager": manager,
            "kube-scheduler": scheduler,
            "kubelet": kubelet,
            "kube-proxy": program("kube-proxy", config=layout.etc("kube-proxy.yaml")),
            "coredns": [str(programs / "coredns"), "-conf", str(layout.etc("Corefile"))],
        },
    ]


def _kubelet(layout: Layout) -> dict[str, object]:
    certificates = layout.authority.folder
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,  # bare: cgroup v1
        "cgroupDriver": "cgroupfs",  # bare: no systemd
        "cgroupRoot": f"/{layout.cgroup}",  # two kubelets on one /kubepods remove each other's pods
        "maxOpenFiles": 20000,  # bare: the hard limit cannot be raised
        "oomScoreAdj": 0,  # bare: no CAP_SYS_RESOURCE
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": str(layout.root / "log-pods"),
        "volumePluginDir": str(layout.root / "kubelet" / "volume-plugins"),
        "tlsCertFile": str(certificates / "kubelet.crt"),
        "tlsPrivateKeyFile": str(certificates / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [layout.network.node],
        "clusterDomain": DOMAIN,
        "resolvConf": "",
        # The disk is shared with everything else on the machine: its fullness is not the cluster's to act upon.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "seccompDefault": True,
    }


def _proxy(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": layout.network.pods,
        "hostnameOverride": layout.node,
        "clientConnection": {"kubeconfig": str(layout.etc("kube-proxy.kubeconfig"))},
        # nf_conntrack_max cannot be set in a network namespace.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def _cni(layout: Layout) -> dict[str, object]:
    # ptp routes between pods instead of bridging them: no bridge-netfilter, no hairpin, whatever the machine has set.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": layout.network.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(layout.root / "cni"),
    }
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(layout: Layout) -> str:
    plugins = next((folder for folder in _CNI_PLUGINS if (Path(folder) / "ptp").exists()), _CNI_PLUGINS[0])
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{layout.root}/containerd"
state = "/run/containerd"

[grpc]
  address = "{layout.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{layout.root}/containerd/opt"

[{cri}]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE}"
  enable_selinux = false
  disable_apparmor = true

[{cri}.cni]
  bin_dir = "{plugins}"
  conf_dir = "{layout.etc("net.d")}"

[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""
