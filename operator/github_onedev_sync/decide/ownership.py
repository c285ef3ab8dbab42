"""Whether a OneDev project is this mirror's to write to."""

from ..api.conditions import Reason
from ..api.errors import Stalled
from ..api.identity import Mark, mark_in_description, marks_in_refs
from ..api.observed import TargetProject
from ..api.refs import Listing

ADOPT = "docs/repositorymirror.md#adopt"


def check_ownership(project: TargetProject, refs: Listing, ours: Mark, approved: str) -> None:
    """Raises `Stalled` unless the project carries our mark.

    The description decides, because a person can read and change it; where it says nothing, the ref does. A mark of
    this mirror with another GitHub id passes only with a person's approval of the new id.
    """
    described = mark_in_description(project.description)
    if described == ours:
        return
    if described is not None:
        if described.same_mirror(ours):
            check_identity(described.repository_id, ours.repository_id, project.path, approved)
            return
        raise Stalled(
            Reason.TARGET_NOT_OURS,
            f"OneDev project {project.path} belongs to mirror {described.mirror} "
            f"({described.host} repository {described.repository_id}). Set another spec.target.project, "
            f"or hand the project over: {ADOPT}",
        )
    if ours.ref in marks_in_refs(refs.refs):
        return
    holds = "holds commits that this mirror did not write" if refs.refs else "was not made by this mirror"
    raise Stalled(
        Reason.TARGET_NOT_OURS,
        f"OneDev project {project.path} {holds}. Rename it, or set spec.target.project, or adopt it by adding "
        f'the line "{ours.line}" to its description: {ADOPT}',
    )


def check_identity(pinned: int | None, seen: int, name: str, approved: str) -> None:
    """Raises `Stalled` where the name now leads to another repository than the one first mirrored."""
    if pinned is None or pinned == seen or approved == str(seen):
        return
    raise Stalled(
        Reason.IDENTITY_CHANGED,
        f'"{name}" is now another repository (id {seen} instead of {pinned}). Nothing was written. '
        f"Approve with the annotation github-onedev-sync.io/approve={seen}",
    )
