"""Separate virtual environments: where they are, and what is installed in them."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import plugins, venvs
from harness.errors import EngineError
from harness.schema import Catalogue, EngineSpec, PluginSpec, VariantSpec


def test_it_is_next_to_ours_or_where_a_variable_names_it(monkeypatch, tmp_path):
    """The variable has the name in capitals."""
    monkeypatch.delenv("HARNESS_VENV_OTHER", raising=False)
    assert venvs.folder("other") == Path(sys.prefix).parent / ".venv-other"
    monkeypatch.setenv("HARNESS_VENV_OTHER", str(tmp_path))
    assert venvs.folder("other") == tmp_path


def test_a_hyphen_in_the_name_is_an_underscore_in_the_variable(monkeypatch, tmp_path):
    """Shells do not take it in the name of a variable."""
    monkeypatch.setenv("HARNESS_VENV_ONNXRUNTIME_GPU", str(tmp_path))
    assert venvs.folder("onnxruntime-gpu") == tmp_path
    with pytest.raises(EngineError) as caught:
        venvs.python(PluginSpec(name="p", venv="onnxruntime-gpu", packages=("no-such-package",)))
    assert "make onnxruntime-gpu" in caught.value.hint and "HARNESS_VENV_ONNXRUNTIME_GPU" in caught.value.hint


def test_a_missing_interpreter_is_refused_with_the_command_that_makes_it(monkeypatch, tmp_path):
    """So that the record is `refused`."""
    monkeypatch.setenv("HARNESS_VENV_OTHER", str(tmp_path))
    with pytest.raises(EngineError, match="does not exist") as caught:
        venvs.python(PluginSpec(name="p", venv="other", packages=("no-such-package",)))
    assert caught.value.refused and f"python -m venv {tmp_path}" in caught.value.hint and "HARNESS_VENV_OTHER" in caught.value.hint


def test_the_command_that_sets_it_up_is_a_target_of_the_makefile_or_pips(monkeypatch, tmp_path):
    """Pip's for an environment of another package, and where there is no Makefile; an environment may have locks for several CUDAs."""
    assert [venvs.setup_command(name) for name in ("torch", "onnxruntime-gpu")] == ["make torch", "make onnxruntime-gpu"]
    own = venvs.setup_command("acme", [PluginSpec(name="p", venv="acme", packages=("acme-runtime",))])
    assert own.endswith(f".venv-acme/bin/python -m pip install {venvs.CHECKOUT} acme-runtime")
    point = EntryPoint("p", "acme:Engine", "harness.engines")._for(SimpleNamespace(name="harness-acme"))
    monkeypatch.setattr(venvs, "entry_points", lambda **_: EntryPoints([point]))
    assert venvs.setup_command("acme", [PluginSpec(name="p", venv="acme", packages=("acme-runtime",))]).endswith(
        f"pip install {venvs.CHECKOUT} harness-acme acme-runtime"
    )
    monkeypatch.setattr(venvs, "CHECKOUT", tmp_path)
    assert venvs.setup_command("torch", [PluginSpec(name="p", extra="torch")]).endswith("pip install 'harness[torch]'")


def test_the_makefile_has_a_target_for_each_environment():
    """Those that our plug-ins name, with a line of help."""
    makefile = (venvs.CHECKOUT / "Makefile").read_text()
    ours = [each for each in venvs.environments(plugins.catalogue()) if each.setup.startswith("make ")]
    assert {"tfmot", "torch"} <= {each.name for each in ours}
    assert all(f"\n{each.name}: ## " in makefile for each in ours)


def test_an_environment_in_the_checkout_is_found_too(monkeypatch, tmp_path):
    """Where ours is elsewhere, as in an image."""
    monkeypatch.delenv("HARNESS_VENV_OTHER", raising=False)
    monkeypatch.setattr(venvs, "CHECKOUT", tmp_path)
    assert venvs.folder("other").parent == Path(sys.prefix).parent
    (tmp_path / ".venv-other").mkdir()
    assert venvs.folder("other") == tmp_path / ".venv-other"


def test_environments_are_listed_with_their_plugins(monkeypatch, tmp_path):
    """Whether they are installed, whose path the user gave, and which plug-ins use ours instead; names with a hyphen have variables too."""
    monkeypatch.setenv("HARNESS_VENV_ACME_GPU", str(tmp_path))
    engine = EngineSpec(
        name="acme", formats=("onnx",), devices=("cpu", "gpu"), by_device={"gpu": {"venv": "acme-gpu", "packages": ("no-such-package",)}}
    )
    recipe = VariantSpec(name="squash", conversions=(), venv="acme-gpu", packages=("numpy",))
    (found,) = venvs.environments(Catalogue({"acme": engine}, {}, {"squash": recipe}, {}))
    assert (found.name, found.folder, found.given, found.installed) == ("acme-gpu", str(tmp_path), True, False)
    assert found.plugins == ("engine acme", "variant squash") and found.in_ours == ("variant squash",) and found.missing
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (found,) = venvs.environments(Catalogue({"acme": engine}, {}, {"squash": recipe}, {}))
    assert found.installed and found.in_ours == () and not found.missing


def test_ours_is_used_without_a_name_or_if_it_has_the_library(monkeypatch, tmp_path):
    """Its environment is preferred if it exists."""
    monkeypatch.setenv("HARNESS_VENV_OTHER", str(tmp_path))
    spec = PluginSpec(name="p", venv="other", packages=("numpy", "no-such-package"))
    assert venvs.used(PluginSpec(name="p")) is None
    assert venvs.used(spec) is None and venvs.python(spec) == sys.executable
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert venvs.used(spec) == "other" and venvs.python(spec) == str(tmp_path / "bin" / "python")


def test_versions_are_those_of_the_environment(monkeypatch, tmp_path):
    """Ours without a name; None for a package that is not installed."""
    assert venvs.versions(None, ["numpy", "no-such-package"])["no-such-package"] is None
    assert venvs.versions(None, ["numpy"])["numpy"]
    info = tmp_path / "lib/python3.11/site-packages/numpy-9.9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 9.9\nRequires-Dist: cuda>=12\n")
    monkeypatch.setenv("HARNESS_VENV_OTHER", str(tmp_path))
    assert venvs.requirements("other", "numpy") == ["cuda>=12"] and venvs.requirements("other", "pydantic") == []
    assert venvs.versions("other", ["numpy", "pydantic"]) == {"numpy": "9.9", "pydantic": None}
