"""`spec.filter.expression`: what it can ask, what is said of mistakes in it, and that it cannot hold us up."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from celpy.evaluation import base_functions
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import cel, cel_meter
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Stalled
from github_onedev_sync.api.expression import FIELDS, Expression
from github_onedev_sync.api.observed import ListedRepository

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
FLASK = ListedRepository(
    id=596892,
    full_name="pallets/flask",
    stars=70_000,
    size_kb=10_240,
    language="Python",
    topics=("flask", "web-framework", "wsgi"),
    license="BSD-3-Clause",
    description="The Python micro framework",
    created_at=datetime(2010, 4, 6, tzinfo=UTC),
    pushed_at=NOW - timedelta(days=3),
    starred_at=NOW - timedelta(hours=1),
    owner_id=16748505,
)
BARE = ListedRepository(id=1, full_name="somebody/something")


def answer(text: str, row: ListedRepository = FLASK) -> bool:
    return Expression(text).matches(row, NOW)


def refusal(text: str, row: ListedRepository = FLASK) -> Stalled:
    with pytest.raises(Stalled) as caught:
        answer(text, row)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("repository.stars > 100", True),
        ("repository.stars >= 70000 && repository.stars <= 70000 && !(repository.stars < 70000)", True),
        ("repository.id == 596892 && repository.id != 1", True),
        ('repository.name == "flask" && repository.owner == "pallets" && repository.fullName == "pallets/flask"', True),
        ("repository.sizeKB / 1024 == 10 && repository.sizeKB % 1024 == 0 && repository.sizeKB - 1 == 10239", True),
        ("-1 * 2 + 3 == 1", True),
        ("repository.private || repository.archived || repository.fork", False),
        ('"wsgi" in repository.topics', True),
        ('repository.topics.exists(t, t.startsWith("web-"))', True),
        ('repository.topics.all(t, t.size() > 4 || t in ["wsgi", "asgi"])', True),
        ("repository.topics.exists_one(t, t.size() == 4)", True),
        ("repository.topics.filter(t, t.size() > 4).size() == 2 && size(repository.topics) == 3", True),
        ('"flask!" in repository.topics.map(t, t + "!")', True),
        ('repository.topics == ["flask", "web-framework", "wsgi"]', True),
        ('repository.topics + ["x"] == ["x"]', False),
        ('repository.topics[0] == "flask" && repository["language"] == "Python"', True),
        ('repository.topics.contains("wsgi")', True),
        ('repository.description.contains("micro") && repository.description.endsWith("work")', True),
        (r'repository.fullName.matches(r"^(?i)PALLETS/\w+$") && !repository.name.matches("^x")', True),
        ('repository.license in ["MIT", "BSD-3-Clause"]', True),
        ('now - repository.pushedAt < duration("96h")', True),
        ('repository.pushedAt + duration("48h") > now', False),
        ('now + duration("-96h") < repository.pushedAt', True),
        ('repository.createdAt < timestamp("2015-01-01T00:00:00Z")', True),
        ('repository.createdAt == timestamp("2010-04-06")', True),
        ("repository.createdAt.getFullYear() == 2010 && now.getHours() == 12", True),
        ('now.getHours("Europe/Berlin") == 13', True),
        ('(now - repository.starredAt).getMinutes() == 60 && duration("1h30m").getHours() == 1', True),
        ("repository.fork ? false : repository.stars > 5", True),
        ('{"Python": 10, "Go": 2}[repository.language] == 10', True),
        ('string(repository.stars) == "70000" && int("3") == 3 && double(3) == 3.0 && uint(3) == 3u', True),
        ("has(repository.language) && repository.language != null && repository.stars != null", True),
        ("// whoever has many\nrepository.stars > 10  // stars", True),
        ("repository.stars > 10\n&& \"a\\\"b\" + 'c' == 'a\"bc'", True),
        ("'''a'b''' == \"a'b\" && \"\" == ''", True),
        # What settles the matter does so, whatever else went wrong.
        ("1 / 0 == 1 || repository.stars > 1", True),
        ("repository.stars < 1 && 1 / 0 == 1", False),
        ("[0, 1].exists(i, 1 / i == 1)", True),
        ("[0, 2].all(i, 1 / i == 1)", False),
        # A name in a macro hides the variable.
        ('["x"].exists(repository, repository == "x") && [{"a": 1}].all(repository, repository.a == 1)', True),
    ],
)
def test_answers(text: str, expected: bool) -> None:
    assert answer(text) is expected


def test_what_github_does_not_tell_is_null() -> None:
    for field in ("description", "language", "license", "createdAt", "pushedAt", "starredAt"):
        assert answer(f"repository.{field} == null && !has(repository.{field})", BARE)
    assert not answer('repository.language == "Python"', BARE)
    assert answer("repository.topics.size() == 0 && !repository.private", BARE)


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("repository.stars > 3 && && 3", "line 1, column 25", 'near "&& 3"'),
        ("repository.stars = 3", "line 1, column 18", 'near "= 3"'),
        ("size(repository.topics) > 3 and true", "line 1, column 29", 'near "and true"'),
        ("repository.stars >\n  3 3", "line 2, column 5", 'near "3"'),
        ("repository.stars >", "", "something is missing at its end"),
        ("", "", "something is missing at its end"),
        ("// only a comment", "", "something is missing at its end"),
        ("repository.stras > 1", "line 1, column 12", "repository has no field stras; it has id, name, owner"),
        ("true ||\nrepository.Stars > 1", "line 2, column 12", "repository has no field Stars"),
        ("has(repository.stras)", "line 1, column 16", "repository has no field stras"),
        ("[1].exists(x, repository.stras == x)", "line 1, column 26", "repository has no field stras"),
        ("stars > 1", "line 1, column 1", "there is no variable stars; it can use repository and now"),
        ("[1].exists(x, true) && x == 1", "line 1, column 24", "there is no variable x"),
        ("lower(repository.name)", "line 1, column 1", "there is no function lower; it can use double, duration"),
        ("repository.name.lower()", "line 1, column 17", "there is no method lower; it can use contains"),
        ("[1].reduce(a, b, 0, a + b) == 1", "line 1, column 5", "there is no method reduce"),
        ("[1].all(x)", "line 1, column 5", "all() takes a name and an expression"),
        ("[1].map(1, 2) == []", "line 1, column 5", "map() takes a name and an expression"),
        ("[1].map() == []", "line 1, column 5", "map() takes a name and an expression"),
        ("has()", "line 1, column 1", "has() takes a field"),
        ("has(now)", "line 1, column 1", "has() takes a field"),
        ('repository.name.matches("[")', "line 1, column 17", "the pattern of matches() is not legal: missing ]"),
        ("repository.name.matches(repository.owner)", "line 1, column 17", "matches() takes a pattern in quotes"),
        ("repository.name.matches()", "line 1, column 17", "matches() takes a pattern in quotes"),
        ("repository.name.matches(1)", "line 1, column 17", "matches() takes a pattern in quotes"),
        ("9999999999999999999 == 1", "line 1, column 1", "this number or text cannot be used"),
        ('b"bytes" == b"bytes"', "line 1, column 1", "this number or text cannot be used"),
        ("Foo{a: 1} == 3", "line 1, column 1", "a name cannot be followed by {"),
        (".repository.name == 'x'", "line 1, column 1", "a name must not begin with a dot"),
        ('repository.name == "flask', "line 1, column 20", "a quote or a backslash"),
        ("true\n|| r'\\' == 'x'", "line 2, column 4", "a quote or a backslash"),
        ('repository.name == """flask"', "line 1, column 20", "a quote or a backslash"),
        ("repository.name == \\x", "line 1, column 20", "a quote or a backslash"),
    ],
)
def test_what_is_no_expression(text: str, at: str, words: str) -> None:
    with pytest.raises(Stalled) as caught:
        Expression(text)
    assert caught.value.reason is Reason.INVALID_EXPRESSION
    assert caught.value.message.startswith(f"spec.filter.expression is not valid CEL{at and ' at ' + at}: ")
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'repository.stars > "3"',
            'at line 1, column 1: > cannot be applied to int and string, near "repository.stars',
        ),
        ("!repository.stars", "! cannot be applied to int"),
        ("-repository.name == 'x'", "- cannot be applied to string"),
        ("repository.stars && 1", "&& cannot be applied to int"),
        ("repository.topics > []", "> cannot be applied to list and list"),
        ("repository.name + 1 == 'x'", "+ cannot be applied to string and int"),
        ("1 / 0 == 1", "this divides by zero"),
        ("-(1 / 0) == 1 ? true : false", "this divides by zero"),
        ("9223372036854775807 + 1 == 1", "+ gives something too large"),
        ("repository.topics[9] == 'x'", "there is no item 9"),
        ('repository["stras"] == 1', "there is no key stras"),
        ("{1: 2}[repository.stars] == 2", "there is no key 70000"),
        ("repository.topics['a'] == 'x'", "[] cannot be applied to list and string"),
        ("repository.name[0] == 'f'", "[] cannot be applied to string and int"),
        ("(1 / 0)[0] == 1", "this divides by zero"),
        ("repository.stars ? true : false", "? cannot be applied to int"),
        ('{"a": 1}.b == 1', "there is no field b"),
        ('{"a": 1, "a": 2} == {}', "the key a is there twice"),
        ("{repository.topics: 1} == {}", "{} cannot be applied to list"),
        ("{1: 1 / 0} == {}", "this divides by zero"),
        ("repository.stars.map(x, x) == [1]", "map() cannot be applied to int"),
        ("(1 / 0).all(x, true)", "this divides by zero"),
        ("now.foo == 1", ".foo cannot be applied to timestamp"),
        ("(1 / 0).foo == 1", "this divides by zero"),
        ("repository.stars.matches('x')", "matches() cannot be applied to int and string"),
        ("repository.name.startsWith('x', 'y')", "startsWith() cannot be applied to string, string and string"),
        ("size() == 3", "size() cannot be applied to nothing"),
        ("int(1e300) == 1", "int() cannot make anything of it"),
        ("int(repository.name) == 1", "int() cannot make anything of it"),
        ("duration('1h').getHours('UTC') == 1", "getHours() cannot be applied to duration and string"),
        ("duration('1 day') > duration('1h')", "1 day is not a duration such as 30m"),
        ("duration(3) == duration('1h')", "duration() cannot be applied to int"),
        ("timestamp('yesterday') < now", "yesterday is not a time such as 2026-01-31T00:00:00Z"),
        ("timestamp(3) < now", "timestamp() cannot be applied to int"),
        ("string(repository.topics) == 'x'", "string() cannot be applied to list"),
        ("[[1]] == [[1]]", "== cannot be applied to list and list"),
        ("{'a': [1]} != {'a': [1]}", "!= cannot be applied to map and map"),
        ("[1] in [[1]]", "in cannot be applied to list and list"),
        ("'a' * 1000000000 == 'a'", "* cannot be applied to string and int"),
        ("'%1000000000d' % 1 == 'a'", "% cannot be applied to string and int"),
        ("repository.stars in 3", "in cannot be applied to int and int"),
        ("now.getHours('Europe') == 1", "getHours() cannot be applied to timestamp and string"),
        ("now.getHours('../../etc/passwd') == 1", "getHours() cannot make anything of it"),
        ("now.getHours('nowhere') == 1", "getHours() cannot make anything of it"),
        (f"now.getHours('{'a' * 300}') == 1", "getHours() cannot"),
        ("timestamp('9999-12-31T23:00:00Z').getHours('Asia/Tokyo') == 1", "getHours"),
    ],
)
def test_what_cannot_be_answered(text: str, words: str) -> None:
    error = refusal(text)
    assert error.reason is Reason.INVALID_EXPRESSION
    assert error.message.startswith("spec.filter.expression cannot be answered for pallets/flask")
    assert words in error.message


