"""Calls of a client's address when its job has ended, as https://www.standardwebhooks.com has them.

The operator lists the hosts that may be called, and the addresses among them that are not public. A
name is looked up once for each call, and that address is called: a name that changes its address
meanwhile gains nothing. Redirects are not followed.
"""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

TRIES_S = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""Seconds from one try to the next."""
_TIMEOUT_S = 10.0
_MOST_S = 30.0
"""Seconds after which a call ends, whatever its server still sends: a thread waits for it."""
_PORTS = {"https": 443, "http": 80}


class CallFailed(Exception):
    """An address was not called, or did not answer with 2xx; the text, for the log, has its host
    alone."""


@dataclass(frozen=True)
class Callbacks:
    """Which addresses may be called, and how calls are signed.

    Args:
        hosts: names of hosts, and addresses or networks that may be called although they are not
            public.
        secret: signs each call.
    """

    hosts: frozenset[str]
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    secret: bytes

    @classmethod
    def of(cls, listed: str, secret: str) -> "Callbacks":
        """What settings say: names and networks, separated by commas."""
        items = [item.strip().lower() for item in listed.split(",") if item.strip()]
        networks = [network for item in items if (network := _network(item)) is not None]
        hosts = frozenset(item for item in items if _network(item) is None)
        return cls(hosts, tuple(networks), secret.encode())

    def refusal(self, url: str) -> str | None:
        """Why an address is never called, as the second half of a sentence; None if it may be."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "is no address, as https://host.example/path"
        if parts.scheme not in _PORTS or not parts.hostname or port == 0:
            return "is no address, as https://host.example/path"
        if parts.username is not None or parts.password is not None or parts.fragment:
            return "has a user or a fragment: leave them out"
        if not all(" " < char < "\x7f" for char in url):
            return "has characters that an address has not: write them as %20"
        if parts.hostname not in self.hosts and not self._is_listed(parts.hostname):
            return "is on a host that the operator of this service has not listed"
        return None

    def _is_listed(self, address: str) -> bool:
        found = _network(address)
        return found is not None and any(
            found.version == network.version and found.network_address in network
            for network in self.networks
        )

    def signed(self, id: str, now: float, body: bytes) -> dict[str, str]:
        """The headers of a call: its id, its time, and the signature of both with the body."""
        time = str(int(now))
        content = b".".join((id.encode(), time.encode(), body))
        digest = hmac.new(self.secret, content, hashlib.sha256).digest()
        return {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": time,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }

    def call(self, url: str, id: str, now: float, body: bytes) -> None:
        """Call an address, once; waits for the network.

        Raises:
            CallFailed: it cannot be reached, may not be called, or did not answer with 2xx.
        """
        if (refusal := self.refusal(url)) is not None:
            raise CallFailed(f"the address {refusal}")
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            address = self._address(host, parts.port or _PORTS[parts.scheme])
            connection = _Connection(host, address, parts.scheme == "https")
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            headers = {"host": parts.netloc, **self.signed(id, now, body)}
            with connection.ended_after(_MOST_S):
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
        except (OSError, UnicodeError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise CallFailed(f"{host} cannot be reached ({why})") from error
        if not 200 <= status < 300:
            raise CallFailed(f"{host} answered {status}")

    def _address(self, host: str, port: int) -> tuple[str, int]:
        """The first address of a host, if all of them may be called."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(one[4][0]) for one in found]
        self._refuse_private(host, addresses)
        return addresses[0], port

    def _refuse_private(self, host: str, addresses: Sequence[str]) -> None:
        for address in addresses:
            parsed = ipaddress.ip_address(address.partition("%")[0])
            mapped = getattr(parsed, "ipv4_mapped", None) or parsed
            public = mapped.is_global and not mapped.is_multicast
            if not public and not self._is_listed(str(mapped)):
                raise CallFailed(f"{host} is not public, and its address is not listed")


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was looked up before."""

    def __init__(self, host: str, address: tuple[str, int], encrypted: bool) -> None:
        super().__init__(host, address[1], timeout=_TIMEOUT_S)
        self._address = address
        self._encrypted = encrypted

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, self.timeout)
        if self._encrypted:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    @contextmanager
    def ended_after(self, seconds: float) -> Iterator[None]:
        """Closes it at the end of the block; TimeoutError if that comes after so many seconds."""
        is_late = threading.Event()
        timer = threading.Timer(seconds, self._end, (is_late,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.close()
        if is_late.is_set():  # half an answer is none
            raise TimeoutError

    def _end(self, is_late: threading.Event) -> None:
        """Has whatever waits for it go on."""
        is_late.set()
        with suppress(AttributeError, OSError):  # there is none yet, or it has ended
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # as it is, also where encrypted


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None
