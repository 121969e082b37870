"""ONNX Runtime: the session agrees with the plain library, for all shapes and types."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from harness.engines.base import Load, kernels_of, undisturbed
from harness.engines.onnxruntime import PROVIDERS, OnnxRuntime, Options, _calls, _check_provider, _provider, _settings, _tf32
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


def test_interrupted_queries_do_not_distort_the_shares():
    """Two of five queries were interrupted while quantizing: the products still take 30 of 40 us. The first query warms up."""
    events = []
    for number, lost_us in enumerate((500.0, 0.0, 4000.0, 0.0, 9000.0, 0.0)):
        start = 1e6 * number
        events.append({"name": "model_run", "ts": start, "dur": 1e5})
        for name, op, kind, us in (("a", "QLinearConv", "uint8", 30.0), ("b", "QuantizeLinear", "float", 10.0 + lost_us)):
            arguments = {"op_name": op, "provider": "CPUExecutionProvider", "input_type_shape": [{kind: [1]}]}
            events.append({"name": f"{name}_kernel_time", "cat": "Node", "ts": start + 1, "dur": us, "args": arguments})
    first, second = kernels_of(undisturbed(_calls(events)))
    assert (first.op, first.precision, first.share) == ("QLinearConv", "int8", pytest.approx(0.75))
    assert second.share == pytest.approx(0.25)


def test_a_missing_provider_is_refused(monkeypatch):
    """With what to install; also a provider that does not fit the device."""
    for provider, words in (("auto", "onnxruntime-gpu"), ("cuda", "onnxruntime-gpu"), ("tensorrt", "TensorRT libraries")):
        with pytest.raises(EngineError, match=words) as caught:
            OnnxRuntime().open(Load(models() / "small.onnx", "onnx", "gpu", 1, 1, Options(provider=provider)))
        assert caught.value.refused
    for device, provider in (("cpu", "cuda"), ("gpu", "cpu")):
        with pytest.raises(EngineError, match=f"{provider} does not run on the device {device}"):
            OnnxRuntime().open(Load(models() / "small.onnx", "onnx", device, 1, 1, Options(provider=provider)))


def test_a_provider_is_chosen_by_the_device():
    """CUDA for a GPU unless TensorRT is requested."""
    everything = list(PROVIDERS.values())
    for device, provider, expected in (("cpu", "auto", "CPU"), ("gpu", "auto", "CUDA"), ("gpu", "tensorrt", "Tensorrt")):
        load = Load(models() / "small.onnx", "onnx", device, 1, 1, Options(provider=provider))
        assert _provider(load, everything) == f"{expected}ExecutionProvider"


def test_a_silent_fall_back_is_an_error():
    """ONNX Runtime uses the CPU if CUDA cannot be loaded, and only logs it."""
    _check_provider(["CUDAExecutionProvider", "CPUExecutionProvider"], "CUDAExecutionProvider")
    with pytest.raises(EngineError, match="fell back to CPUExecutionProvider instead of CUDA"):
        _check_provider(["CPUExecutionProvider"], "CUDAExecutionProvider")


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


@pytest.mark.parametrize(("options", "expected"), [({"use_tf32": "1"}, True), ({"use_tf32": "0"}, False), ({}, None)])
def test_tf32_of_a_provider(options, expected):
    """CUDA's provider has the option, TensorRT's has not."""
    assert _tf32(options) is expected
