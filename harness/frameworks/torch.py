"""PyTorch modules as Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from harness.formats.base import Imported
from harness.formats.torch_module import arranged, import_torch, save
from harness.frameworks.base import Framework
from harness.schema import FrameworkSpec, Training
from harness.variants.base import TrainData
from harness.variants.torch_training import fit


class Torch(Framework):
    """PyTorch."""

    spec: ClassVar = FrameworkSpec(
        name="torch", summary="PyTorch", format="torch", packages=("torch", "torchvision", "timm", "numpy"), venv="torch"
    )

    def seed(self, seed: int) -> None:
        """Fix PyTorch, NumPy and Python."""
        super().seed(seed)
        import_torch().manual_seed(seed)

    def owns(self, model: Any) -> bool:
        """Whether it is an `nn.Module`."""
        return isinstance(model, import_torch().nn.Module)

    def arrange(self, model: Any, names: Sequence[str], samples: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """By the names of the parameters of `forward`."""
        return arranged(model, names, samples)

    def save(self, model: Any, folder: Path, samples: Sequence[NDArray[Any]]) -> Imported:
        """Store it as a pickled module with its signature."""
        torch = import_torch()
        return save(model, folder, [torch.from_numpy(sample.copy()) for sample in samples])

    def fit(self, model: Any, training: Training, data: TrainData, seed: int) -> dict[str, Any]:
        """Train it in place on shuffled batches."""
        self.seed(seed)
        return fit(model, training, data, seed)