def test_who_forgets_that_something_is_unknown_is_told_how_to_ask() -> None:
    error = refusal('repository.license.contains("GPL")', BARE)
    assert (
        "for somebody/something at line 1, column 20: contains() cannot be applied to null and string" in error.message
    )
    assert error.message.endswith("what GitHub does not tell is null: ask has(repository.FIELD) first")
    assert answer('has(repository.license) && repository.license.contains("GPL")', BARE) is False


@pytest.mark.parametrize(
    ("text", "kind"),
    [("repository.name", "string"), ("repository.stars", "int"), ("repository.license", "null"), ("[true]", "list")],
)
def test_what_is_neither_true_nor_false(text: str, kind: str) -> None:
    error = refusal(text, BARE)
    assert error.reason is Reason.INVALID_EXPRESSION
    assert f"must give true or false, and gave {kind} for somebody/something" in error.message


TEN = "[0,1,2,3,4,5,6,7,8,9]"
NESTED = f"{TEN}.map(a, {TEN}.map(b, {TEN}.map(c, {TEN}.map(d, a))))"
DOUBLED = "".join(".map(a, a + a)" for _ in range(30))
SHARED = "".join(".map(a, [a, a])" for _ in range(30))


@pytest.mark.parametrize(
    "text",
    [
        f"{NESTED}.size() == 1",
        f"{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, {TEN}.all(d, true))))",
        f"['aaaaaaaaaa']{DOUBLED}.size() == 1",
        f"[[1]]{DOUBLED}.size() == 1",
        "(" * 60 + "1" + " + 1)" * 60 + " == 1",
        "[" * 100 + "1" + "]" * 100 + " == []",
        "!" * 200 + "true",
        "+".join(["1"] * 200) + " == 1",
    ],
)
def test_what_takes_too_long_is_stopped(text: str) -> None:
    error = refusal(text)
    assert error.reason is Reason.EXPRESSION_TOO_COSTLY
    assert "make it simpler" in error.message


