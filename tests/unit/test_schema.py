"""The CRDs in `crds/` and the pydantic views in `api/` say the same, field by field and in both directions."""

import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.fields import FieldInfo

from github_onedev_sync.api import duration, mirror, names, owned, server, starred
from github_onedev_sync.api.model import Condition, View, field_name

CRDS = Path(__file__).parents[2] / "crds"
VIEWS: dict[str, type[View]] = {
    server.PLURAL: server.OneDevServer,
    mirror.PLURAL: mirror.RepositoryMirror,
    starred.PLURAL: starred.StarredReposSync,
    owned.PLURAL: owned.OwnedReposSync,
}
PARTS = [(plural, part) for plural in VIEWS for part in ("spec", "status")]
REQUIRED = "(required)"


@dataclass(frozen=True)
class Leaf:
    """What both sides can say of one field: `default` as a manifest would spell it, or REQUIRED, or None."""

    type: str
    enum: tuple[str, ...] = ()
    default: Any = None


def load(plural: str) -> dict[str, Any]:
    crd: dict[str, Any] = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return crd


def schema_of(plural: str) -> dict[str, Any]:
    schema: dict[str, Any] = load(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema with its path, such as `spec.refs.include[]`."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from walk(field, f"{path}{name}.")
    if "items" in schema:
        yield f"{path.removesuffix('.')}[]", schema["items"]
        yield from walk(schema["items"], f"{path.removesuffix('.')}[].")


ALL_FIELDS = [(plural, path, field) for plural in VIEWS for path, field in walk(schema_of(plural))]


# --- the schema's side


def filled(schema: dict[str, Any], value: Any) -> Any:
    """`value` after the API server has filled in the defaults below it."""
    if schema["type"] != "object":
        return value
    known = {**value}
    for name, field in schema["properties"].items():
        if name not in known and "default" in field:
            known[name] = field["default"]
        if name in known:
            known[name] = filled(field, known[name])
    return known


def schema_type(field: dict[str, Any]) -> str:
    if field.get("pattern") == duration.PATTERN:
        return "duration"
    return str(field.get("format") if field.get("format") == "date-time" else field["type"])


def schema_leaves(schema: dict[str, Any], path: str) -> dict[str, Leaf]:
    leaves: dict[str, Leaf] = {}
    for name, field in schema["properties"].items():
        default = filled(field, field["default"]) if "default" in field else None
        if name in schema.get("required", ()):
            default = REQUIRED
        leaves[path + name] = Leaf(schema_type(field), tuple(field.get("enum", ())), as_compared(field, default))
        inner = field
        while inner["type"] == "array":
            inner = inner["items"]
            path_of_items = f"{path}{name}[]"
            leaves[path_of_items] = Leaf(schema_type(inner), tuple(inner.get("enum", ())))
        if inner["type"] == "object":
            leaves |= schema_leaves(inner, f"{path}{name}{'[]' if field['type'] == 'array' else ''}.")
    return leaves


def as_compared(field: dict[str, Any], default: Any) -> Any:
    """Durations compare by length (`1h` is `60m`), all else as written."""
    if isinstance(default, str) and field.get("pattern") == duration.PATTERN:
        return duration.parse(default)
    if isinstance(default, dict):
        return {name: as_compared(field["properties"][name], value) for name, value in default.items()}
    return default


# --- the views' side


def unwrapped(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return unwrapped(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        (present,) = (part for part in typing.get_args(annotation) if part is not type(None))
        return unwrapped(present)
    return annotation


SCALARS = {
    str: "string", int: "integer", bool: "boolean", float: "number", timedelta: "duration", datetime: "date-time",
}  # fmt: skip


def view_leaf(annotation: Any, default: Any) -> Leaf:
    found = unwrapped(annotation)
    if typing.get_origin(found) is tuple:
        return Leaf("array", (), default)
    if issubclass(found, View):
        return Leaf("object", (), default)
    if issubclass(found, StrEnum):
        return Leaf("string", tuple(found), default)
    return Leaf(SCALARS[found], (), default)


def view_default(field: FieldInfo) -> Any:
    if field.is_required():
        return REQUIRED
    return plain(field.get_default(call_default_factory=True))


def plain(value: Any) -> Any:
    if isinstance(value, View):
        return {
            field_name(name): plain(getattr(value, name))
            for name in type(value).__pydantic_fields__
            if getattr(value, name) is not None
        }
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def view_leaves(view: type[View], path: str) -> dict[str, Leaf]:
    hints = {name: (field.annotation, view_default(field)) for name, field in view.__pydantic_fields__.items()}
    leaves: dict[str, Leaf] = {}
    for name, (annotation, default) in hints.items():
        here = path + field_name(name)
        leaves[here] = view_leaf(annotation, default)
        inner = unwrapped(annotation)
        if typing.get_origin(inner) is tuple:
            inner, here = unwrapped(typing.get_args(inner)[0]), f"{here}[]"
            leaves[here] = view_leaf(inner, None)
        if isinstance(inner, type) and issubclass(inner, View):
            leaves |= view_leaves(inner, f"{here}.")
    return leaves


def part_view(plural: str, part: str) -> type[View]:
    view: type[View] = unwrapped(VIEWS[plural].__pydantic_fields__[part].annotation)
    return view


# --- the comparison


@pytest.mark.parametrize(("plural", "part"), PARTS)
def test_schema_and_view_have_the_same_fields(plural: str, part: str) -> None:
    schema = schema_leaves(schema_of(plural)["properties"][part], f"{part}.")
    view = view_leaves(part_view(plural, part), f"{part}.")
    assert schema.keys() - view.keys() == set(), "only in the CRD"
    assert view.keys() - schema.keys() == set(), "only in the view"


@pytest.mark.parametrize(("plural", "part"), PARTS)
def test_schema_and_view_agree_on_types_enums_defaults_and_required_fields(plural: str, part: str) -> None:
    schema = schema_leaves(schema_of(plural)["properties"][part], f"{part}.")
    view = view_leaves(part_view(plural, part), f"{part}.")
    # metav1.Condition is Kubernetes' own: its status is a word of three wherever it is written.
    schema |= {path: Leaf("string", (), leaf.default) for path, leaf in schema.items() if path.endswith("[].status")}
    differing = {path: (leaf, view.get(path)) for path, leaf in schema.items() if view.get(path) != leaf}
    assert not differing


@pytest.mark.parametrize("plural", VIEWS)
def test_the_root_requires_spec_as_the_view_does(plural: str) -> None:
    fields = VIEWS[plural].__pydantic_fields__
    required = {name for name, field in fields.items() if field.is_required()} - {"metadata"}
    assert set(schema_of(plural)["required"]) == required
    assert set(schema_of(plural)["properties"]) == {"apiVersion", "kind", *fields}


def test_a_difference_is_seen_wherever_it_is() -> None:
    """The comparison itself: each kind of drift changes a leaf."""
    schema = schema_of(mirror.PLURAL)["properties"]["spec"]
    before = schema_leaves(schema, "")
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda p: p["source"]["properties"]["repository"].update(type="integer"),
        lambda p: p["engine"].update(enum=["Auto"]),
        lambda p: p["interval"].update(default="11m"),
        lambda p: p["refs"]["properties"]["include"].update(default=[]),
        lambda p: p["refs"]["properties"]["exclude"]["items"].update(type="integer"),
        lambda p: p["target"].update(required=[]),
        lambda p: p["archive"]["properties"].pop("keepLast"),
    )
    for change in changes:
        changed = schema_of(mirror.PLURAL)["properties"]["spec"]
        change(changed["properties"])
        assert schema_leaves(changed, "") != before


# --- what holds for every schema


def test_names_are_those_of_the_package() -> None:
    assert {path.stem for path in CRDS.glob("*.yaml")} == set(VIEWS)
    for plural, view in VIEWS.items():
        crd = load(plural)
        spec = crd["spec"]
        assert crd["metadata"]["name"] == f"{plural}.{names.GROUP}"
        assert (spec["group"], spec["scope"], spec["names"]["plural"]) == (names.GROUP, "Namespaced", plural)
        assert spec["names"]["kind"] == view.__name__
        assert spec["names"]["categories"] == ["onedev-mirrors"]
        assert [version["name"] for version in spec["versions"]] == [names.VERSION]
        assert spec["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize(("plural", "path", "field"), ALL_FIELDS)
def test_every_field_is_described_and_bounded(plural: str, path: str, field: dict[str, Any]) -> None:
    if path != "metadata" and not path.endswith("[]"):
        assert field.get("description", "").endswith("."), f"{plural}: {path} has no description that is a sentence"
    assert "additionalProperties" not in field
    assert not any(key.startswith("x-kubernetes-preserve") for key in field)
    if field["type"] == "array":
        assert field["x-kubernetes-list-type"] in ("atomic", "map", "set")
        assert "maxItems" in field
    if field["type"] == "string" and path not in ("apiVersion", "kind") and field.get("format") != "date-time":
        assert "maxLength" in field or "enum" in field, f"{plural}: {path} has no maxLength, so CEL would cost too much"


def test_conditions_are_metav1_conditions() -> None:
    expected = {field_name(name) for name in Condition.__pydantic_fields__}
    for plural in VIEWS:
        conditions = schema_of(plural)["properties"]["status"]["properties"]["conditions"]
        assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
        assert set(conditions["items"]["properties"]) == expected
        assert conditions["items"]["properties"]["status"]["enum"] == ["True", "False", "Unknown"]


def test_a_template_is_a_mirror_without_its_source() -> None:
    """One wording and one set of rules for what both kinds can say."""
    template = schema_of(starred.PLURAL)["properties"]["spec"]["properties"]["template"]["properties"]
    settings = schema_of(mirror.PLURAL)["properties"]["spec"]["properties"]
    source = settings.pop("source")
    assert template == settings
    stars = schema_of(starred.PLURAL)["properties"]["spec"]["properties"]["source"]
    assert stars["x-kubernetes-validations"] == source["x-kubernetes-validations"]
    assert stars["properties"]["apiURL"] == source["properties"]["apiURL"]
    assert stars["properties"]["insecure"] == source["properties"]["insecure"]
    named, other = stars["properties"]["secretRef"], source["properties"]["secretRef"]
    assert named["properties"] == other["properties"]


def test_syncs_differ_in_what_only_one_of_them_has() -> None:
    """Whose repositories they are, and star lists; all else is the same, to the word."""
    stars, own = schema_of(starred.PLURAL), schema_of(owned.PLURAL)
    assert stars["properties"]["spec"]["properties"].pop("user")
    assert stars["properties"]["spec"]["properties"]["filter"]["properties"].pop("lists")
    assert own["properties"]["spec"]["properties"].pop("owner")
    for schema in (stars, own):
        spec = schema["properties"]["spec"]
        for one in (
            schema,
            schema["properties"]["kind"],
            spec,
            spec["properties"]["source"]["properties"]["secretRef"],
        ):
            assert one.pop("description")
        rules = spec.pop("x-kubernetes-validations")
        spec["rule"] = [rule for rule in rules if rule["fieldPath"] not in (".user", ".owner", ".filter.lists")]
    assert stars == own
    columns = [
        load(plural)["spec"]["versions"][0]["additionalPrinterColumns"] for plural in (starred.PLURAL, owned.PLURAL)
    ]
    assert [c["jsonPath"] for c in columns[0]] == [c["jsonPath"] for c in columns[1]]


def reserved_words(plural: str) -> list[str]:
    rules = [r["rule"] for _, f in walk(schema_of(plural)) for r in f.get("x-kubernetes-validations", ())]
    return [rule for rule in rules if "segment in [" in rule]


@pytest.mark.parametrize("plural", VIEWS)
def test_reserved_segments_are_those_of_the_package(plural: str) -> None:
    rules = reserved_words(plural)
    assert rules
    for rule in rules:
        listed = rule[rule.index("[") + 1 : rule.index("]")]
        assert {word.strip().strip("'") for word in listed.split(",")} == names.RESERVED_SEGMENTS


def test_paths_fit_onedev_s_limit_even_in_the_archive() -> None:
    """There a name that is taken gets the time added."""
    root = schema_of(server.PLURAL)["properties"]["spec"]["properties"]["rootProject"]["maxLength"]
    target = schema_of(mirror.PLURAL)["properties"]["spec"]["properties"]["target"]["properties"]["project"]
    assert target["maxLength"] == names.TARGET_PATH_LIMIT
    assert root + len("/archived/") + target["maxLength"] + len("-20261123T010203Z") <= names.PROJECT_PATH_LIMIT


@pytest.mark.parametrize("plural", VIEWS)
def test_printer_columns_lead_to_fields(plural: str) -> None:
    known = {path for path, _ in walk(schema_of(plural))}
    for column in load(plural)["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].removeprefix(".").split("[?(")[0]
        assert path in known or path == "metadata.creationTimestamp", column["name"]


@pytest.mark.parametrize("plural", VIEWS)
def test_no_key_is_a_yaml_boolean(plural: str) -> None:
    """YAML 1.1 reads `on`, `off`, `y`, `n` as booleans: such a property vanishes."""
    assert all(isinstance(name, str) for _, field in walk(schema_of(plural)) for name in field.get("properties", {}))


@pytest.mark.parametrize("plural", VIEWS)
def test_no_key_is_there_twice(plural: str) -> None:
    """YAML takes the last one and says nothing."""
    todo: list[yaml.Node] = [*yaml.compose_all((CRDS / f"{plural}.yaml").read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"{plural}: {node.start_mark}"
            todo += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
