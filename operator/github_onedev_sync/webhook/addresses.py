"""Who may send how much: a rate limit for each address, and where it is wanted the addresses of GitHub alone."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_MINUTE = 60.0
_LIMIT = 20_000
# A household or a company has at least this much of IPv6, and every address in it.
_ONE_SENDER = 64


def read_address(text: str) -> Address | None:
    """None where it is none, such as what a proxy makes up. An IPv4 address in IPv6's clothes is an IPv4 address."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def is_in(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)


@dataclass
class RateLimit:
    """So many requests a minute from each address, as many at once; `per_minute` 0 is no limit.

    `now` is a monotonic time. What is known of the longest silent ones is forgotten first, so memory is bounded.
    """

    per_minute: int
    now: Callable[[], float]
    _left: "OrderedDict[object, tuple[float, float]]" = field(default_factory=OrderedDict)

    def wait(self, address: Address | None) -> float:
        """0 where it may send now, and that is counted; else the seconds until it may."""
        if not self.per_minute:
            return 0.0
        sender, now, pace = _sender(address), self.now(), self.per_minute / _MINUTE
        left, at = self._left.get(sender, (float(self.per_minute), now))
        left = min(left + (now - at) * pace, float(self.per_minute))
        allowed = left >= 1
        self._left[sender] = (left - 1 if allowed else left, now)
        self._left.move_to_end(sender)
        if len(self._left) > _LIMIT:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / pace

    def __len__(self) -> int:
        return len(self._left)


def _sender(address: Address | None) -> object:
    return ip_network((address, _ONE_SENDER), strict=False) if isinstance(address, IPv6Address) else address
