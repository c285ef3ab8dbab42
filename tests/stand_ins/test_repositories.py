"""The start-up histories are the same every time and what they promise to be."""

from pathlib import Path

from . import repositories
from .conftest import Git
from .processes import run_git


def refs(path: Path) -> dict[str, str]:
    lines = run_git(path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


def test_twice_the_same(histories: Path, tmp_path: Path) -> None:
    for path in repositories.write(tmp_path):
        assert refs(path) == refs(histories / path.name)
        assert run_git(path, "fsck", "--full", "--strict", "--no-dangling").strip() == ""


def test_contents(histories: Path) -> None:
    assert refs(histories / "empty.git") == {}
    assert list(refs(histories / "one-commit.git")) == ["refs/heads/main"]
    many = refs(histories / "many-refs.git")
    assert sum(name.startswith("refs/heads/topic/") for name in many) == repositories.MANY
    assert sum(name.startswith("refs/tags/") for name in many) == repositories.MANY
    odd = refs(histories / "odd-refs.git")
    assert {f"refs/tags/{name}" for name in repositories.TROUBLESOME_TAGS} <= odd.keys()
    kinds = {name: run_git(histories / "odd-refs.git", "cat-file", "-t", oid) for name, oid in odd.items()}
    assert kinds["refs/tags/light-tree"] == "tree"
    assert kinds["refs/tags/v1.0-signed-off"] == "tag"


def test_directory_and_file(tmp_path: Path) -> None:
    path = tmp_path / "nested.git"
    repositories.nested(path)
    before = refs(path)
    repositories.switch_to_nested(path)
    assert refs(path).keys() == {"refs/heads/main", "refs/heads/x/y"}
    repositories.switch_to_flat(path)
    assert refs(path) == before


async def test_big_does_not_compress(git: Git, tmp_path: Path) -> None:
    path = tmp_path / "big.git"
    repositories.big(path, blobs=4)
    assert (await git("clone", "--quiet", "--bare", f"file://{path}", "copy.git")).returncode == 0
    packs = sum(file.stat().st_size for file in (tmp_path / "copy.git" / "objects" / "pack").glob("*.pack"))
    assert packs > 4 * repositories.BLOB_BYTES
