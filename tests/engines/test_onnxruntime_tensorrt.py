"""TensorRT engines of ONNX Runtime: compiled in a build, used by the cases, and reported if they were compiled again."""

from __future__ import annotations

import os
import re
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from harness.engines import cuda, onnxruntime_tensorrt
from harness.engines.base import Load
from harness.engines.onnxruntime import BoundSession, OnnxRuntime, Options
from harness.errors import EngineError
from tests import tiny
from tests.engines.test_onnxruntime import FakeGpu, FakeSession

SAMPLES = np.random.default_rng(0).random((8, 8), dtype=np.float32)


class FakeTensorRt(FakeGpu):
    """ONNX Runtime with TensorRT as its documentation and source describe the engine cache.

    The name of a file holds a hash of the model, the precision and the compute capability. A file of that name is loaded, and is an error if this
    TensorRT and driver cannot read it; otherwise the engine is compiled: with the session, or at the first query of a model with dynamic dimensions,
    then with a profile of the shapes; a query outside that profile compiles again, over the file.

    Args:
        capability: Compute capability of the card.
        reads: Driver and version of TensorRT, which must be those that wrote a file.
        fails: Whether the builder finds no engine.
        keeps: Whether it stores what it compiles.
    """

    def __init__(self, capability="90", reads="580/10.9", fails=False, keeps=True):
        super().__init__()
        self.capability, self.reads, self.fails, self.keeps, self.compiled = capability, reads, fails, keeps, 0

    def InferenceSession(self, path, settings, providers, **others):
        self.asked = providers
        return FakeTrtSession(self, Path(path), onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]))


class FakeTrtSession(FakeSession):
    """A session of `FakeTensorRt`."""

    def __init__(self, module, path, real):
        super().__init__(module, real)
        self.options = dict(module.asked[0][1])
        cache = self.options.get("trt_engine_cache_path") if self.options["trt_engine_cache_enable"] == "1" else None
        precision = "_fp16" if self.options["trt_fp16_enable"] == "1" else ""
        name = f"TensorrtExecutionProvider_TRTKernel_graph_{zlib.crc32(path.read_bytes())}_0_0{precision}_sm{module.capability}"
        self.file = Path(cache, f"{name}.engine") if cache else None
        self.shape = None
        if all(isinstance(size, int) for size in real.get_inputs()[0].shape):
            self.make()

    def make(self, shape=None):
        """Load the engine, or compile it."""
        self.shape = shape or "static"
        if self.file and self.file.is_file():
            written, profile = self.file.read_text().split("|")[:2]
            if written != self._module.reads:
                raise RuntimeError(f"[ONNXRuntimeError] : 11 : EP_FAIL : TensorRT EP could not deserialize engine from cache: {self.file}")
            if profile == str(self.shape):
                return
        if self._module.fails:
            raise RuntimeError("[ONNXRuntimeError] : 11 : EP_FAIL : TensorRT EP failed to create engine from network for fused node")
        self._module.compiled += 1
        if self.file and self._module.keeps:
            self.file.write_text(f"{self._module.reads}|{self.shape}|{os.urandom(8).hex()}")
            if shape:
                self.file.with_suffix(".profile").write_text(str(shape))

    def run(self, names, feeds):
        """Answer, with an engine for the shapes of the first input."""
        shape = next(iter(feeds.values())).shape
        if self.shape != "static" and self.shape != shape:
            self.make(shape)
        return self._real.run(names, feeds)


@pytest.fixture(params=["n", 2], ids=["dynamic", "fixed"])
def model(request, tmp_path) -> Path:
    """A model with a dynamic or a fixed batch."""
    import onnx

    tiny.write(tmp_path)
    model = onnx.load(tmp_path / "product.onnx")
    for value in (*model.graph.input, *model.graph.output):
        if request.param != "n":
            value.type.tensor_type.shape.dim[0].dim_value = request.param
    onnx.save(model, tmp_path / "product.onnx")
    return tmp_path / "product.onnx"


@pytest.fixture
def use(monkeypatch):
    """Make a fake library the installed one; returns it."""

    def install(fake: FakeTensorRt) -> FakeTensorRt:
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        monkeypatch.setattr(BoundSession, "place", "cpu")
        monkeypatch.setattr(cuda, "tensorrt_version", lambda: "10.9.0")
        return fake

    return install


def load_of(model: Path, **options) -> Load:
    """A case on TensorRT."""
    return Load(model, "onnx", "gpu", 2, 1, Options(provider="tensorrt", **options))


def query(tensors):
    """Two samples."""
    return [SAMPLES[:2]]


def built(model: Path) -> Path:
    """The folder of a build."""
    folder = model.parent / "plan"
    folder.mkdir()
    OnnxRuntime().prepare(load_of(model), folder, query)
    return folder


def facts_of(load: Load, samples=2) -> dict:
    """Facts of a case after its first query."""
    session = OnnxRuntime().open(load)
    session.answer([SAMPLES[:samples]])
    return session.facts()


