"""Run by the Python of .venv-torch: makes variants of small modules, runs them, and writes what the tests assert as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import plugins
from harness.analysis.kernels import precision_of
from harness.energy.precision import examine_precision
from harness.engines.base import Load
from harness.engines.torch import Options, Torch
from harness.errors import EngineError
from harness.formats.pt2 import check_pt2
from harness.formats.stored_types import stored_types
from harness.formats.torch_module import arranged
from harness.frameworks.torch import Torch as Framework
from harness.schema import Training
from harness.variants.base import Job, TrainData

TRAINING = Training(epochs=6, batch_size=16, learning_rate=0.01)
RECIPES: dict[str, dict[str, Any]] = {
    "torch_int8": {"samples": 16},
    "int8_dynamic": {},
    "int8_weight_only": {},
    "torch_prune": {"final_sparsity": 0.75},
    "torch_channel_prune": {"ratio": 0.5},
}
REQUESTS = {"torch_int8": "int8", "int8_dynamic": "int8"}
RUNS = [
    ("dense", {}),
    ("dense", {"dtype": "bfloat16"}),
    ("torch_int8", {}),
    ("torch_int8", {"mode": "compile"}),
    ("torch_int8", {"dtype": "bfloat16"}),
    ("int8_dynamic", {}),
    ("int8_weight_only", {}),
    ("int8_weight_only", {"dtype": "bfloat16"}),
    ("torch_prune", {}),
    ("torch_channel_prune", {}),
]


class Net(torch.nn.Module):
    """A convolution, a batch normalisation and two wide linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.BatchNorm2d(8)
        self.hidden, self.out = torch.nn.Linear(512, 256), torch.nn.Linear(256, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.out(torch.relu(self.hidden(torch.relu(self.norm(self.conv(image))).flatten(1))))


class Plain(torch.nn.Module):
    """Nothing but linear layers: `Pair` with two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = torch.nn.Linear(256, 256), torch.nn.Linear(128, 256)

    def forward(self, left: torch.Tensor, right: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Their sum."""
        return (self.left(left) + self.right(right)) * scale


class Mixing(torch.nn.Module):
    """Attention, which reshapes to a fixed number of features."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.out = torch.nn.Linear(16, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.out(self.layer(tokens).mean(1))


class Reshaping(torch.nn.Module):
    """Features that are folded into the batch if there are fewer of them."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = torch.nn.Linear(16, 16), torch.nn.Linear(4, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.out(self.embed(tokens).reshape(-1, 12, 4).mean(1))


def build(name: str, source: Path, format_: str, folder: Path, data: TrainData) -> tuple[Path, str, dict[str, Any]]:
    """(path, format, facts and notes) of a recipe applied to an artifact."""
    recipe = plugins.load("variants", name)
    target = folder / f"{source.parent.name}-{format_}-{name}"
    target.mkdir()
    out = dict(recipe.spec.conversions)[format_]
    parameters = recipe.spec.parameters(**RECIPES[name]) if recipe.spec.parameters else None
    job = Job(source, format_, out, target, parameters, data, TRAINING, 0)
    path, facts = recipe().apply(job)
    return path, out, {"facts": facts.model_dump(), "notes": job.notes}


def refusal(call: Any) -> str | None:
    """The error of a call; None if there is none."""
    try:
        call()
    except EngineError as error:
        return f"{error.what} | {error.hint} | {error.refused}"
    return None


def run(path: Path, format_: str, options: dict[str, Any], inputs: list[np.ndarray], requested: str | None) -> dict[str, Any]:
    """Answers, precisions and findings of the engine."""
    try:
        session = Torch().open(Load(path, format_, "cpu", len(inputs[0]), 1, Options(**options)))
    except EngineError as error:
        return {"refused": f"{error.what} | {error.hint}"}
    (answer,) = session.answer(inputs)
    kernels = session.profile([inputs] * 3, 0.2)
    types = stored_types(path, format_)
    return {
        "answer": answer.tolist(),
        "precision": session.precision(),
        "ran": precision_of(kernels),
        "kernels": sorted({kernel.op for kernel in kernels}),
        "stored": sorted(types or ()),
        "findings": [finding.code for finding in examine_precision(requested, session.precision(), kernels, types)],
        "inputs": [tensor.name for tensor in session.inputs],
        "facts": session.facts(),
    }


def requested(name: str, options: dict[str, Any]) -> str | None:
    """The precision that a case requests."""
    precision: str | None = REQUESTS.get(name, options.get("dtype"))
    return precision


def run_all(folder: Path) -> None:
    """The cases that the builds left, in the engine."""
    cases = json.loads((folder / "cases.json").read_text())
    data = {name: list(np.load(folder / f"{name}.npz").values()) for name in ("images", "pair")}
    runs = {key: run(Path(path), format_, options, data[inputs], asked) for key, (path, format_, options, inputs, asked) in cases.items()}
    (folder / "runs.json").write_text(json.dumps(runs, default=str))


def main(folder: Path) -> None:
    """Everything, and the report last."""
    torch.manual_seed(0)
    framework, rng = Framework(), np.random.default_rng(0)
    images = rng.random((96, 1, 8, 8), dtype=np.float32)
    labels = (images[:, 0, :4, :4].mean((1, 2)) > 0.5) * 2 + (images[:, 0, 4:, 4:].mean((1, 2)) > 0.5)
    data, report, folder = TrainData([images], labels), {}, folder / "torch-variants"
    (folder / "net").mkdir(parents=True)
    net = Net()
    framework.fit(net, TRAINING, data, 0)
    artifacts = {"dense": (framework.save(net, folder / "net", [images[:2]]).path, "torch")}
    for name in RECIPES:
        path, format_, report[name] = build(name, artifacts["dense"][0], "torch", folder, data)
        artifacts[name] = path, format_
    check_pt2(artifacts["torch_int8"][0])
    program = torch.export.export(net, (torch.from_numpy(images[:2]),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    (folder / "program").mkdir()
    torch.export.save(program, folder / "program" / "net.pt2")
    report["int8 of a program"] = build("torch_int8", folder / "program" / "net.pt2", "pt2", folder, data)[2]
    pair = [rng.random((2, 256), dtype=np.float32), rng.random((2, 128), dtype=np.float32)]
    (folder / "pair").mkdir()
    saved = framework.save(Plain(), folder / "pair", framework.arrange(Plain(), ["right", "left"], pair[::-1]))
    report["names"] = [refusal(lambda n=n: arranged(Plain(), n, pair)) for n in (["left", "wrong"], ["left", "scale"], ["left", "right"])]
    dynamic = build("int8_dynamic", saved.path, "torch", folder, data)
    (folder / "mixing").mkdir()
    mixing = framework.save(Mixing(), folder / "mixing", [rng.random((2, 3, 16), dtype=np.float32)]).path
    tokens = TrainData([rng.random((32, 3, 16), dtype=np.float32)], np.arange(32) % 4)
    report["attention"] = refusal(lambda: build("torch_channel_prune", mixing, "torch", folder, tokens))
    (folder / "reshaping").mkdir()
    reshaping = framework.save(Reshaping(), folder / "reshaping", [tokens.inputs[0][:2]]).path
    report["reshaping"] = refusal(lambda: build("torch_channel_prune", reshaping, "torch", folder, tokens))
    (folder / "empty").mkdir()
    empty = framework.save(torch.nn.Sequential(torch.nn.ReLU()), folder / "empty", [images[:2, 0, 0]]).path
    flat = TrainData([images[:, 0, 0]], labels)
    report["nothing"] = {name: refusal(lambda name=name: build(name, empty, "torch", folder, flat)) for name in RECIPES}
    cases = {f"{name} {json.dumps(options)}": (*artifacts[name], options, "images", requested(name, options)) for name, options in RUNS}
    cases |= {"pair": (*dynamic[:2], {}, "pair", "int8"), "weights on cpu": (*artifacts["dense"], {"weights": "fp8"}, "images", None)}
    (folder / "cases.json").write_text(json.dumps(cases, default=str))
    np.savez(folder / "images.npz", images[:4])
    np.savez(folder / "pair.npz", *pair)
    # A process that has built nothing: the engine must import what a program needs.
    subprocess.run([sys.executable, "-W", "ignore", "-m", "tests.make_torch_variants", str(folder), "run"], check=True)
    report |= json.loads((folder / "runs.json").read_text())
    (folder.parent / "torch_variants.json").write_text(json.dumps(report, default=str))


if __name__ == "__main__":
    (run_all if "run" in sys.argv[2:] else main)(Path(sys.argv[1]))
