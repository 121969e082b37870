"""TensorRT engines that ONNX Runtime compiled into a folder, and whether a session used them or compiled again.

ONNX Runtime keeps an engine as a file whose name has a hash of the model, the precision and the compute capability. It loads a file of that name
without a check of the driver or of TensorRT (a file that TensorRT cannot read is an error), and else compiles: when the session is created, or at the
first query if the model has dynamic dimensions. Inputs outside the shapes in the file's profile replace it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from harness.errors import EngineError

ENGINES = "*.engine"
LIST = "engines.json"
"""File with the hash of each engine of a build."""

State = Literal["built", "compiled", "compiled again"]


def seal(folder: Path) -> dict[str, str]:
    """Store and return the hashes of the engines that were compiled into a folder, by file.

    Raises:
        EngineError: There are none.
    """
    engines = _hashes(folder)
    if not engines:
        raise EngineError(
            "ONNX Runtime ran the model with TensorRT, but kept no engine", "use another release of onnxruntime-gpu, or provider: cuda"
        )
    (folder / LIST).write_text(json.dumps(engines), encoding="utf-8")
    return engines


def state(folder: Path | None) -> State:
    """Whether a session used the engines of a build (`built`), or compiled `again` because they did not fit; `compiled`: there is no build.

    Args:
        folder: Folder of the build, after the first query; None: there is none.
    """
    if folder is None or not (folder / LIST).is_file():
        return "compiled"
    return "built" if _hashes(folder) == json.loads((folder / LIST).read_text(encoding="utf-8")) else "compiled again"


def options(folder: Path | None) -> Mapping[str, str]:
    """Options of the provider for engines in a folder; None: they are compiled at each load and not kept."""
    return {"trt_engine_cache_enable": "0"} if folder is None else {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder)}


def _hashes(folder: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(folder.glob(ENGINES)):
        with path.open("rb") as file:
            hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
