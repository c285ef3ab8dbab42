"""The object behind a mark ref: a commit without files whose id depends on nothing but the mark's text."""

import hashlib

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SOMEBODY = "github-onedev-sync <github-onedev-sync> 0 +0000"


def mark_objects(text: str) -> tuple[tuple[str, bytes], ...]:
    """Type and content of the objects that the commit for `text` consists of, the commit last."""
    commit = f"tree {EMPTY_TREE}\nauthor {_SOMEBODY}\ncommitter {_SOMEBODY}\n\n{text}\n".encode()
    return (("tree", b""), ("commit", commit))


def mark_oid(text: str) -> str:
    kind, content = mark_objects(text)[-1]
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(content), content), usedforsecurity=False).hexdigest()
