"""Missing libraries and real errors of libraries, reported in one sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.formats.libraries import first_line, import_library, library_errors, reading

TRACED = """in user code:

    File "/site-packages/keras/src/utils/traceback_utils.py", line 122, in error_handler  **
        raise e.with_traceback(filtered_tb) from None

    ValueError: Exception encountered when calling Functional.call().

    \x1b[1m'größe' is not a valid scope name.\x1b[0m

    Arguments received by Functional.call():
"""
CONFIGURED = (
    "<class 'Functional'> could not be deserialized properly. Please ensure\n\nconfig={}.\n\nException encountered: no function 'eval'"
)
CHECKED = "Check 'false' failed at src/frontends/common/src/frontend.cpp:47:\nLoading input model\nInput tensor isn't found"

UNCONVERTED = """FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted. Failed operations detailed log:
-- Loop with a message:
no such body
Summary:
-- No conversion rule found for operations: StringSplit-20
"""
CONVOLUTION = """Check 'false' failed at src/frontends/common_translators/src/unconverted_ops_report.cpp:151:
FrontEnd API failed with OpConversionFailure:
Model wasn't fully converted. Failed operations detailed log:
-- Conv-16 with a message:
[ONNX Frontend] Conversion failed for Conv-16
While validating ONNX node '<Node(Conv): /decoder/Conv_output_0>': Check 'data.get_partial_shape().rank().is_static()' failed at src/frontends/onnx/frontend/src/op/conv.cpp:38:
FrontEnd API failed with GeneralFailure:
The input data tensor's rank has to be known (static)

Summary:
-- Conversion is failed for: Conv-16
"""
PRODUCT = """Model wasn't fully converted. Failed operations detailed log:
-- MatMul-17 with a message:
[ONNX Frontend] Conversion failed for MatMul-17
While validating ONNX node '<Node(MatMul): y>': Check 'DimType::merge(a, b, c) || b.is_dynamic()' failed at src/core/matmul_shape_inference.hpp:65:
While validating node 'opset1::MatMul MatMul_10 (opset1::Parameter x[0]:f32[1,3]) -> (dynamic[...])' with friendly_name 'MatMul_10':
Incompatible MatMul matrix dimension.
"""
REDUCED = """-- ReduceMean-16 with a message:
[ONNX Frontend] Conversion failed for ReduceMean-16
Check '(types.find(type) != types.end())' failed at src/frontends/onnx/frontend/src/op/reduce.cpp:134:
While validating ONNX node '<Node(ReduceMean): mean>':
Unsupported input type dynamic
"""
INFERRED = """Exception from src/inference/src/cpp/infer_request.cpp:224:
Exception from src/plugins/intel_cpu/src/node.cpp:794:
[CPU] Reshape node with name 'y' Check 'minusOneCount <= 1' failed at src/plugins/intel_cpu/src/shape_inference/custom/reshape.cpp:77:
[cpu]reshape: the shape of input data (1.3) conflicts with the reshape pattern (2.2)

"""
RESHAPED = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Reshape node. Name:'r' Status Message: "
    "/onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(const "
    "onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. The input "
    "tensor cannot be reshaped to the requested shape. Input shape:{1,3}, requested shape:{2,2}\n"
)
FED = (
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices\n"
    " index: 1 Got: 4 Expected: 3\n Please fix either the inputs/outputs or the model."
)
TRANSLATED = (
    "Could not translate MLIR to FlatBuffer./site-packages/tensorflow/python/eager/tracing_compilation.py:283:1: error: "
    "'tf.Betainc' op is neither a custom op nor a flex op\n        concrete_function = _create(\n^\n"
)
LOCATED = '<unknown>:0: error: loc(callsite(fused["a", "b"] at "c")): \'tf.Betainc\' op is neither a custom op nor a flex op\n<unknown>:0: note: x'
UNLOADED = """A total of 2 objects could not be loaded. Example error message for object <Conv2D name=conv2d, built=True>:

Not allowed: H5 file Dataset with external links

List of objects that could not be loaded:
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(TRACED), "'größe' is not a valid scope name."),
        (Exception("Could not trace the TF model with the following error: " + TRACED), "'größe' is not a valid scope name."),
        (TypeError(CONFIGURED), "no function 'eval'"),
        (RuntimeError(CHECKED), "Input tensor isn't found"),
        (RuntimeError("FrontEnd API failed with OpConversionFailure:\nno such operator"), "no such operator"),
        (ValueError(UNLOADED), "Not allowed: H5 file Dataset with external links"),
        (RuntimeError(UNCONVERTED), "No conversion rule found for operations: StringSplit-20"),
        (RuntimeError("[ONNXRuntimeError] : 10 : INVALID_GRAPH : Load model from /c/a.onnx failed:Invalid Op"), "Invalid Op"),
        (RuntimeError(CONVOLUTION), "Conv '/decoder/Conv_output_0': The input data tensor's rank has to be known (static)"),
        (RuntimeError(PRODUCT), "MatMul 'y': Incompatible MatMul matrix dimension."),
        (RuntimeError(REDUCED), "ReduceMean 'mean': Unsupported input type dynamic"),
        (
            RuntimeError(INFERRED),
            "[CPU] Reshape node with name 'y': [cpu]reshape: the shape of input data (1.3) conflicts with the reshape pattern (2.2)",
        ),
        (
            RuntimeError(RESHAPED),
            "Non-zero status code returned while running Reshape node. Name:'r' Status Message: input_shape_size == requested_shape_size was "
            "false. The input tensor cannot be reshaped to the requested shape. Input shape:{1,3}, requested shape:{2,2}",
        ),
        (RuntimeError(FED), "Got invalid dimensions for input: x for the following indices index: 1 Got: 4 Expected: 3"),
        (RuntimeError(TRANSLATED), "'tf.Betainc' op is neither a custom op nor a flex op"),
        (RuntimeError(LOCATED), "'tf.Betainc' op is neither a custom op nor a flex op"),
        (
            RuntimeError("{{function_node __inference_f_43}} Input to reshape is a tensor with 3 values"),
            "Input to reshape is a tensor with 3 values",
        ),
        (RuntimeError("in user code:"), "in user code:"),
        (KeyError("inbound_nodes"), "KeyError: 'inbound_nodes'"),
        (ValueError(), "ValueError"),
        (OSError("\n  plain\nmore"), "plain"),
    ],
)
def test_the_line_with_the_reason_is_taken(error, line):
    """Not the lines before it that locate the error in the library."""
    assert first_line(error) == line


