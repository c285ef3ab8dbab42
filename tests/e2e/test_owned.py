"""All that somebody owns is mirrored: a user's, an organisation's, and what a GitHub App was given."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .conftest import MakeWorld
from .fan import Fan
from .world import World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]


@pytest.fixture(scope="module")
def estate(make_world: MakeWorld) -> World:
    return make_world("estate")


def own(world: World, *repositories: str, **metadata: object) -> None:
    for repository in repositories:
        world.github.act("create_repository", repository=repository, **metadata)
        world.github.act("commit", repository=repository, branch="main", files={"file": repository})


def test_what_an_organisation_owns_until_it_gives_it_away(estate: World) -> None:
    estate.github.act("declare_user", login="acme", organization=True)
    own(estate, "acme/keeps", "acme/gives-away")
    own(estate, "acme/old", archived=True)
    fan = Fan.of(estate, "buyer", kind="ors")
    wanted: dict[str, Any] = {"owner": "acme", "filter": {"archived": "Exclude"}}
    fan.sync(onUnstar="Delete", unstarGracePeriod="0s", maxPrunePercent=100, **wanted)
    fan.wait_mirrors("keeps", "gives-away")
    status = fan.wait_ready()
    assert status["account"]["login"] == "acme"
    assert (status["stars"]["found"], status["stars"]["matched"]) == (3, 2)
    estate.github.act("rename_repository", repository="acme/gives-away", to="rival/gives-away")
    fan.ask()
    fan.ask()
    fan.wait_mirrors("keeps")
    estate.github.act("delete_repository", repository="acme/keeps")  # which is no reason to lose its mirror
    fan.ask()
    fan.ask()
    assert fan.mirrors().keys() == {"keeps"}
    assert not fan.marks()


def test_what_a_user_owns_private_ones_included(estate: World) -> None:
    fan = Fan.of(estate, "hermit", kind="ors")
    own(estate, "hermit/open")
    own(estate, "hermit/hidden", private=True)
    fan.sync(owner="hermit")
    fan.wait_mirrors("open", "hidden")
    own(estate, "hermit/newer")
    fan.ask()
    fan.wait_mirrors("open", "hidden", "newer")


def test_private_repositories_through_a_github_app(estate: World) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own(estate, "firm/secret", "firm/more", "firm/not-given", private=True)
    given = ["firm/secret"]
    estate.github.act("add_app", app_id="17", public_key=public.decode(), installation_id=4711, repositories=given)
    fan = Fan(estate, "app", kind="ors", suspended=False)
    estate.secret(fan.name, {"appID": b"17", "installationID": b"4711", "privateKey": private})
    fan.sync()
    fan.wait_mirrors("secret")
    mirror = fan.mirrors()["secret"]["metadata"]["name"]
    estate.wait_ready(mirror)
    estate.wait_synced(mirror, "firm/secret")
    estate.github.act("add_repository_to_installation", installation_id=4711, repository="firm/more")
    fan.ask()
    fan.wait_mirrors("secret", "more")
    assert fan.wait_ready()["account"]["login"] == "firm"
    estate.github.act("uninstall_app", installation_id=4711)
    estate.ask(fan.name, kind=fan.kind)
    fan.wait_failed("SourceAuthenticationFailed", "installation")
    assert fan.mirrors().keys() == {"secret", "more"}
    eventually("the mirrors are as they were", lambda: not fan.marks())


def test_bad_owners_and_repositories_of_others_are_named(estate: World) -> None:
    fan = Fan.of(estate, "mistaken", kind="ors")
    fan.sync(owner="no-such-owner")
    fan.wait_failed("UserNotFound", "no-such-owner", "spec.owner")
