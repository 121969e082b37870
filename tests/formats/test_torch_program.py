"""Programs of torch.export, called with tensors alone."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness.formats import torch_program
from tests.models import TORCH, needs_torch

CODE = """
import functools, json, sys, torch
from pathlib import Path
from torch.export import Dim, export, save
from harness.engines.base import Load
from harness.engines.torch import Options, Torch
from harness.errors import EngineError

class Net(torch.nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.linear = torch.nn.Linear(8, 4)
        self.forward = functools.partial(answer, self.linear)

x, rows, report = torch.ones(4, 8), {0: Dim("rows")}, {}
programs = {
    "keyword": (lambda net, x, scale: net(x) * scale, (x,), {"scale": x[:, :1]}, {"x": rows, "scale": rows}),
    "dict": (lambda net, d: net(d["u"]) + d["a"][0], ({"u": x, "a": [x[:, :4]]},), {}, {"d": {"u": rows, "a": [rows]}}),
    "constant": (lambda net, x, k, y: (net(x) * k + y, None, 3), (x, 3, x[:, :1]), {}, {"x": rows, "k": None, "y": rows}),
    "builtin": (lambda net, input: net(input), (x,), {}, {"input": rows}),
    "half": (lambda net, x: net((x * 300 + 1 - x * 300).float()), (x.half(),), {}, {"x": rows}),
    "brain": (lambda net, x: net((x * x).float()), (x.bfloat16(),), {}, {"x": rows}),
    "branch": (lambda net, x: net(x) if x.shape[0] > 3 else 100 * net(x), (x,), {}, {"x": {0: Dim.AUTO}}),
}
for name, (answer, arguments, keywords, shapes) in programs.items():
    net, path = Net(answer).eval(), Path(sys.argv[1]) / f"{name}.pt2"
    save(export(net, arguments, keywords, dynamic_shapes=shapes), path)
    for mode in ("eager", "compile") if name == "branch" else ("eager",):
        for batch in (4, 2):
            session = Torch().open(Load(path, "pt2", "cpu", batch, 1, Options(mode=mode)))
            tensors = [leaf[:batch] for leaf in torch.utils._pytree.tree_leaves((arguments, keywords)) if isinstance(leaf, torch.Tensor)]
            flat = iter(tensors)
            call = torch.utils._pytree.tree_map(lambda leaf: next(flat) if isinstance(leaf, torch.Tensor) else leaf, (arguments, keywords))
            expected = torch.utils._pytree.tree_leaves(net(*call[0], **call[1]))[0]
            try:
                answers = session.answer([tensor.float().numpy() for tensor in tensors])
                report[f"{name} {mode} {batch}"] = [len(answers), float(abs(torch.from_numpy(answers[0]) - expected).max())]
            except EngineError as error:
                report[f"{name} {mode} {batch}"] = str(error)
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """[number of outputs, largest difference from the module] of each program, mode and batch size, or the error."""
    done = subprocess.run([TORCH, "-c", CODE, str(tmp_path_factory.mktemp("programs"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@needs_torch
@pytest.mark.parametrize("name", ["keyword", "dict", "constant", "builtin", "half", "brain"])
def test_a_program_takes_one_tensor_for_each_input(report, name):
    """Whatever keywords, nesting, constants and types it was exported with."""
    for batch in (4, 2):
        count, difference = report[f"{name} eager {batch}"]
        assert count == 1 and difference < 1e-5


@needs_torch
@pytest.mark.parametrize("mode", ["eager", "compile"])
def test_a_size_that_the_program_was_not_exported_for_is_refused(report, mode):
    """The branch of the other size would give a wrong answer, eager and compiled."""
    assert report[f"branch {mode} 4"][1] < 1e-5
    assert "does not take a query of this size: Guard failed" in report[f"branch {mode} 2"]
    assert torch_program.RESIZE in report[f"branch {mode} 2"]
