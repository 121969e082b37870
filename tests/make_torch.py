"""Run by the Python of .venv-torch: makes models, and writes what the tests of PyTorch assert as JSON."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchao.quantization import Int8WeightOnlyConfig, quantize_

from harness.engines.base import Load
from harness.engines.torch import Options, Torch
from harness.errors import EngineError
from harness.formats.base import ImportRequest
from harness.formats.pt2 import Pt2
from harness.formats.torch_module import TorchModule
from harness.frameworks.torch import Torch as Framework
from harness.schema import Training
from harness.variants.base import Job, TrainData
from harness.variants.torch_export import TorchToIr, TorchToOnnx
from harness.workloads.digits import DigitsCnnTorch
from harness.workloads.torch_models import Options as ModelOptions
from harness.workloads.torch_models import Timm, Torchvision


class Net(torch.nn.Module):
    """A small convnet for images of shape (1, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Linear(8 * 16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.out(torch.nn.functional.max_pool2d(torch.relu(self.conv(image)), 2).flatten(1))


def doubled(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """A hook that changes the answer."""
    return 2 * output


def refusal(call: Any) -> str | None:
    """The error of a call; None if there is none."""
    try:
        call()
    except EngineError as error:
        return f"{error.what} | {error.hint} | {error.refused}"
    return None


def engines(folder: Path, path: Path, pt2: Path, expected: np.ndarray, query: np.ndarray) -> dict[str, Any]:
    """Differences to the bare module, precisions and kernels of the engine."""
    facts: dict[str, Any] = {}
    cases = {"eager": {}, "bfloat16": {"dtype": "bfloat16"}, "channels_last": {"channels_last": True}}
    for source, format_ in ((path, "torch"), (pt2, "pt2")):
        for name, options in cases.items():
            session = Torch().open(Load(source, format_, "cpu", 2, 1, Options(**options)))
            (answer,) = session.answer([query])
            kernels = session.profile([[query]] * 3, 0.2)
            facts[f"{format_} {name}"] = {
                "difference": float(np.abs(answer - expected).max()),
                "dtype": str(answer.dtype),
                "precision": session.precision(),
                "kernels": sorted({kernel.precision for kernel in kernels if kernel.precision}),
                "inputs": [(tensor.name, tensor.shape) for tensor in session.inputs],
                "outputs": [tensor.shape for tensor in session.outputs],
                "facts": session.facts(),
            }
    hooked = torch.load(path / "module.pt", weights_only=False)
    hooked.register_forward_hook(doubled)
    (folder / "hooked").mkdir()
    source = Framework().save(hooked, folder / "hooked", [query]).path
    torch.compile, compiler = functools.partial(torch.compile, backend="eager"), torch.compile  # traces, and generates no code
    for mode in ("eager", "compile"):
        (answer,) = Torch().open(Load(source, "torch", "cpu", 2, 1, Options(mode=mode))).answer([query])
        facts[f"{mode} with a hook"] = float(np.abs(answer - 2 * expected).max())
    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)).eval()
    quantize_(layers, Int8WeightOnlyConfig())
    (folder / "quantized").mkdir()
    source = Framework().save(layers, folder / "quantized", [query]).path
    answers = [Torch().open(Load(source, "torch", "cpu", 2, 1, Options(mode=mode))).answer([query])[0] for mode in ("eager", "compile")]
    facts["compiled quantized layers"] = float(np.abs(answers[0] - answers[1]).max())
    torch.compile = compiler
    load = Load(path, "torch", "cpu", 2, 1, Options(tf32="on"))
    facts["tf32 on cpu"] = refusal(lambda: Torch().open(load))
    if not torch.cuda.is_available():
        facts["no gpu"] = refusal(lambda: Torch().open(Load(path, "torch", "gpu", 2, 1, Options())))
    return facts


def digits() -> dict[str, Any]:
    """Size and training accuracy of the digits network on patterns of ten classes; the real images need scikit-learn, which is not here."""
    framework, net = Framework(), DigitsCnnTorch().model()
    rng = np.random.default_rng(0)
    labels = np.arange(500) % 10
    patterns = rng.random((10, 1, 8, 8), dtype=np.float32)
    images = np.clip(patterns[labels] + 0.1 * rng.normal(size=(500, 1, 8, 8)).astype(np.float32), 0, 1)
    framework.fit(net, DigitsCnnTorch.training, TrainData([images], labels), 0)
    accuracy = float((net(torch.from_numpy(images)).argmax(1).numpy() == labels).mean())
    return {"parameters": sum(p.numel() for p in net.parameters()), "accuracy": accuracy}


def main(folder: Path) -> None:
    """Everything, and the report last."""
    torch.manual_seed(0)
    net, query = Net(), np.random.default_rng(0).random((2, 1, 8, 8), dtype=np.float32)
    framework = Framework()
    stored = framework.save(net, folder, [query])
    expected = net(torch.from_numpy(query)).detach().numpy()
    program = torch.export.export(net.eval(), (torch.from_numpy(query),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    torch.export.save(program, folder / "net.pt2")
    (folder / "imported").mkdir()
    imported = Pt2().import_model(ImportRequest(folder / "net.pt2", folder / "imported"))
    torch.save(net, folder / "net.pt")
    torch.save(net.state_dict(), folder / "weights.pt")
    report: dict[str, Any] = {
        "facts": {"torch": stored.facts.model_dump(), "pt2": imported.facts.model_dump()},
        "without samples": refusal(lambda: framework.save(net, folder, [])),
        "owns": [framework.owns(net), framework.owns(query)],
    }
    for name, trusted in (("net.pt", False), ("weights.pt", True)):
        request = ImportRequest(folder / name, folder, trusted=trusted, samples=[query])
        report[f"import {name}"] = refusal(lambda request=request: TorchModule().import_model(request))
    for source, format_ in ((stored.path, "torch"), (folder / "net.pt2", "pt2")):
        for recipe in (TorchToOnnx, TorchToIr):
            target = folder / f"{format_}-{recipe.spec.name}"
            target.mkdir()
            made, facts = recipe().apply(Job(source, format_, recipe.spec.conversions[0][1], target))
            report[f"{format_} {recipe.spec.name}"] = {"path": str(made), "facts": facts.model_dump()}
    trained = Net()
    x = np.concatenate([np.full((64, 1, 8, 8), value, np.float32) for value in (0.0, 1.0)])
    data = TrainData([x], np.repeat([0, 1], 64))
    notes = framework.fit(trained, Training(epochs=20, learning_rate=0.01), data, 0)
    report["training"] = {"notes": notes, "accuracy": float((trained(torch.from_numpy(x)).argmax(1).numpy() == data.labels).mean())}
    certain = torch.nn.Sequential(Net(), torch.nn.Softmax(1))
    notes = framework.fit(certain, Training(epochs=20, learning_rate=0.01), data, 0)
    report["probabilities"] = {"notes": notes, "accuracy": float((certain(torch.from_numpy(x)).argmax(1).numpy() == data.labels).mean())}
    report["loss"] = refusal(lambda: framework.fit(trained, Training(loss="hinge"), data, 0))
    report["digits"] = digits()
    for family, name in ((Torchvision, "squeezenet1_1"), (Timm, "mobilenetv3_small_050")):
        model = family(name, ModelOptions(image_size=64))
        report[family.spec.name] = sum(p.numel() for p in model.model().parameters())
        report[f"{family.spec.name} unknown"] = refusal(lambda family=family: family("no_such_net", ModelOptions()).model())
    report["engine"] = engines(folder, stored.path, folder / "net.pt2", expected, query)  # last: it ends autograd in this process
    np.savez(folder / "query.npz", query=query, expected=expected)
    (folder / "torch.json").write_text(json.dumps(report, default=str))


if __name__ == "__main__":
    began = time.time()
    main(Path(sys.argv[1]))
    print(f"{time.time() - began:.1f} s, {os.getpid()}")
