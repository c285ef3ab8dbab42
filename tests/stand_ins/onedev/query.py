"""OneDev's project query language, as far as a mirror needs it."""

import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from .model import Project
from .refusals import Refused, server_error
from .store import Store

TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)"|([(),])|([a-z]+)| +')
FIELDS = ("Name", "Key", "Path", "Label", "Service Desk Email Address", "Id", "Description", "Last Activity Date")
Criterion = Callable[[Project], bool]


def invalid_query() -> Refused:
    return Refused(406, "Invalid query")


class Parser:
    """Recursive descent over the tokens of one query; words are lower-case, values are quoted."""

    def __init__(self, store: Store, text: str) -> None:
        self._store = store
        self._tokens = _tokenize(text)

    def run(self, projects: Iterable[Project]) -> list[Project]:
        """The projects that match, in the order asked for. Raises Refused."""
        found = list(projects)
        if self._tokens and self._peek() != "order":
            criterion = self._either()
            found = [project for project in found if criterion(project)]
        orders: list[tuple[str, bool]] = []
        if self._accept("order"):
            self._expect("by")
            orders.append(self._order())
            while self._accept(","):
                orders.append(self._order())
        if self._tokens:
            raise invalid_query()
        found.sort(key=lambda project: project.lastActivity, reverse=True)
        for field, descending in reversed(orders):
            found.sort(key=lambda project, field=field: _sort_key(project, field), reverse=descending)  # type: ignore[misc]
        return found

    def _order(self) -> tuple[str, bool]:
        field = self._value()
        if field not in FIELDS:
            raise server_error(f"Field not found: {field}")
        if self._accept("desc"):
            return field, True
        self._accept("asc")
        return field, False

    def _either(self) -> Criterion:
        alternatives = [self._both()]
        while self._accept("or"):
            alternatives.append(self._both())
        return lambda project: any(one(project) for one in alternatives)

    def _both(self) -> Criterion:
        demands = [self._one()]
        while self._accept("and"):
            demands.append(self._one())
        return lambda project: all(one(project) for one in demands)

    def _one(self) -> Criterion:
        if self._accept("("):
            inner = self._either()
            self._expect(")")
            return inner
        if self._accept("not"):
            self._expect("(")
            inner = self._either()
            self._expect(")")
            return lambda project: not inner(project)
        if self._accept("roots"):
            return lambda project: project.parentId is None
        if self._accept("leafs"):
            return lambda project: not self._store.children(project.id)
        if self._accept("children"):
            self._expect("of")
            return self._children(self._value())
        return self._field()

    def _children(self, path: str) -> Criterion:
        parent = self._store.find(path)
        return lambda project: parent is not None and project.parentId == parent.id

    def _field(self) -> Criterion:
        field = self._value()
        if field not in FIELDS:
            raise server_error(f"Field not found: {field}")
        operator = "contains" if self._accept("contains") else "is"
        if operator == "is":
            self._expect("is")
            operator = "is not" if self._accept("not") else "is"
        values = [self._value()]
        while self._accept(","):
            values.append(self._value())
        if (operator == "contains") != (field == "Description"):
            raise server_error(f"Field '{field}' is not applicable for operator '{operator}'")
        tests = [self._test(field, value) for value in values]
        wanted = operator != "is not"
        return lambda project: any(test(project) for test in tests) is wanted

    def _test(self, field: str, value: str) -> Criterion:
        lowered = value.lower()
        match field:
            case "Path":
                pattern = _ant(lowered)
                return lambda project: pattern.fullmatch(project.path.lower()) is not None
            case "Name":
                # SQL's LIKE: the underscore is a wildcard, and the star was made one.
                like = re.escape(lowered).replace(r"\*", ".*").replace("_", ".")
                return lambda project: re.fullmatch(like, project.name.lower()) is not None
            case "Label":
                return self._label(value)
            case "Id":
                return lambda project: str(project.id) == value
            case "Description":
                return lambda project: lowered in (project.description or "").lower()
            case "Key":
                return lambda project: fnmatchcase((project.key or "").lower(), lowered)
            case _:
                raise server_error(f"Field '{field}' is not applicable for operator 'is'")

    def _label(self, name: str) -> Criterion:
        spec = next((one for one in self._store.label_specs.values() if one.name == name), None)
        if spec is None:
            raise Refused(404, f"Undefined label: {name}")
        number = spec.id
        labels = self._store.labels
        return lambda project: any(one.projectId == project.id and one.specId == number for one in labels.values())

    def _peek(self) -> str | None:
        return self._tokens[0] if self._tokens else None

    def _accept(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._tokens.pop(0)
        return True

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise invalid_query()

    def _value(self) -> str:
        token = self._peek()
        if token is None or not token.startswith('"'):
            raise invalid_query()
        return self._tokens.pop(0)[1:]


def _tokenize(text: str) -> list[str]:
    """Words and marks as they are; a quoted value with a leading quote as its mark."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        found = TOKENS.match(text, position)
        if found is None:
            raise invalid_query()
        value, mark, word = found.groups()
        if value is not None:
            tokens.append('"' + re.sub(r"\\(.)", r"\1", value))
        elif mark or word:
            tokens.append(mark or word)
        position = found.end()
    return tokens


def _ant(pattern: str) -> re.Pattern[str]:
    parts = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(piece) or re.escape(piece) for piece in pieces))


def _sort_key(project: Project, field: str) -> tuple[int, str]:
    if field == "Id":
        return project.id, ""
    values = {
        "Path": project.path,
        "Name": project.name,
        "Key": project.key,
        "Last Activity Date": project.lastActivity,
    }
    return 0, (values.get(field) or "").lower()