@pytest.mark.parametrize(
    "text",
    [
        # A list that is a hundred million times in itself may be made, but not compared, shown or written.
        f"[1]{SHARED} == [1]{SHARED}",
        f"string([1]{SHARED}) == ''",
        f"[1]{SHARED} in [1]",
        f"[1]{SHARED}.contains([1])",
        f"[1]{SHARED}.foo == 1",
        f"[1]{SHARED}[0].size() > 3 && [1]{SHARED}",
        # The library's own patterns would take exponential time here.
        '"' + r"\n" * 500,
        "'''" + r"\n" * 500 + "''",
        "duration('" + "a" * 500 + "!') == duration('1h')",
    ],
)
def test_what_would_take_for_ever_is_refused(text: str) -> None:
    assert refusal(text).reason in (Reason.INVALID_EXPRESSION, Reason.EXPRESSION_TOO_COSTLY)


def test_patterns_are_linear() -> None:
    row = ListedRepository(id=1, full_name="a/b", description="x" * 5_000)
    assert answer('repository.description.matches("(x+x+)+y")', row) is False
    assert refusal('repository.name.matches("(a{100}){100}")').reason is Reason.INVALID_EXPRESSION
    assert refusal(f'repository.name.matches("{chr(92) * 2}pL{{900}}")').reason is Reason.INVALID_EXPRESSION


