"""Connections of the client over asyncio's own streams: half the CPU of httpx's default, which is on the same meter as the server.

The default stops and resumes the watching of a socket, and opens a scope for cancellation, at every read, that is at every token.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx


class ReadClock:
    """The time of the last read.

    A chunk is handled before its task waits for the next read, so this is the time of the read that it came in, also of several chunks of one read.

    Attributes:
        now_ns: Time on CLOCK_MONOTONIC in ns.
    """

    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns()


class Transport(httpx.AsyncHTTPTransport):
    """A transport without a limit of connections.

    Args:
        kept_s: Time after which an idle connection is closed.
        clock: Set at each read.
        verify: Whether certificates are checked.
    """

    def __init__(self, kept_s: float, clock: ReadClock, *, verify: bool) -> None:
        super().__init__(verify=verify)
        context = httpx.create_ssl_context() if verify else None
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=None,
            keepalive_expiry=kept_s,
            network_backend=_Backend(clock),
        )


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, clock: ReadClock) -> None:
        self._clock = clock

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
            async with asyncio.timeout(timeout):
                return _Stream(*await asyncio.open_connection(host, port), self._clock)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: ReadClock) -> None:
        self._clock = clock
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError):
            async with asyncio.timeout(timeout):
                content = await self._reader.read(max_bytes)
        self._clock.now_ns = time.monotonic_ns()
        return content

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError):
            self._writer.write(buffer)
            async with asyncio.timeout(timeout):
                await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self._writer.wait_closed()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:
            self._writer.transport.abort()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._is_readable()
        names = {"ssl_object": "ssl_object", "client_addr": "sockname", "server_addr": "peername", "socket": "socket"}
        return self._writer.get_extra_info(names[info]) if info in names else None

    def _is_readable(self) -> bool:
        """Whether an idle connection has something to read, which can only be its end."""
        connection = self._writer.get_extra_info("socket")
        if self._reader.at_eof() or self._writer.is_closing() or connection.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        return bool(poll.poll(0))


@contextlib.contextmanager
def _mapped(timeout: type[Exception], error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as cause:
        raise timeout(str(cause)) from cause
    except OSError as cause:
        raise error(str(cause)) from cause
