"""The mirrors of a sync, as manifests for server-side apply: the controller and the webhook pod make the same ones.

Each sync applies with a field manager of its own, and says nothing of fields that are not its own:

- A mirror that it made, it *holds*: the settings are the sync's, and the label `github-onedev-sync.io/sync` says so.
- One that a person wrote, or that another sync holds, it only *covers*: with a label, and nothing else.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from . import mirror, names
from .mirror import DeletionPolicy, RepositoryMirror
from .model import show_time
from .observed import ListedRepository
from .sync import OnUnstar, ReposSync

Manifest = dict[str, Any]

MANAGED_BY = "app.kubernetes.io/managed-by"


def is_held(known: RepositoryMirror) -> bool:
    """Whether a sync made it, be it gone now."""
    return known.metadata.labels.get(MANAGED_BY) == names.FIELD_MANAGER


def holder_of(known: RepositoryMirror) -> str:
    """The `item` of the sync whose settings it has, empty where a person wrote it."""
    return known.metadata.labels.get(names.SYNC, "") if is_held(known) else ""


def repository_id(known: RepositoryMirror) -> int | None:
    """GitHub's id of its repository, None where nobody has asked yet."""
    if known.status.source is not None:
        return known.status.source.id
    label = known.metadata.labels.get(names.REPOSITORY_ID, "") if is_held(known) else ""
    return int(label) if label.isdecimal() else None


def project_of(known: RepositoryMirror) -> str:
    """Its OneDev path below the server's rootProject."""
    return known.spec.target.project or names.project_path(known.spec.source.repository)


def covers(sync: ReposSync, known: RepositoryMirror) -> bool:
    return _key(sync) in known.metadata.labels


def name_of(sync: ReposSync, repository: ListedRepository, known: RepositoryMirror | None = None) -> str:
    if known is not None:
        return known.metadata.name
    return names.mirror_name(repository.full_name, repository.id, sync.settings.source.api_url)


def unstarred_at(sync: ReposSync, known: RepositoryMirror) -> datetime | None:
    """Since when the sync knows that its repository is not among its own any more."""
    try:
        found = datetime.fromisoformat(known.metadata.annotations.get(_key(sync), ""))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def held(
    sync: ReposSync,
    repository: ListedRepository,
    known: RepositoryMirror | None = None,
    *,
    cascade: bool | None = None,
    gone_since: datetime | None = None,
    policy: DeletionPolicy | None = None,
) -> Manifest:
    """The mirror with the sync's settings. Of one that is `known` the name and the OneDev project stay.

    `cascade` is whether it goes with the sync (by itself: where un-starring deletes it), `gone_since` when its
    repository was first seen to be un-starred, and `policy` what becomes of its OneDev project when it is deleted.
    """
    spec, template = sync.settings, sync.settings.project_template
    if cascade is None:
        cascade = spec.on_unstar is OnUnstar.DELETE
    manifest = _covering(sync, name_of(sync, repository, known), cascade, gone_since)
    manifest["metadata"]["labels"] |= {
        names.REPOSITORY_ID: str(repository.id),
        names.SYNC: sync.item,
        MANAGED_BY: names.FIELD_MANAGER,
    }
    settings = spec.template.plain()
    settings["target"]["project"] = project_of(known) if known else names.project_of(template, repository.full_name)
    access = spec.source.plain()
    manifest["spec"] = {**settings, "source": {"repository": repository.full_name, **access}}
    if policy is not None:
        manifest["spec"]["deletionPolicy"] = policy.value
        # At once, or the mirror would be gone before the controller has put it there.
        manifest["metadata"]["finalizers"] = [names.FINALIZER]
    return _signed(sync, manifest)


def covered(
    sync: ReposSync,
    known: RepositoryMirror,
    *,
    cascade: bool = False,
    gone_since: datetime | None = None,
) -> Manifest:
    """Only that the sync covers it; no word on the mirror's settings."""
    return _signed(sync, _covering(sync, known.metadata.name, cascade, gone_since))


def word_on(sync: ReposSync, known: RepositoryMirror) -> str | None:
    """The digest of what the sync last applied to a mirror: what a person changed since then stays."""
    return known.metadata.labels.get(_key(sync))


def word_in(sync: ReposSync, manifest: Manifest) -> str:
    """The digest of a manifest of the sync, to compare with `word_on`."""
    return str(manifest["metadata"]["labels"][_key(sync)])


def released(sync: ReposSync, known: RepositoryMirror) -> Manifest:
    """The sync lets go of a mirror that stays: of its label, and where it held it of nothing but the word that it does,
    for without settings there is no mirror."""
    if holder_of(known) != sync.item:
        return _manifest(sync, known.metadata.name, {})
    kept = (names.REPOSITORY_ID, MANAGED_BY)
    labels = {label: value for label, value in known.metadata.labels.items() if label in kept}
    spec = known.spec.plain()
    return {**_manifest(sync, known.metadata.name, {"labels": labels}), "spec": spec}


def _covering(sync: ReposSync, name: str, cascade: bool, gone_since: datetime | None) -> Manifest:
    key = _key(sync)
    metadata: Manifest = {"labels": {key: ""}}
    if gone_since is not None:
        metadata["annotations"] = {key: show_time(gone_since)}
    if cascade:
        metadata["ownerReferences"] = [
            {
                "apiVersion": names.API_VERSION,
                "kind": sync.kind,
                "name": sync.metadata.name,
                "uid": sync.metadata.uid,
                "blockOwnerDeletion": False,
            }
        ]
    return _manifest(sync, name, metadata)


def _key(sync: ReposSync) -> str:
    return names.covered_by(sync.short, sync.metadata.name)


def _signed(sync: ReposSync, manifest: Manifest) -> Manifest:
    """With a digest of the whole as the value of the covering label, by which a later one is found to be the same."""
    key = _key(sync)
    labels = manifest["metadata"]["labels"]
    labels[key] = ""
    labels[key] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:8]
    return manifest


def _manifest(sync: ReposSync, name: str, metadata: Manifest) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": mirror.KIND,
        "metadata": {"name": name, "namespace": sync.metadata.namespace, **metadata},
    }
