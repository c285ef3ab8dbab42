"""What the cluster's commands say when they cannot go on."""

from __future__ import annotations


class ClusterError(Exception):
    """A trouble that the user can act on: what is wrong, why, and the command or setting that helps."""

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix

    def __str__(self) -> str:
        lines = [f"error: {self.what}"]
        lines += [f"  why: {self.why}"] if self.why else []
        lines += [f"  fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)
