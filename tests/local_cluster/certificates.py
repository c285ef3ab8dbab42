"""A cluster's certificate authority and the certificates it signs, made with openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError

_DAYS = "3650"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Authority:
    """A folder of certificates: `NAME.crt` and `NAME.key`, all signed by `ca.crt`."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True, mode=0o700)
        made = cls(folder)
        _openssl(
            "req", "-x509", *_CURVE, "-days", _DAYS, "-subj", "/CN=kubernetes",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
            "-keyout", str(made.key("ca")), "-out", str(made.certificate("ca")),
        )  # fmt: skip
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(made.key("sa")))
        _openssl("pkey", "-in", str(made.key("sa")), "-pubout", "-out", str(folder / "sa.pub"))
        return made

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def sign(self, name: str, user: str, group: str = "", names: tuple[str, ...] = ()) -> None:
        """A certificate for `user` in `group`; with `names` (`DNS:…`, `IP:…`) it also serves under these."""
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        usage = "clientAuth,serverAuth" if names else "clientAuth"
        extensions = [
            "basicConstraints=critical,CA:FALSE",
            "keyUsage=critical,digitalSignature",
            f"extendedKeyUsage={usage}",
        ]
        extensions += [f"subjectAltName={','.join(names)}"] if names else []
        request, wanted = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        wanted.write_text("\n".join(extensions) + "\n")
        _openssl("req", "-new", *_CURVE, "-subj", subject, "-keyout", str(self.key(name)), "-out", str(request))
        _openssl(
            "x509", "-req", "-in", str(request), "-days", _DAYS, "-CAcreateserial", "-extfile", str(wanted),
            "-CA", str(self.certificate("ca")), "-CAkey", str(self.key("ca")), "-out", str(self.certificate(name)),
        )  # fmt: skip
        request.unlink()
        wanted.unlink()

    def kubeconfig(self, path: Path, name: str, server: str, cluster: str) -> None:
        """Write a kubeconfig for the user of certificate `name`; everything is in the one file (JSON is YAML)."""

        def encoded(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        authority = encoded(self.certificate("ca"))
        user = {
            "client-certificate-data": encoded(self.certificate(name)),
            "client-key-data": encoded(self.key(name)),
        }
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": name}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1) + "\n")


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"openssl {words[0]} failed", done.stderr.strip(), "openssl 3.0 or later")
