"""Connections of the client: asyncio's protocols with the parser of Node.js, which take half the CPU of httpx's default.

The client runs on the same meter as the server, and its default transport parses HTTP in Python at each token.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

import httptools
import httpx

Origin = tuple[bytes, bytes, int]
"""Scheme, host and port."""
PORTS = {b"http": 80, b"https": 443}


class ReadClock:
    """The time of the read that brought the chunk of a response which is being handled.

    Attributes:
        now_ns: Time on CLOCK_MONOTONIC in ns.
    """

    def __init__(self) -> None:
        self.now_ns = time.monotonic_ns()


class Transport(httpx.AsyncBaseTransport):
    """A transport without a limit of connections.

    Args:
        kept_s: Time after which an idle connection is closed.
        clock: Set for each chunk.
        verify: Whether certificates are checked.
    """

    def __init__(self, kept_s: float, clock: ReadClock, *, verify: bool) -> None:
        self._kept_s, self._clock = kept_s, clock
        self._tls = httpx.create_ssl_context() if verify else None
        self._idle: dict[Origin, list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the head of its response."""
        limits = request.extensions.get("timeout", {})
        origin = request.url.raw_scheme, request.url.raw_host, request.url.port or PORTS[request.url.raw_scheme]
        body = b"".join([part async for part in request.stream]) if isinstance(request.stream, httpx.AsyncByteStream) else b""
        connection = self._kept(origin) or await self._connected(origin, limits.get("connect"))
        head = b"".join(b"%b: %b\r\n" % each for each in request.headers.raw)
        try:
            status, headers = await connection.send(
                b"%b %b HTTP/1.1\r\n%b\r\n%b" % (request.method.encode(), request.url.raw_path, head, body), limits.get("read")
            )
        except BaseException:
            connection.abort()
            raise
        return httpx.Response(
            status, headers=headers, stream=_Body(connection, self._clock, limits.get("read"), lambda: self._keep(origin, connection))
        )

    async def aclose(self) -> None:
        """Close the idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _kept(self, origin: Origin) -> _Connection | None:
        """An idle connection that is still open; None if there is none."""
        idle, now_s = self._idle.get(origin, []), time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.open and now_s - connection.idle_since_s < self._kept_s:
                return connection
            connection.abort()
        return None

    def _keep(self, origin: Origin, connection: _Connection) -> None:
        if connection.reusable:
            connection.idle_since_s = time.monotonic()
            self._idle.setdefault(origin, []).append(connection)
        else:
            connection.abort()

    async def _connected(self, origin: Origin, timeout_s: float | None) -> _Connection:
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    _Connection, host.decode(), port, ssl=self._tls if scheme == b"https" else None
                )
        except TimeoutError as cause:
            raise httpx.ConnectTimeout(f"no connection within {timeout_s:g} s") from cause
        except (OSError, ssl.SSLError) as cause:
            raise httpx.ConnectError(str(cause)) from cause
        return connection


class _Connection(asyncio.Protocol):
    """One connection, with the response that is being read.

    Attributes:
        open: Whether it can be used.
        idle_since_s: End of the last response, s on CLOCK_MONOTONIC.
    """

    def __init__(self) -> None:
        self.open, self.idle_since_s = True, 0.0
        self._complete = True
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def send(self, message: bytes, silence_s: float | None) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Send a request; status and headers of its response."""
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._chunks: deque[tuple[int, bytes]] = deque()
        self._has_head, self._complete, self._keeps = False, False, False
        self._transport.write(message)
        while not self._has_head:
            await self._more(silence_s)
        return self._parser.get_status_code(), self._headers

    async def chunk(self, silence_s: float | None) -> tuple[int, bytes] | None:
        """The next part of the body with the time of its read; None at the end."""
        while not self._chunks:
            if self._complete:
                return None
            await self._more(silence_s)
        return self._chunks.popleft()

    async def _more(self, silence_s: float | None) -> None:
        """Wait until something has arrived.

        Raises:
            httpx.TransportError: The connection is broken, or silent for too long.
        """
        if self._error:
            raise self._error
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        late = loop.call_later(silence_s, self._fail, httpx.ReadTimeout(f"silent for {silence_s:g} s")) if silence_s else None
        try:
            await self._waiter
        finally:
            self._waiter = None
            if late:
                late.cancel()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: the response is complete, and the server keeps the connection."""
        return self.open and self._complete and self._keeps

    def abort(self) -> None:
        """Close it at once."""
        self.open = False
        self._transport.abort()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.open = False
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(self._error)

    # --- callbacks of asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what one read has brought."""
        read_ns = time.monotonic_ns()
        if self._complete:  # nothing was asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as cause:
            self._fail(httpx.RemoteProtocolError(f"the response is not HTTP: {cause}"))
            return
        if self._parts:
            self._chunks.append((read_ns, b"".join(self._parts)))
            self._parts.clear()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a response that lasts until the end of the connection; any other one is broken."""
        self.open = False
        if self._complete:
            return
        names = {name.lower() for name, _ in self._headers}
        if exc is None and self._has_head and not names & {b"content-length", b"transfer-encoding"}:
            self._complete = True
            self._wake()
        else:
            text = "the server closed the connection before the end of its response"
            self._fail(httpx.ReadError(str(exc)) if exc else httpx.RemoteProtocolError(text))

    # --- callbacks of the parser ---

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete, unless the response is informational."""
        self._has_head = self._parser.get_status_code() >= httpx.codes.OK
        if not self._has_head:
            self._headers.clear()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """The response is complete."""
        if self._has_head:
            self._complete, self._keeps = True, self._parser.should_keep_alive()


class _Body(httpx.AsyncByteStream):
    """The body of a response; each of its chunks sets the clock to the time of its read."""

    def __init__(self, connection: _Connection, clock: ReadClock, silence_s: float | None, release: Callable[[], None]) -> None:
        self._connection, self._clock, self._silence_s, self._release = connection, clock, silence_s, release

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while part := await self._connection.chunk(self._silence_s):
            self._clock.now_ns = part[0]
            yield part[1]

    async def aclose(self) -> None:
        self._release()
