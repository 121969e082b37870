"""Connections over asyncio's streams: what httpx makes of their errors, and of connections that were closed meanwhile."""

import asyncio
import contextlib
import time

import httpx
import pytest

from harness.serving.transport import ReadClock, Transport


async def answered(answer, call, *, kept_s: float = 5.0, **options):
    """The result of a call with a client, of a server whose connections are handled by `answer`."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", transport=Transport(kept_s, ReadClock(), verify=False), **options) as client,
    ):
        return await call(client)


def server_of(*parts: bytes, keep: bool = True):
    """Handler that answers each request with some bytes, with pauses, and keeps the connection or closes it."""

    async def handle(reader, writer):
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if not keep:
                    break

    return handle


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def twice(client: httpx.AsyncClient) -> list[str]:
    """Two requests with a pause."""
    first = await client.get("/")
    await asyncio.sleep(0.05)
    return [first.text, (await client.get("/")).text]


@pytest.mark.parametrize("keep", [True, False])
def test_requests_over_kept_and_closed_connections(keep):
    """A connection that the server has closed while it was idle is not used again."""
    assert asyncio.run(answered(server_of(OK, keep=keep), twice)) == ["hi", "hi"]


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((), httpx.RemoteProtocolError),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",), httpx.RemoteProtocolError),
        ((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",), httpx.RemoteProtocolError),
        ((b"no http\r\n\r\n",), httpx.RemoteProtocolError),
    ],
)
def test_responses_that_are_cut(parts, error):
    """As with httpx's own transport."""
    with pytest.raises(error):
        asyncio.run(answered(server_of(*parts, keep=False), twice))


def test_time_limits():
    """Of silence and of a connection."""

    async def get(client):
        return await client.get("/", timeout=0.05)

    with pytest.raises(httpx.ReadTimeout):
        asyncio.run(answered(server_of(), get))


def test_no_server():
    """A refused connection."""

    async def get():
        async with httpx.AsyncClient(transport=Transport(1.0, ReadClock(), verify=False)) as client:
            await client.get("http://127.0.0.1:9")

    with pytest.raises(httpx.ConnectError):
        asyncio.run(get())


def test_certificates_are_checked():
    """A server without TLS is no server of https."""

    async def no_tls(reader, writer):
        with contextlib.closing(writer):
            writer.write(b"no tls")
            await reader.read(1)

    async def get():
        handler = await asyncio.start_server(no_tls, "127.0.0.1", 0)
        port = handler.sockets[0].getsockname()[1]
        async with handler, httpx.AsyncClient(transport=Transport(1.0, ReadClock(), verify=True)) as client:
            await client.get(f"https://127.0.0.1:{port}", timeout=5.0)

    with pytest.raises(httpx.ConnectError):
        asyncio.run(get())


def test_the_clock_is_set_at_a_read():
    """Not before, and not by what is done afterwards."""
    clock = ReadClock()
    before_ns = clock.now_ns

    async def get(port):
        async with httpx.AsyncClient(transport=Transport(1.0, clock, verify=False)) as client:
            await client.get(f"http://127.0.0.1:{port}")

    async def main():
        async with await asyncio.start_server(server_of(OK), "127.0.0.1", 0) as server:
            await get(server.sockets[0].getsockname()[1])

    asyncio.run(main())
    assert before_ns < clock.now_ns <= time.monotonic_ns()