def test_of_a_long_line_both_ends_are_kept():
    """The reason may follow a long C++ signature."""
    line = first_line(RuntimeError("failed: " + "x" * 1000 + " opset 9999 is not known"))
    assert line.startswith("failed: ") and line.endswith("opset 9999 is not known") and len(line) <= 300


def test_the_folder_of_the_file_is_left_out():
    """The message names the file without a folder of the cache."""
    with (
        pytest.raises(EngineError, match=r"^m.onnx cannot be read as a model: m.onnx: no such operator\n"),
        reading(Path("/home/me/.cache/1f/m.onnx"), "a model", "export it again"),
    ):
        raise RuntimeError("/home/me/.cache/1f/m.onnx: no such operator")


def test_a_missing_library_is_refused_with_the_command_that_installs_it(monkeypatch):
    """Also a module of it that is loaded already."""
    assert import_library("json.decoder", "JSON", "").__name__ == "json.decoder"
    monkeypatch.setitem(sys.modules, "json", None)
    for module in ("json", "json.decoder"):
        with pytest.raises(EngineError, match=r"JSON cannot be imported: .*\npip install json") as caught:
            import_library(module, "JSON", "pip install json")
        assert caught.value.refused


def test_errors_of_ours_and_of_memory_pass_unchanged():
    """Any other error becomes one sentence."""
    for error in (EngineError("ours", "hint"), MemoryError()):
        with pytest.raises(type(error)) as caught, library_errors("it failed", "try again"):
            raise error
        assert caught.value is error
    with (
        pytest.raises(EngineError, match=r"^it failed: KeyError: 'x'\ntry again$") as caught,
        library_errors("it failed", "try again", refused=True),
    ):
        raise KeyError("x")
    assert caught.value.refused
