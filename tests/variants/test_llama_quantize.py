"""q4_k_m by llama.cpp's program: found, run, and its result read back; the program is a stand-in."""

from __future__ import annotations

import sys

import pytest

from harness.errors import EngineError
from harness.formats.gguf_header import read_header
from harness.variants.base import Job
from harness.variants.llama_quantize import GgufQ4KM, find_program
from tests.gguf_models import Tensor, gguf_bytes, tiny

PROGRAM = """#!{python}
import shutil, sys
options, (source, target, kind) = sys.argv[1:-3], sys.argv[-3:]
assert options == ["--allow-requantize"] and kind == "Q4_K_M", sys.argv
{body}
"""
LLAMA = {"general.architecture": "llama"}


def install(folder, monkeypatch, body):
    """A program that the variable names."""
    path = folder / "llama-quantize"
    path.write_text(PROGRAM.format(python=sys.executable, body=body))
    path.chmod(0o755)
    monkeypatch.setenv("HARNESS_LLAMA_QUANTIZE", str(path))
    return path


def apply(source, folder):
    """The variant of a file: its path, and the notes."""
    folder.mkdir()
    job = Job(source, "gguf", "gguf", folder)
    path, facts = GgufQ4KM().apply(job)
    return path, facts, job.notes


def written(folder, *tensors):
    """The path of a file that the program copies."""
    path = folder / "result.gguf"
    path.write_bytes(gguf_bytes(LLAMA, tensors))
    return path


def test_what_it_stored_is_read_back(tmp_path, monkeypatch):
    """Shares of the types, the tensors that fell back, a source that was quantized already, and which program it was."""
    source = tiny(tmp_path, tensors=[Tensor("a.weight", (256, 2), "Q8_0", bytes(544)), Tensor("b.weight", (64, 2))])
    result = written(tmp_path, Tensor("a.weight", (256, 2), "Q4_K", bytes(288)), Tensor("b.weight", (64, 2), "Q5_0", bytes(88)))
    program = install(tmp_path, monkeypatch, f"shutil.copyfile({str(result)!r}, target)")
    path, facts, notes = apply(source, tmp_path / "out")
    assert [each.type.name for each in read_header(path).tensors] == ["Q4_K", "Q5_0"] and facts.parameters == 640
    assert notes["stored"] == {"Q4_K": 0.8, "Q5_0": 0.2} and notes["other_types"] == {"b.weight": "Q5_0"}
    assert notes["requantized_from"] == ["Q8_0"] and notes["program"]["path"] == str(program) and len(notes["program"]["sha256"]) == 64


def test_a_file_of_something_else_is_refused(tmp_path, monkeypatch):
    """Rows of 64 elements are no K-quants."""
    result = written(tmp_path, Tensor("b.weight", (64, 8), "Q5_0", bytes(352)))
    install(tmp_path, monkeypatch, f"shutil.copyfile({str(result)!r}, target)")
    with pytest.raises(EngineError, match="would store 100% Q5_0 and nothing of q4_k_m, whose rows are multiples of 256") as refusal:
        apply(tiny(tmp_path), tmp_path / "out")
    assert refusal.value.refused


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("sys.exit('llama_model_quantize: failed to quantize: unknown model')", "exit code 1: llama_model_quantize: failed to quantize"),
        ("pass", "exit code 0: no output"),
        ("shutil.copyfile(source, target); open(target, 'r+').truncate(100)", "cut short"),
    ],
)
def test_a_program_that_fails_is_an_error(tmp_path, monkeypatch, body, reason):
    """With its own reason; also one that writes nothing, or only a part."""
    install(tmp_path, monkeypatch, body)
    with pytest.raises(EngineError, match=reason) as failure:
        apply(tiny(tmp_path), tmp_path / "out")
    assert not failure.value.refused


def test_without_the_program_it_is_refused(tmp_path, monkeypatch):
    """With how to install it; the variable must name a program."""
    monkeypatch.delenv("HARNESS_LLAMA_QUANTIZE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="llama-quantize, which is not on PATH") as refusal:
        find_program()
    assert refusal.value.refused and "HARNESS_LLAMA_QUANTIZE" in refusal.value.hint
    monkeypatch.setenv("HARNESS_LLAMA_QUANTIZE", str(tmp_path / "absent"))
    with pytest.raises(EngineError, match="which is no executable program"):
        find_program()
    program = install(tmp_path, monkeypatch, "pass")
    monkeypatch.delenv("HARNESS_LLAMA_QUANTIZE")
    assert find_program() == program
