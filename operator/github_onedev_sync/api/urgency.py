"""Who asks GitHub first where requests are short."""

from enum import IntEnum


class Urgency(IntEnum):
    """All users of a credential share its limit; the more urgent ones may use it further."""

    ASKED = 0
    ROUTINE = 1
    SWEEP = 2
