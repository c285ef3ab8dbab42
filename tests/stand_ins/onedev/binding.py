"""JSON bodies as OneDev's Jackson reads them: strict about members, lenient about scalars, blank text is null."""

import json
from collections.abc import Mapping
from typing import Any

from .refusals import Refused, invalid

# What a member may hold: a scalar kind, a nested shape, or "any" for what is passed through.
Shape = Mapping[str, Any]

TEXT, NUMBER, FLAG, DATE, ANY = "String", "Long", "boolean", "Date", "any"
GIT_PACK_CONFIG: Shape = dict.fromkeys(("windowMemory", "packSizeLimit", "threads", "window"), TEXT)
CODE_ANALYSIS_SETTING: Shape = {"analysisFiles": TEXT}
PROJECT: Shape = {
    "id": NUMBER,
    "parentId": NUMBER,
    "forkedFromId": NUMBER,
    "name": TEXT,
    "key": TEXT,
    "path": TEXT,
    "description": TEXT,
    "createDate": DATE,
    "codeManagement": FLAG,
    "packManagement": FLAG,
    "issueManagement": FLAG,
    "timeTracking": FLAG,
    "serviceDeskEmailAddress": TEXT,
    "gitPackConfig": GIT_PACK_CONFIG,
    "codeAnalysisSetting": CODE_ANALYSIS_SETTING,
}
SETTING_LISTS = [
    "branchProtections",
    "tagProtections",
    "namedCommitQueries",
    "namedCodeCommentQueries",
    "webHooks",
    "contributedSettings",
]
SETTING_OBJECTS = ["issueSetting", "buildSetting", "packSetting", "pullRequestSetting", "workspaceSetting"]
SETTING: Shape = dict.fromkeys([*SETTING_LISTS, *SETTING_OBJECTS], ANY)
TOKEN: Shape = {
    "id": NUMBER,
    "name": TEXT,
    "ownerId": NUMBER,
    "value": TEXT,
    "hasOwnerPermissions": FLAG,
    "createDate": DATE,
    "expireDate": DATE,
}
USER: Shape = {"type": TEXT, "name": TEXT, "fullName": TEXT, "password": TEXT, "emailAddress": TEXT}
LABEL_SPEC: Shape = {"id": NUMBER, "name": TEXT, "color": TEXT}
PROJECT_LABEL: Shape = {"id": NUMBER, "projectId": NUMBER, "specId": NUMBER}
BRANCH: Shape = {"branchName": TEXT, "revision": TEXT}
TAG: Shape = {"tagName": TEXT, "revision": TEXT, "tagMessage": TEXT}
USER_AUTHORIZATION: Shape = {"id": NUMBER, "projectId": NUMBER, "userId": NUMBER, "roleId": NUMBER}
BASE_AUTHORIZATION: Shape = {"id": NUMBER, "projectId": NUMBER, "roleId": NUMBER}
TOKEN_AUTHORIZATION: Shape = {"id": NUMBER, "tokenId": NUMBER, "projectId": NUMBER, "roleId": NUMBER}


def bind(body: bytes, shape: Shape, method: str) -> dict[str, Any]:
    """The members that the body has. Raises Refused (400) in OneDev's words.

    method: the Java method, which validation errors name.
    """
    if not body.strip():
        raise invalid(f"{method}.arg0: must not be null")
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise Refused(400, f"Unexpected character or end of input: {error}") from error
    if parsed is None:
        raise invalid(f"{method}.arg0: must not be null")
    bound = _convert(parsed, shape, "")
    assert isinstance(bound, dict)
    return bound


def _convert(value: Any, kind: Any, member: str) -> Any:
    if isinstance(kind, Mapping):
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, dict):
            raise _mismatch(value, "Object", member)
        for name in value:
            if name not in kind:
                known = ", ".join(f'"{one}"' for one in kind)
                text = f'Unrecognized field "{name}", not marked as ignorable ({len(kind)} known properties: {known}])'
                raise Refused(400, text)
        return {name: _convert(one, kind[name], name) for name, one in value.items()}
    if isinstance(value, str) and not value.strip():
        value = None
    if value is None:
        # A primitive boolean that is given as null is false to Jackson.
        return False if kind == FLAG else None
    if kind == ANY:
        return value
    return _scalar(value, kind, member)


def _scalar(value: Any, kind: str, member: str) -> Any:
    if isinstance(value, (dict, list)):
        raise _mismatch(value, kind, member)
    if kind == FLAG:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise _mismatch(value, kind, member)
    if kind == NUMBER:
        try:
            return int(value)
        except (TypeError, ValueError) as error:
            raise _mismatch(value, kind, member) from error
    return value if isinstance(value, str) else json.dumps(value)


def _mismatch(value: Any, kind: str, member: str) -> Refused:
    return Refused(
        400, f"Cannot deserialize value of type `{kind}` from {json.dumps(value)} (through reference chain: {member})"
    )
