"""The runbook knows every reason, and every link between the pages leads somewhere."""

import re
from pathlib import Path

import pytest

from github_onedev_sync.api.conditions import Reason

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")


def test_the_runbook_has_every_reason() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text().partition("## Runbook")[2]
    begun = {word for line in runbook.splitlines() if line.startswith("| `") for word in re.findall(r"`(\w+)`", line)}
    assert {str(reason) for reason in Reason} - begun == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {path}#{anchor}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, other punctuation dropped."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
