"""An image of one file, written without any engine (OCI image layout 1.0 as a tar archive)."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

_TYPE = "application/vnd.oci.image"


def write_single_file_image(archive: Path, reference: str, program: Path, architecture: str) -> None:
    """Write to `archive` an image named `reference` that holds and runs nothing but `program` (static)."""
    layer_bytes = _tar({"pause": (program.read_bytes(), 0o755)})
    layer = _blob(f"{_TYPE}.layer.v1.tar", layer_bytes)
    config_bytes = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
    )
    config = _blob(f"{_TYPE}.config.v1+json", config_bytes)
    manifest_bytes = _json(
        {"schemaVersion": 2, "mediaType": f"{_TYPE}.manifest.v1+json", "config": config, "layers": [layer]}
    )
    manifest = _blob(f"{_TYPE}.manifest.v1+json", manifest_bytes)
    index = {
        "schemaVersion": 2,
        "manifests": [manifest | {"annotations": {"org.opencontainers.image.ref.name": reference}}],
    }
    blobs = (layer_bytes, config_bytes, manifest_bytes)
    files = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": (blob, 0o644) for blob in blobs}
    files["oci-layout"] = (_json({"imageLayoutVersion": "1.0.0"}), 0o644)
    files["index.json"] = (_json(index), 0o644)
    archive.write_bytes(_tar(files))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _blob(media_type: str, content: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": digest, "size": len(content)}


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