def test_steps_are_counted_anew_for_each_repository() -> None:
    expression = Expression('repository.topics.exists(t, t in ["a", "b"]) && repository.stars > 3')
    assert [expression.matches(FLASK, NOW) for _ in range(cel_meter.STEPS)] == [False] * cel_meter.STEPS


def test_long_chains_and_many_brackets_are_no_depth() -> None:
    assert answer(" || ".join(["now < now"] * 60 + ["true"]))
    assert answer(" && ".join(["now == now"] * 60))
    assert answer("(" * 400 + "true" + ")" * 400)


def test_it_tells_which_fields_it_uses() -> None:
    assert Expression("repository.stars > 1 && has(repository.license)").fields == {"stars", "license"}
    assert Expression("true").fields == frozenset()
    assert Expression('repository["stars"] > 1').fields == set(FIELDS)


WORDS = [
    "repository", "now", ".", "stars", "name", "topics", "pushedAt", "language", "nothing", "(", ")", "[", "]", "{",
    "}", ",", ":", "?", "+", "-", "*", "/", "%", "!", "&&", "||", "==", "!=", "<", ">=", " in ", "has(", "size(",
    "int(", "duration(", "timestamp(", "string(", "x", ".map(x,", ".exists(x,", ".all(x,", ".filter(x,",
    ".exists_one(x,", ".matches(", ".startsWith(", ".contains(", ".getHours(", ".size()", "1", "0", "2.5", "3u",
    "1e300", "true", "null", '"a"', "'b'", '"1h"', '"2026-01-01T00:00:00Z"', 'r"\\d"', "\\", '"', "'", '"""', "\n",
    "//", "b'x'", "0x1F", "\u2028",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=25).map("".join))
