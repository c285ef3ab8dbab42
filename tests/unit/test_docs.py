"""The page of each kind names every field of its CRD, with its type and default, and every reason it can show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_onedev_sync.api import duration
from github_onedev_sync.api.conditions import ConditionType, Reason

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    "onedevservers": "onedevserver.md",
    "repositorymirrors": "repositorymirror.md",
    "starredrepossyncs": "starredrepossync.md",
    "ownedrepossyncs": "ownedrepossync.md",
}
SYNCS = (PAGES["starredrepossyncs"], PAGES["ownedrepossyncs"])
# Those that no mirror has.
OF_SYNCS = {
    Reason.USER_NOT_FOUND,
    Reason.INVALID_EXPRESSION,
    Reason.EXPRESSION_TOO_COSTLY,
    Reason.PROJECT_COLLISION,
    Reason.MIRROR_REFUSED,
}
# Told on one page for all: metav1.Condition is Kubernetes' own, and a template is a mirror's spec.
ELSEWHERE = ("status.conditions[]", "spec.template.")

Field = dict[str, Any]


def fields(plural: str) -> dict[str, tuple[Field, bool]]:
    """Every field that a page must have a row for, and whether it is required."""
    schema = yaml.safe_load((ROOT / "crds" / f"{plural}.yaml").read_text())["spec"]["versions"][0]["schema"]
    found: dict[str, Any] = {}
    for part in ("spec", "status"):
        below = walk(schema["openAPIV3Schema"]["properties"][part], f"{part}.")
        found |= {path: told for path, *told in below if not path.startswith(ELSEWHERE)}
    return {path: (field, required) for path, (field, required) in found.items()}


def walk(schema: Field, path: str) -> Iterator[tuple[str, Field, bool]]:
    for name, field in schema["properties"].items():
        yield f"{path}{name}", field, name in schema.get("required", ())
        inner, below = field, f"{path}{name}."
        if field["type"] == "array":
            inner, below = field["items"], f"{path}{name}[]."
        if inner["type"] == "object":
            yield from walk(inner, below)


def rows(page: str) -> dict[str, list[str]]:
    """The tables of a page: the first cell without its ticks, then the others."""
    found = {}
    for line in (DOCS / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            found[cells[0].strip("`")] = cells[1:]
    return found


def type_in_words(field: Field) -> str:
    if field["type"] == "array":
        return {"string": "list of strings"}.get(field["items"]["type"], "list of objects")
    if field.get("format") == "date-time":
        return "time"
    return "duration" if field.get("pattern") == duration.PATTERN else str(field["type"])


def default_in_words(field: Field, required: bool) -> str:
    if required:
        return "required"
    if "default" not in field:
        return "none"
    default = field["default"]
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


@pytest.mark.parametrize("plural", PAGES)
def test_every_field_has_a_row_and_every_row_a_field(plural: str) -> None:
    told = {name for name in rows(PAGES[plural]) if re.match(r"(spec|status)\.[a-z]", name)}
    assert told == set(fields(plural))


@pytest.mark.parametrize("plural", PAGES)
def test_types_and_defaults_are_those_of_the_crd(plural: str) -> None:
    told = rows(PAGES[plural])
    for path, (field, required) in fields(plural).items():
        expected = "list of conditions" if path == "status.conditions" else type_in_words(field)
        assert told[path][0] == expected, path
        # An object's default is that of its fields: the page says it in words.
        if path.startswith("spec.") and (field["type"] != "object" or required):
            assert told[path][1] == default_in_words(field, required), path
        if path.startswith("spec.") and field["type"] != "object" and path != "spec.lfs":
            assert told[path][2], f"{path} has no example"


@pytest.mark.parametrize("plural", PAGES)
def test_every_word_of_an_enum_is_told(plural: str) -> None:
    text = (DOCS / PAGES[plural]).read_text()
    for path, (field, _) in fields(plural).items():
        for word in field.get("enum", ()):
            assert f"`{word}`" in text, f"{path}: {word}"


def test_every_reason_and_condition_is_told() -> None:
    reasons = {name for page in PAGES.values() for name, cells in rows(page).items() if len(cells) >= 2}
    assert set(Reason) - reasons == set()
    mirror = rows("repositorymirror.md")
    assert set(ConditionType) - mirror.keys() == set()
    assert set(Reason) - mirror.keys() == OF_SYNCS
    for page in SYNCS:
        assert rows(page).keys() >= OF_SYNCS


def test_both_pages_of_syncs_say_the_same() -> None:
    """But for what only one of them has, and for what a link leads to."""
    stars, own = (
        {name: [re.sub(r"\]\([^)]*\)", "]", cell) for cell in cells] for name, cells in rows(page).items()}
        for page in SYNCS
    )
    alike = stars.keys() & own.keys() - {
        "spec.onUnstar",
        "SourceAuthenticationFailed",
        "InvalidSpec",
        "template.target.project",
    }
    assert {name: stars[name] for name in alike} == {name: own[name] for name in alike}
    only = {name for name in stars.keys() ^ own.keys() if re.match(r"(spec|status)\.|[A-Z]\w+$", name)}
    assert only == {"spec.user", "spec.owner", "spec.filter.lists", "NotSupported"}


@pytest.mark.parametrize("page", PAGES.values())
def test_words_that_look_like_reasons_are_reasons(page: str) -> None:
    lines = (DOCS / page).read_text().partition("## Conditions")[2].splitlines()
    heads = {line.split("`")[1] for line in lines if line.startswith("| `") and line.count("|") >= 4}
    assert heads <= set(Reason)


def headings(page: str) -> set[str]:
    found = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES.values())
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (DOCS / page).read_text()):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = name or page
            assert (DOCS / target).is_file(), link
            assert not anchor or anchor in headings(target), link


@pytest.mark.parametrize("plural", PAGES)
def test_quoted_refusals_are_the_crd_s_words(plural: str) -> None:
    section = (DOCS / PAGES[plural]).read_text().partition("## What is refused at once")[2]
    crd = " ".join((ROOT / "crds" / f"{plural}.yaml").read_text().split())
    for line in section.splitlines():
        if line.startswith("| ") and not line.startswith("| What"):
            for words in line.strip("|").split("|")[1].split("(…)"):
                assert words.strip() in crd


def test_the_place_that_messages_name_is_there() -> None:
    assert "adopt" in headings("repositorymirror.md")


@pytest.mark.parametrize("page", PAGES.values())
def test_manifests_in_the_pages_are_yaml_of_that_kind(page: str) -> None:
    manifests = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert manifests
    for text in manifests:
        assert yaml.safe_load(text)["kind"].lower() == page.removesuffix(".md")
