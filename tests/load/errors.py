"""Why there is no figure."""

from __future__ import annotations


class NotMeasured(Exception):
    """What was to be measured failed; the text says what it said."""
