"""Which addresses may be dialled when the one who asks is not the one who owns the network.

A server that downloads what a client names must not be talked into reaching what
only the server can reach.  So names are resolved here, every answer is compared
with our own table, and what was compared is what is dialled.

The table follows IANA's registries of special-purpose addresses (IPv4: RFC 6890 and
its successors, IPv6 likewise).  ``ipaddress.is_global`` is not used: it calls NAT64,
6to4 and multicast addresses global, behind which private ones can hide.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from torchinf_core.errors import NetworkError, PolicyError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port → addresses as text; raises OSError."""

_SPECIAL4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_PUBLIC6 = IPv6Network("2000::/3")
"""All that is handed out to the public; mapped, NAT64, local and multicast lie outside."""
_SPECIAL6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, benchmarking, ORCHID and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address is inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def is_public(address: Address) -> bool:
    """True for an address that anybody on the internet could dial."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL4)
    if address.scope_id is not None or address not in _PUBLIC6:
        return False
    return not any(address in network for network in _SPECIAL6)


def parse_networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Networks such as ``10.1.0.0/16``, or single addresses.

    Raises:
        ValueError: one is neither.
    """
    return tuple(ip_network(word) for word in words)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver tells them; each once."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public_addresses(
    host: str, port: int, allowed: Sequence[Network] = (), ask: Resolve | None = None
) -> list[str]:
    """The addresses of a host, if all of them may be dialled.

    One that may not be spoils the whole answer: who controls a name could have it
    answer with both kinds, and wait for the other one's turn.

    Args:
        host: name or address in any spelling that the system's resolver takes.
        port: to dial.
        allowed: networks that may be dialled though they are not public.
        ask: the resolver; default: :func:`resolve`.

    Returns:
        Addresses to dial, the best first; the caller dials these and no name.

    Raises:
        PolicyError: an address is not public.
        NetworkError: the name leads nowhere.
    """
    try:
        texts = (ask or resolve)(host, port)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name"
        raise NetworkError(f"no address for {host[:200]!a}: {reason}") from None
    if not texts:
        raise NetworkError(f"no address for {host[:200]!a}")
    for text in texts:
        try:
            address = ip_address(text)
        except ValueError:
            raise PolicyError(f"{host[:200]!a} has an address of no known kind") from None
        inside = any(address in net for net in allowed if net.version == address.version)
        if not inside and not is_public(address):
            raise PolicyError(
                f"{host[:200]!a} is not a public address, and only those are asked here",
                hint="whoever runs this can allow a network: private_networks in the settings",
            )
    return list(texts)
