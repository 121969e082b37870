"""ONNX Runtime: the session agrees with the plain library, for all shapes and types."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.engines import cuda, onnxruntime_gpu
from harness.engines.base import Load
from harness.engines.onnxruntime import PROVIDERS, BoundSession, OnnxRuntime, Options, _on_gpu, _provider, _settings
from harness.errors import EngineError
from tests.make_models import SAMPLES
from tests.models import models
from tests.onnx_models import save


def opened(path, batch_size=1, **options):
    """A session."""
    return OnnxRuntime().open(Load(path, "onnx", "cpu", batch_size, 1, Options(**options)))


@pytest.mark.parametrize("name", ["small", "float16", "dynamic_int8", "int8"])
def test_outputs_are_those_of_the_plain_library(name):
    """Bit by bit, for every kind of quantization."""
    path = models() / f"{name}.onnx"
    plain = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = plain.run(None, {plain.get_inputs()[0].name: SAMPLES[:4]})[0]
    assert np.array_equal(opened(path, 4).run([SAMPLES[:4]])[0], expected)


@pytest.mark.parametrize("level", ["disable", "basic", "extended", "all"])
def test_every_optimization_gives_the_rows_of_keras(level):
    """The graph is rewritten, the result is the same."""
    session = opened(models() / "small.onnx", 32, graph_optimization=level)
    assert np.allclose(session.run([SAMPLES[:32]])[0], np.load(models() / "small.npy")[:32], atol=1e-6)
    assert session.facts()["provider"] == "CPUExecutionProvider"


def test_several_inputs_keep_their_names_and_order():
    """As in the Keras model."""
    two = np.load(models() / "two.npz")
    session = opened(models() / "two.onnx", 4)
    assert [tensor.name for tensor in session.inputs] == ["zeta", "alpha"]
    for ours, key in zip(session.run([two["zeta"][:4], two["alpha"][:4]]), ("first", "second"), strict=True):
        assert np.allclose(ours, two[key][:4], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "precision"),
    [
        ("small", {}, "float32"),
        ("float16", {}, "float16 weights"),
        ("dynamic_int8", {}, "uint8 weights"),
        ("int8", {}, "int8"),
        ("int8", {"graph_optimization": "disable"}, "int8 weights"),
    ],
)
def test_precision_is_that_of_what_runs(name, options, precision):
    """Quantize-dequantize pairs that are not fused run in float."""
    assert opened(models() / f"{name}.onnx", **options).precision() == precision


@pytest.mark.parametrize(("name", "int8"), [("small", 0), ("float16", 0), ("dynamic_int8", 2), ("int8", 2)])
def test_kernels_have_their_share_of_the_time(name, int8):
    """By ONNX Runtime's profiler; `int8` is the number of multiplying nodes in int8."""
    kernels = opened(models() / f"{name}.onnx").profile([[SAMPLES[:1]]] * 3, 0.5)
    assert sum(kernel.share for kernel in kernels) == pytest.approx(1)
    assert {(kernel.kernel, kernel.basis) for kernel in kernels} == {("CPU", "time")}
    multiply = [kernel for kernel in kernels if any(word in kernel.op for word in ("Conv", "MatMul", "Gemm"))]
    assert len(multiply) == 2
    assert sum(kernel.precision == "int8" for kernel in multiply) == int8


def test_a_missing_provider_is_refused():
    """With what to install; also a provider that does not fit the device."""
    for provider in ("auto", "cuda", "tensorrt"):
        with pytest.raises(EngineError, match="make onnxruntime-gpu") as caught:
            OnnxRuntime().open(Load(models() / "small.onnx", "onnx", "gpu", 1, 1, Options(provider=provider)))
        assert caught.value.refused
    for device, provider in (("cpu", "cuda"), ("gpu", "cpu")):
        with pytest.raises(EngineError, match=f"{provider} does not run on the device {device}"):
            OnnxRuntime().open(Load(models() / "small.onnx", "onnx", device, 1, 1, Options(provider=provider)))


@pytest.mark.parametrize(("options", "name"), [({"tf32": "on"}, "tf32"), ({"cpu_fallback": False}, "cpu_fallback")])
def test_options_of_a_gpu_are_refused_on_the_cpu(options, name):
    """They would have no effect."""
    with pytest.raises(EngineError, match=f"option {name} has no effect on the CPU") as caught:
        opened(models() / "small.onnx", **options)
    assert caught.value.refused


