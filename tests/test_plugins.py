"""What is found of plug-ins, ours and other people's."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from harness import plugins
from harness.engines.null import Null
from harness.errors import HarnessError

BROKEN = """
from harness.engines.null import Null
raise SystemError("its library is of another version")
"""
UNTRUE = """
from harness.engines.null import Null
class Engine(Null):
    pass
class Nothing:
    spec = "an engine"
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    """The catalogue where these entry points are installed in addition to the null engine."""
    for name, code in (("vendor_broken", BROKEN), ("vendor_untrue", UNTRUE)):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)

    def catalogue(**vendors: str):
        points = [EntryPoint(name, value, "harness.engines") for name, value in {"null": "harness.engines.null:Null", **vendors}.items()]
        monkeypatch.setattr(
            plugins, "entry_points", lambda group, name=None: [p for p in points if p.group == group and name in (None, p.name)]
        )
        return plugins.catalogue.__wrapped__()

    return catalogue


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("vendor_missing:Engine", "ModuleNotFoundError: No module named 'vendor_missing'"),
        ("vendor_broken:Engine", "SystemError: its library is of another version"),
        ("vendor_untrue:Absent", "AttributeError"),
        ("vendor_untrue:Engine", "its `spec` must be a PluginSpec named 'vendor'"),
        ("vendor_untrue:Nothing", "its `spec` must be a PluginSpec named 'vendor'"),
    ],
)
def test_a_broken_plug_in_costs_no_other(found, value, why):
    """Its reason is kept for whoever names it."""
    catalogue = found(vendor=value)
    assert list(catalogue.engines) == ["null"]
    assert list(catalogue.broken) == ["vendor"]
    assert f"{value} cannot be imported" in catalogue.broken["vendor"]
    assert why in catalogue.broken["vendor"]


def test_a_class_is_loaded_by_its_name(found):
    """And what nobody brings is a sentence."""
    found()
    assert plugins.load("engines", "null") is Null
    with pytest.raises(HarnessError, match="no plug-in named 'vendor' among the engines"):
        plugins.load("engines", "vendor")
