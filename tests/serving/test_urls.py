"""Addresses that may be loaded: this machine, and what the user names."""

import pytest

from harness.errors import EngineError
from harness.serving.urls import ALLOW, checked_url


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("http://127.9.9.9:1/v1", "http://127.9.9.9:1"),
        ("http://LOCALHOST:8000/", "http://localhost:8000"),
        ("https://localhost", "https://localhost"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("http://[::ffff:127.0.0.1]:8000", "http://[::ffff:7f00:1]:8000"),
    ],
)
def test_this_machine_may_be_loaded(url, base):
    """With or without the path of the API, which is added later."""
    assert checked_url(url) in (base, base.replace("::ffff:7f00:1", "::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "http://192.168.1.5:8000", "http://example.com", "https://api.openai.com/v1", "http://0.0.0.0:8000", "http://127.0.0.1.example.com",
        "http://localhost.example.com", "http://[fe80::1]:80", "http://[::]:80", "http://2130706433:80",
    ],
)  # fmt: skip
def test_another_host_is_refused_unless_it_is_named(url, monkeypatch):
    """A benchmark is an attack on a server of somebody else."""
    monkeypatch.delenv(ALLOW, raising=False)
    with pytest.raises(EngineError, match="is not this machine") as caught:
        checked_url(url)
    assert caught.value.refused and ALLOW in caught.value.hint


def test_hosts_that_the_user_names_may_be_loaded(monkeypatch):
    """The whole name, in any case; not its subdomains."""
    monkeypatch.setenv(ALLOW, " gpu-box , 10.0.0.7")
    assert checked_url("http://GPU-box:8000/v1") == "http://gpu-box:8000"
    assert checked_url("https://10.0.0.7") == "https://10.0.0.7"
    with pytest.raises(EngineError, match="is not this machine"):
        checked_url("http://evil.gpu-box")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:8000/api",
            "http://127.0.0.1/v1?key=1"]
)  # fmt: skip
def test_what_is_no_address_is_a_sentence(url):
    """With an example."""
    with pytest.raises(EngineError, match="is not the address of a server") as caught:
        checked_url(url)
    assert "http://127.0.0.1:8000" in caught.value.hint


def test_a_password_is_refused_and_not_shown():
    """It would be stored in the record."""
    with pytest.raises(EngineError, match="password") as caught:
        checked_url("http://me:secret@127.0.0.1:8000")
    assert "secret" not in str(caught.value)
