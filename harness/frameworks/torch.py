"""PyTorch modules as Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from harness.errors import EngineError
from harness.formats.base import Imported
from harness.formats.torch_module import arranged, import_torch, save
from harness.frameworks.base import Framework
from harness.schema import FrameworkSpec, Training
from harness.variants.base import TrainData

LOSSES = {"sparse_categorical_crossentropy": "cross_entropy", "mse": "mse_loss", "mean_squared_error": "mse_loss"}
"""Losses of a suite and their functions in torch.nn.functional; the cross-entropy takes logits."""
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rmsprop": "RMSprop"}


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
        torch = import_torch()
        if training.loss not in LOSSES or training.optimizer.lower() not in OPTIMIZERS:
            raise EngineError(
                f"loss {training.loss!r} with optimizer {training.optimizer!r} is not supported for PyTorch models",
                f"use a loss of {', '.join(LOSSES)} and an optimizer of {', '.join(OPTIMIZERS)}",
                refused=True,
            )
        self.seed(seed)
        loss_of, rate = getattr(torch.nn.functional, LOSSES[training.loss]), training.learning_rate or 1e-3
        optimizer = getattr(torch.optim, OPTIMIZERS[training.optimizer.lower()])(model.parameters(), lr=rate)
        tensors = [torch.from_numpy(array) for array in (*data.inputs, data.labels) if array is not None]
        batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), training.batch_size, shuffle=True)
        model.train()
        last = None
        for _ in range(training.epochs):
            for *inputs, labels in batches:
                optimizer.zero_grad()
                loss = loss_of(model(*inputs), labels.long() if "crossentropy" in training.loss else labels)
                loss.backward()
                optimizer.step()
                last = float(loss.detach())
        model.eval()
        if last is None or not isfinite(last):
            raise EngineError("training diverged: the loss is not finite", "lower `training.learning_rate`")
        return {"epochs": training.epochs, "steps": len(batches) * training.epochs, "loss": round(last, 6)}
