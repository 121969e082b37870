"""Quantization of GGUF models by llama.cpp's own program, where it is installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from harness.errors import EngineError
from harness.formats.gguf import FILE, facts
from harness.formats.gguf_header import read_header
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import LEAVE_OUT, Job, Recipe, not_applicable
from harness.variants.gguf import check_stored, stored_notes

PROGRAM = "llama-quantize"
VARIABLE = "HARNESS_LLAMA_QUANTIZE"
INSTALL = f"install llama.cpp, or set {VARIABLE} to the path of its {PROGRAM}"
K_QUANTS = {"Q4_K", "Q5_K", "Q6_K"}


class GgufQ4KM(Recipe):
    """Matrices in Q4_K, some in Q6_K (about 4.8 bits a weight); rows that are no multiple of 256 elements get Q5_0 or Q8_0."""

    spec: ClassVar = VariantSpec(name="q4_k_m", summary=f"GGUF matrices in Q4_K_M, by {PROGRAM}", conversions=(("gguf", "gguf"),))

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Run the program, and read back what it stored."""
        program, path = find_program(), job.folder / FILE
        command = [str(program), "--allow-requantize", str(job.source), str(path), "Q4_K_M"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=job.folder)
        if done.returncode != 0 or not path.is_file():
            lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            reason = next(
                (line for line in lines if "error" in line.lower() or "fail" in line.lower()), lines[-1] if lines else "no output"
            )
            raise EngineError(f"{program} ended with exit code {done.returncode}: {reason[:300]}", LEAVE_OUT)
        source, written = read_header(job.source), read_header(path)
        check_stored(written, K_QUANTS, self.spec.name)
        job.notes.update(stored_notes(source, written, K_QUANTS))
        job.notes["program"] = {"path": str(program), "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}
        return path, facts(written)


def find_program() -> Path:
    """Path of llama.cpp's quantizer.

    Raises:
        EngineError: It is not installed, or the variable names no program.
    """
    given = os.environ.get(VARIABLE)
    path = shutil.which(given or PROGRAM)
    if path:
        return Path(path).resolve()
    if given:
        raise not_applicable(f"{VARIABLE} is {given!r}, which is no executable program", INSTALL)
    raise not_applicable(f"q4_k_m needs llama.cpp's program {PROGRAM}, which is not on PATH", INSTALL)
