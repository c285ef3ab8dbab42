"""The operator's image and the stand-ins' image: built by whatever is there, only when what they hold has changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import engines, tools
from .base_image import base_image
from .errors import ClusterError
from .places import CHECKOUT, Say, cache_root, locked

_COMMON = ("Containerfile", "requirements.txt")
_OPERATOR = (*_COMMON, "operator/github_onedev_sync")
_STAND_INS = (*_COMMON, "tests/__init__.py", "tests/stand_ins")
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Image:
    """An image in an archive; pods name it by `reference` with imagePullPolicy Never or IfNotPresent."""

    reference: str
    archive: Path


def version() -> str:
    source = (CHECKOUT / "operator/github_onedev_sync/__init__.py").read_text()
    found = re.search(r'__version__ = "([^"]+)"', source)
    if found is None:
        raise ClusterError("no __version__ in operator/github_onedev_sync/__init__.py", "", "restore the file")
    return found[1]


def operator_image() -> Image:
    return _image("github-onedev-sync")


def stand_ins_image() -> Image:
    return _image("github-onedev-sync-stand-ins")


def build(say: Say) -> list[Image]:
    """Build both images unless they are up to date; returns them, the operator's first."""
    with locked(cache_root() / "images.lock", lambda: say("waiting for another build of the images")):
        return [
            _build(operator_image(), "operator", _OPERATOR, say),
            _build(stand_ins_image(), "stand-ins", _STAND_INS, say),
        ]


def _image(name: str) -> Image:
    # localhost/ says that no registry has it: engines and the kubelet leave such a name as it is.
    return Image(f"localhost/{name}:{version()}", cache_root() / "images" / f"{name}.tar")


def _build(image: Image, target: str, inputs: tuple[str, ...], say: Say) -> Image:
    files = list(_files(inputs))
    wanted = {"reference": image.reference, "inputs": _digest(files)}
    stamp = image.archive.with_suffix(".json")
    if image.archive.exists() and stamp.exists() and json.loads(stamp.read_text()) == wanted:
        say(f"{image.reference} is up to date")
        return image
    began = time.monotonic()
    engine = _engine(say)
    base = base_image(engine, say)
    image.archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=image.archive.parent) as temporary:
        context, part = Path(temporary) / "context", Path(temporary) / "image.tar"
        # The context holds what was hashed and nothing else.
        for file in files:
            copy = context / file.relative_to(CHECKOUT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
        options = ["--build-arg", f"BASE_IMAGE={base}", "--build-arg", f"VERSION={version()}", "--target", target]
        engines.run(*_build_command(engine), *options, "--file", str(context / "Containerfile"),
                    "--tag", image.reference, str(context))  # fmt: skip
        engines.run(*_save_command(engine, image.reference, part))
        part.replace(image.archive)
    stamp.write_text(json.dumps(wanted))
    size = image.archive.stat().st_size / _MEGABYTE
    say(f"{image.reference}, {size:.0f} MB unpacked … {time.monotonic() - began:.0f} s")
    return image


def _files(inputs: tuple[str, ...]) -> Iterator[Path]:
    for name in inputs:
        path = CHECKOUT / name
        if not path.exists():
            raise ClusterError(f"{name} is missing", "the image is made of it", "restore it from git")
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and _belongs(file))


def _belongs(file: Path) -> bool:
    """Byte code and the tests of the stand-ins themselves stay outside."""
    return "__pycache__" not in file.parts and not file.name.startswith("test_") and file.name != "conftest.py"


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(CHECKOUT)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _engine(say: Say) -> str:
    engine = engines.for_building()
    if engine is None:
        tools.install(tools.IMAGE_TOOLS, say)
        engines.answers.cache_clear()
        engine = engines.for_building()
    if engine is None:
        raise ClusterError("no image can be built", "neither docker, podman nor buildah works here", "install one")
    return engine


def _build_command(engine: str) -> list[str]:
    if engine == "docker":
        return ["docker", "build"]
    # Where the network path has a certificate authority of its own, pip in the build needs to know it as it does
    # outside; mounted, it stays out of the image.
    mounts = []
    if _CA_BUNDLE.exists():
        mounts += ["--volume", f"{_CA_BUNDLE}:{_CA_BUNDLE}:ro"]
    configuration = Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))
    if configuration.is_file():
        mounts += ["--volume", f"{configuration}:/etc/pip.conf:ro"]
    return [engine, "build", "--layers", "--network", "host", *mounts]


def _save_command(engine: str, reference: str, archive: Path) -> list[str]:
    match engine:
        case "docker":
            return ["docker", "save", "--output", str(archive), reference]
        case "podman":
            return ["podman", "save", "--output", str(archive), reference]
    # Uncompressed: compressing takes longer than everything else, and the way to the node is short.
    return ["buildah", "push", "--quiet", reference, f"docker-archive:{archive}:{reference}"]