def test_float16_of_tensorrt_needs_tensorrt():
    """CUDA's provider has no such option: the variant float16 is its way."""
    with pytest.raises(ValueError, match="trt_fp16 needs `provider: tensorrt`"):
        Options(trt_fp16=True)


def test_a_provider_is_chosen_by_the_device():
    """CUDA for a GPU unless TensorRT is requested."""
    everything = list(PROVIDERS.values())
    for device, provider, expected in (("cpu", "auto", "CPU"), ("gpu", "auto", "CUDA"), ("gpu", "tensorrt", "Tensorrt")):
        load = Load(models() / "small.onnx", "onnx", device, 1, 1, Options(provider=provider))
        assert _provider(load, everything) == f"{expected}ExecutionProvider"


# --- on a GPU: a faithful fake of its providers around the real CPU provider ----------------------------------------------


class FakeGpu:
    """`onnxruntime` as its build for GPUs behaves: its providers are listed, may be left out, and take some kinds of nodes.

    The session is a real one on the CPU. What differs is what it reports of its providers and of the place of each node.

    Args:
        takes: Kinds of nodes that the first provider takes; None: all.
        left_out: Whether creating the provider fails, which ONNX Runtime only logs.
    """

    def __init__(self, takes=None, left_out=False):
        self.takes, self.left_out, self.asked, self.entries = takes, left_out, None, {}

    def __getattr__(self, name):
        return getattr(onnxruntime, name)

    def get_available_providers(self):
        return list(PROVIDERS.values())

    def preload_dlls(self):
        """Nothing to load here."""

    def InferenceSession(self, path, settings, providers, **others):
        self.asked = providers
        return FakeSession(self, onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"]))


class FakeSession:
    """A session of `FakeGpu`."""

    def __init__(self, module, real):
        self._module, self._real = module, real

    def __getattr__(self, name):
        return getattr(self._real, name)

    def get_providers(self):
        names = [name for name, _ in self._module.asked]
        return [*([] if self._module.left_out else names), "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self):
        return [FakePart(self._module, part) for part in self._real.get_provider_graph_assignment_info()]

    def io_binding(self):
        return self._real.io_binding()


class FakePart:
    """The nodes of one part of the graph, which are all of one provider."""

    def __init__(self, module, real):
        self._real = real
        taken = module.takes is None or any(node.op_type in module.takes for node in real.get_nodes())
        self.ep_name = module.asked[0][0] if taken else "CPUExecutionProvider"

    def get_nodes(self):
        return self._real.get_nodes()


def on_gpu(monkeypatch, path, fake, batch_size=1, **options):
    """A session of a case on a GPU, with the fake library and bindings in host memory."""
    monkeypatch.setitem(sys.modules, "onnxruntime", fake)
    monkeypatch.setattr(BoundSession, "place", "cpu")
    return OnnxRuntime().open(Load(path, "onnx", "gpu", batch_size, 1, Options(**options)))


def test_staged_inputs_are_bound_and_the_answers_are_the_plain_ones(monkeypatch):
    """Two queries in flight keep their own answers; host arrays in, host arrays out by `answer`."""
    session = on_gpu(monkeypatch, models() / "small.onnx", FakeGpu(), 4)
    expected = np.load(models() / "small.npy")
    first, second = session.stage([SAMPLES[:4]]), session.stage([SAMPLES[4:8]])
    running = [session.run(first), session.run(second)]
    session.synchronize()
    for outputs, rows in zip(running, (expected[:4], expected[4:8]), strict=True):
        assert np.allclose(session.fetch(outputs)[0], rows, atol=1e-6)
    assert np.allclose(session.answer([SAMPLES[:4]])[0], expected[:4], atol=1e-6)


def test_the_place_of_every_operator_is_a_fact(monkeypatch):
    """Counted by provider; those without a kernel for the GPU are named."""
    session = on_gpu(monkeypatch, models() / "small.onnx", FakeGpu({"Conv", "MatMul", "Gemm", "Relu"}))
    placed = session.facts()["placement"]
    assert placed["asked"] == "CUDA" and placed["operators"]["CUDA"] and placed["operators"]["CPU"]
    assert sum(placed["elsewhere"].values()) == placed["operators"]["CPU"]
    assert not set(placed["elsewhere"]) & {"Conv", "MatMul", "Gemm", "Relu"}


def test_a_model_that_no_operator_of_which_runs_on_the_gpu_is_refused(monkeypatch):
    """Though the provider is listed first, as it was with a model of unsupported types."""
    with pytest.raises(EngineError, match=r"no operator of the model runs on CUDA \(\d+ on CPU\)") as caught:
        on_gpu(monkeypatch, models() / "small.onnx", FakeGpu(takes=()))
    assert caught.value.refused


def test_the_real_library_lists_a_provider_that_takes_nothing():
    """The assumption of the test above, by a provider of the CPU package that takes no node."""
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry(onnxruntime_gpu.RECORD, "1")
    session = onnxruntime.InferenceSession(str(models() / "small.onnx"), settings, providers=["AzureExecutionProvider"])
    assert session.get_providers()[0] == "AzureExecutionProvider"
    with pytest.raises(EngineError, match="no operator of the model runs on Azure"):
        onnxruntime_gpu.placed(session, "AzureExecutionProvider")


def test_fallback_to_the_cpu_can_be_refused(monkeypatch):
    """With the operators that have no kernel."""
    fake = FakeGpu({"Conv", "MatMul", "Gemm"})
    with pytest.raises(EngineError, match=r"have no kernel on CUDA.* and would run on the CPU .*Relu") as caught:
        on_gpu(monkeypatch, models() / "small.onnx", fake, cpu_fallback=False)
    assert caught.value.refused
    assert on_gpu(monkeypatch, models() / "small.onnx", FakeGpu(), cpu_fallback=False).facts()["placement"]["elsewhere"] == {}


def test_a_provider_that_was_left_out_is_an_error(monkeypatch):
    """ONNX Runtime uses the CPU if CUDA cannot be loaded, and only logs it."""
    with pytest.raises(EngineError, match="fell back to CPUExecutionProvider instead of CUDA"):
        on_gpu(monkeypatch, models() / "small.onnx", FakeGpu(left_out=True))


@pytest.mark.parametrize(("tf32", "option", "precision", "variable"), [("off", "0", "float32", "0"), ("on", "1", "tf32", None)])
def test_tf32_is_off_unless_it_is_requested(monkeypatch, tf32, option, precision, variable):
    """ONNX Runtime's own default is on, which would make every float32 baseline TensorFloat-32."""
    fake = FakeGpu()
    session = on_gpu(monkeypatch, models() / "small.onnx", fake, tf32=tf32)
    assert fake.asked == [("CUDAExecutionProvider", {"device_id": "0", "use_tf32": option})]
    assert session.precision() == precision
    assert session.facts()["tf32"] is (tf32 == "on")
    load = Load(models() / "small.onnx", "onnx", "gpu", 1, 1, Options(tf32=tf32))
    assert OnnxRuntime.environment(load).get(cuda.TF32_OVERRIDE) == variable


def test_quantize_dequantize_pairs_run_in_float_on_cuda(monkeypatch):
    """Only the CPU provider fuses them, so that an int8 model is not reported as int8 there."""
    assert on_gpu(monkeypatch, models() / "int8.onnx", FakeGpu()).precision() == "int8 weights"


def test_tensorrt_comes_before_cuda_and_needs_its_library(monkeypatch):
    """Its engines have a folder of their own, and its precision is not reported."""
    with pytest.raises(EngineError, match=r"TensorRT library .* cannot be loaded") as caught:
        on_gpu(monkeypatch, models() / "small.onnx", FakeGpu(), provider="tensorrt")
    assert caught.value.refused
    monkeypatch.setattr(cuda, "tensorrt_version", lambda: "10.9.0")
    fake = FakeGpu()
    facts = on_gpu(monkeypatch, models() / "small.onnx", fake, provider="tensorrt", trt_fp16=True).facts()
    assert [name for name, _ in fake.asked] == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert fake.asked[0][1]["trt_fp16_enable"] == "1" and fake.asked[0][1]["trt_engine_cache_enable"] == "0"
    assert (facts["tensorrt"], facts["tensorrt_engine"], facts["precision_requested"]) == ("10.9.0", "compiled", "float16")


def test_precision_inside_tensorrt_is_unknown():
    """It chooses among the allowed ones; float32 alone is known."""
    assert _on_gpu("float32", PROVIDERS["tensorrt"], Options(provider="tensorrt")) == "float32"
    assert _on_gpu("float32", PROVIDERS["tensorrt"], Options(provider="tensorrt", trt_fp16=True)) is None
    assert _on_gpu("int8 weights", PROVIDERS["tensorrt"], Options(provider="tensorrt")) is None


def test_a_profile_of_a_case_on_a_gpu_is_by_operators(monkeypatch):
    """Through the whole session."""
    kernels = on_gpu(monkeypatch, models() / "small.onnx", FakeGpu()).profile([[SAMPLES[:1]]] * 3, 0.5)
    assert {kernel.basis for kernel in kernels} == {"operators"}
    assert sum(kernel.share for kernel in kernels) == pytest.approx(1)


def test_parallel_operators_stay_within_the_threads():
    """The result is the same, the pools share the cores of the case, and more are refused."""
    load = Load(models() / "small.onnx", "onnx", "cpu", 4, 3, Options(inter_op=2, spinning=False))
    settings = _settings(onnxruntime, load)
    assert (settings.intra_op_num_threads, settings.inter_op_num_threads) == (2, 2)
    assert settings.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert np.allclose(OnnxRuntime().open(load).run([SAMPLES[:4]])[0], np.load(models() / "small.npy")[:4], atol=1e-6)
    with pytest.raises(EngineError, match="more cores than the 1 of the case") as caught:
        opened(models() / "small.onnx", inter_op=2)
    assert caught.value.refused


def test_types_and_shapes_of_tensors(tmp_path):
    """int64, bool, strings, dynamic dimensions, scalars."""
    path = save(
        tmp_path,
        [("ids", "INT64", ["n", "length"]), ("mask", "BOOL", ["n", 3]), ("words", "STRING", [None]), ("rate", "FLOAT", [])],
        [("a", "Identity", ["ids"]), ("b", "Identity", ["mask"]), ("c", "Identity", ["words"]), ("d", "Identity", ["rate"])],
    )
    session = opened(path)
    assert [(t.name, t.shape, t.dtype) for t in session.inputs] == [
        ("ids", (None, None), np.dtype(np.int64)),
        ("mask", (None, 3), np.dtype(bool)),
        ("words", (None,), np.dtype(object)),
        ("rate", (), np.dtype(np.float32)),
    ]
    answers = session.run([np.ones((1, 7), np.int64), np.ones((1, 3), bool), np.array(["a"], object), np.array(2, np.float32)])
    assert answers[0].shape == (1, 7) and answers[2].tolist() == ["a"] and answers[3] == 2


def test_a_fixed_batch_is_refused_and_a_state_is_not(tmp_path):
    """With a batch of 1, one input must take it; the others may be states."""
    fixed = save(tmp_path, [("x", "FLOAT", [8, 3])], [("y", "Relu", ["x"])], "fixed.onnx")
    with pytest.raises(EngineError, match=r"fixed shape \(8, 3\)") as caught:
        opened(fixed)
    assert caught.value.refused
    stateful = save(
        tmp_path, [("x", "FLOAT", ["n", 3]), ("state", "FLOAT", [2, 1, 4])], [("y", "Relu", ["x"]), ("s", "Relu", ["state"])], "state.onnx"
    )
    assert opened(stateful).inputs[1].shape == (2, 1, 4)
    with pytest.raises(EngineError, match="state"):
        opened(stateful, 4)


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"not a model at all", None], ids=["empty", "hollow", "text", "cut"])
def test_a_damaged_file_is_an_error(content, tmp_path):
    """With the name of the file."""
    path = tmp_path / "bad.onnx"
    path.write_bytes((models() / "small.onnx").read_bytes()[:1200] if content is None else content)
    with pytest.raises(EngineError, match=r"bad\.onnx"):
        opened(path)


def test_an_unknown_operator_is_an_error(tmp_path):
    """With its name."""
    path = save(tmp_path, [("x", "FLOAT", ["n", 3])], [("y", "Nonsense", ["x"])])
    with pytest.raises(EngineError, match="Nonsense"):
        opened(path)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("../secret.bin", "'../secret.bin', outside its folder"),
        ("/etc/passwd", "outside its folder"),
        ("link.bin", "outside its folder"),
        ("gone.bin", "keeps its weights in 'gone.bin', and no such file is there"),
        ("folder", "no such file"),
        ("hard.bin", "has other names too"),
    ],
)
def test_external_data_must_be_in_the_folder_of_the_model(tmp_path, location, words):
    """Neither a path nor a link may lead out of it; the error names the file."""
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    folder = tmp_path / "model"
    (folder / "folder").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "hard.bin").hardlink_to(tmp_path / "secret.bin")
    path = save(folder, [("x", "FLOAT", ["n", 3])], [("y", "Add", ["x", "w"])], w=np.zeros(3, np.float32))
    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=words):
        opened(path)