def test_whatever_is_written_gets_an_answer_or_a_sentence(text: str) -> None:
    judged(text)


def grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Well-formed ones, which get further than most of the above."""
    signs = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", " in ", "&&", "||"])
    methods = st.sampled_from([".size()", ".contains(", ".startsWith(", ".getHours(", ".endsWith("])
    macros = st.sampled_from(["map", "filter", "all", "exists", "exists_one"])
    functions = st.sampled_from(["size", "int", "double", "string", "duration", "timestamp", "uint"])
    return st.one_of(
        st.builds("({}{}{})".format, parts, signs, parts),
        st.builds("({}?{}:{})".format, parts, parts, parts),
        st.builds("[{},{}]".format, parts, parts),
        st.builds("{{{}:{}}}".format, parts, parts),
        st.builds("({})[{}]".format, parts, parts),
        st.builds("{}({})".format, functions, parts),
        st.builds("({}).{}(x,{})".format, parts, macros, parts),
        st.builds(lambda a, m, b: f"({a}){m}" + ("" if m.endswith(")") else f"{b})"), parts, methods, parts),
        st.builds("!({})".format, parts),
        st.builds("-({})".format, parts),
    )


LEAVES = st.sampled_from(
    [f"repository.{field}" for field in FIELDS]
    + [
        "now",
        "1",
        "0",
        "-1",
        "2.5",
        "3u",
        "1e300",
        "true",
        "null",
        '"a"',
        '"Europe"',
        '"1h"',
        '"2026-01-01T00:00:00Z"',
        "[]",
        "{}",
    ]
)


@given(st.recursive(LEAVES, grown, max_leaves=12))
def test_whatever_is_well_formed_gets_an_answer_or_a_sentence(text: str) -> None:
    judged(text)


def judged(text: str) -> None:
    for row in (FLASK, BARE):
        error = None
        try:
            assert isinstance(answer(text, row), bool)
        except Stalled as caught:
            error = caught
        if error is not None:
            assert error.reason in (Reason.INVALID_EXPRESSION, Reason.EXPRESSION_TOO_COSTLY)
            assert error.message.startswith("spec.filter.expression ")
            assert not re.search(r"celpy|lark|<class|Type\b", error.message.partition(", near ")[0])


def test_the_words_are_those_of_the_library() -> None:
    """A function that is gone from the library would be found only by whoever uses it."""
    assert {*cel.FUNCTIONS, *cel.METHODS} - {"has"} <= base_functions.keys()