def test_what_a_build_compiled_is_not_compiled_by_its_cases(model, use):
    """Cache hit: once for all launches, and the fact is `built`; the case computes the same."""
    fake = use(FakeTensorRt())
    prepared = built(model)
    assert fake.compiled == 1
    names = {path.name for path in prepared.iterdir()}
    assert {Path(name).suffix for name in names} >= {".engine", ".json"}
    for _ in range(2):
        session = OnnxRuntime().open(replace(load_of(model), prepared=prepared))
        assert session.answer([SAMPLES[:2]])[0].shape == (2, 3)
        assert session.facts()["tensorrt_engine"] == "built"
    assert fake.compiled == 1 and {path.name for path in prepared.iterdir()} == names


def test_the_build_reports_what_it_made(model, use):
    """Version, number of engines and the place of the operators, for the record."""
    use(FakeTensorRt())
    (model.parent / "plan").mkdir()
    notes = OnnxRuntime().prepare(load_of(model), model.parent / "plan", query)
    assert (notes["tensorrt"], notes["engines"], notes["placement"]["asked"]) == ("10.9.0", 1, "Tensorrt")
    assert OnnxRuntime.libraries() == {"tensorrt": "10.9.0"}


def test_without_a_build_the_engine_is_compiled_at_each_load(model, use):
    """And nothing is kept."""
    fake = use(FakeTensorRt())
    assert [facts_of(load_of(model))["tensorrt_engine"] for _ in range(2)] == ["compiled"] * 2
    assert fake.compiled == 2 and fake.asked[0][1]["trt_engine_cache_enable"] == "0"


def test_an_engine_for_another_card_is_compiled_again_and_reported(model, use):
    """Cache miss by the compute capability in the name: in every launch, though the second one compiles nothing."""
    use(FakeTensorRt())
    prepared = built(model)
    fake = use(FakeTensorRt(capability="80"))
    for _ in range(2):
        assert facts_of(replace(load_of(model), prepared=prepared))["tensorrt_engine"] == "compiled again"
    assert fake.compiled == 1


@pytest.mark.parametrize("model", ["n"], indirect=True)
def test_an_engine_for_other_shapes_is_compiled_again_and_reported(model, use):
    """Outside the profile of the build."""
    use(FakeTensorRt())
    prepared = built(model)
    fake = use(FakeTensorRt())
    assert facts_of(replace(load_of(model), prepared=prepared), 4)["tensorrt_engine"] == "compiled again"
    assert fake.compiled == 1


def test_an_engine_of_another_precision_is_not_that_of_the_build(model, use):
    """If the id of the build ever were the same for both."""
    use(FakeTensorRt())
    prepared = built(model)
    assert facts_of(replace(load_of(model, trt_fp16=True), prepared=prepared))["tensorrt_engine"] == "compiled again"


def test_an_engine_that_another_driver_or_tensorrt_wrote_is_an_error(model, use):
    """As ONNX Runtime raises it; nothing is compiled unnoticed."""
    use(FakeTensorRt())
    prepared = built(model)
    fake = use(FakeTensorRt(reads="590/10.9"))
    with pytest.raises(Exception, match="could not deserialize engine from cache"):
        facts_of(replace(load_of(model), prepared=prepared))
    assert fake.compiled == 0


def test_a_model_that_tensorrt_cannot_compile_fails_the_build(model, use):
    """With the reason of ONNX Runtime."""
    use(FakeTensorRt(fails=True))
    with pytest.raises(Exception, match="failed to create engine"):
        built(model)


def test_a_library_that_keeps_no_engine_fails_the_build(model, use):
    """Otherwise each launch would compile, and the build would be the price of nothing."""
    use(FakeTensorRt(keeps=False))
    with pytest.raises(EngineError, match="kept no engine"):
        built(model)


def test_without_tensorrt_the_build_is_refused(model, use, monkeypatch):
    """With what to install."""
    use(FakeTensorRt())
    monkeypatch.setattr(cuda, "tensorrt_version", lambda: None)
    with pytest.raises(EngineError, match="TensorRT library") as caught:
        built(model)
    assert caught.value.refused


def test_a_profile_uses_the_engine_of_the_build(model, use):
    """Its second session compiles nothing."""
    fake = use(FakeTensorRt())
    prepared = built(model)
    OnnxRuntime().open(replace(load_of(model), prepared=prepared)).profile([[SAMPLES[:2]]] * 3, 0.1)
    assert fake.compiled == 1


def test_a_damaged_engine_is_not_that_of_the_build(model, use):
    """By its content."""
    use(FakeTensorRt())
    prepared = built(model)
    assert onnxruntime_tensorrt.state(prepared) == "built"
    (engine,) = prepared.glob("*.engine")
    engine.write_text(re.sub("$", "x", engine.read_text()))
    assert onnxruntime_tensorrt.state(prepared) == "compiled again"
    engine.unlink()
    assert onnxruntime_tensorrt.state(prepared) == "compiled again"
    assert onnxruntime_tensorrt.state(None) == "compiled"
