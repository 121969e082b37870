"""Ports: which are free, and whose they are."""

import os
import socket

from harness.serving import ports


def test_a_free_port_can_be_listened_on():
    """Until somebody does."""
    port = ports.free_port()
    assert ports.is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not ports.is_free(port)


def test_the_process_that_listens_is_known():
    """By the socket among its open files; a process that has ended listens to nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.listens([os.getpid()], port) is True
        assert ports.listens([1], port) is False
        assert ports.listens([2**22 + 1], port) is False
    assert ports.listens([os.getpid()], port) is False


def test_an_address_of_ipv6_counts():
    """A server may listen there only."""
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        return
    with server:
        assert ports.listens([os.getpid()], server.getsockname()[1]) is True


def test_a_connection_is_no_listener():
    """Its port is not taken for a server's."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert ports.listens([os.getpid()], client.getsockname()[1]) is False
