"""How a delivery can end, each with its word for the log and the metrics and its HTTP status."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """GitHub shows everything below 300 as delivered, and everything else as failed."""

    ACCEPTED = "accepted"
    NOTHING_TO_DO = "nothing to do"
    DUPLICATE = "duplicate"
    PONG = "pong"
    NOT_HANDLED = "not handled"

    WRONG_ADDRESS = "wrong address"
    TOO_MANY = "too many"
    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    WRONG_PLACE = "wrong place"
    WRONG_METHOD = "wrong method"
    NO_DELIVERY = "no delivery"
    WRONG_SIGNATURE = "wrong signature"
    WRONG_TYPE = "wrong type"
    UNREADABLE = "unreadable"
    NOT_READY = "not ready"
    BUSY = "busy"
    CLUSTER_UNAVAILABLE = "cluster unavailable"
    GONE = "gone"
    BUG = "bug"


STATUS = {
    Result.ACCEPTED: 202,
    Result.NOTHING_TO_DO: 202,
    Result.DUPLICATE: 202,
    Result.PONG: 200,
    Result.NOT_HANDLED: 202,
    Result.WRONG_ADDRESS: 403,
    Result.TOO_MANY: 429,
    Result.TOO_LARGE: 413,
    Result.TOO_SLOW: 408,
    Result.WRONG_PLACE: 404,
    Result.WRONG_METHOD: 405,
    Result.NO_DELIVERY: 400,
    Result.WRONG_SIGNATURE: 401,
    Result.WRONG_TYPE: 415,
    Result.UNREADABLE: 400,
    Result.NOT_READY: 503,
    Result.BUSY: 503,
    Result.CLUSTER_UNAVAILABLE: 503,
    # Nobody hears it.
    Result.GONE: 499,
    Result.BUG: 500,
}
# After what a sender is told that another try makes sense, in seconds.
AGAIN = {Result.NOT_READY: 30, Result.BUSY: 5, Result.CLUSTER_UNAVAILABLE: 30}


@dataclass(eq=False)
class Refused(Exception):
    """Ends a delivery. `why` is for the log, never for the sender."""

    result: Result
    why: str = ""
    again: float = 0.0
