"""Errors of libraries, as they were seen, as one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.formats.reading import first_line, reading

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
        (RuntimeError("in user code:"), "in user code:"),
        (KeyError("inbound_nodes"), "KeyError: 'inbound_nodes'"),
        (ValueError(), "ValueError"),
        (OSError("\n  plain\nmore"), "plain"),
    ],
)
def test_the_line_that_says_what_is_wrong_is_taken(error, line):
    """Not the lines of the library before it."""
    assert first_line(error) == line


def test_of_a_long_line_both_ends_are_kept():
    """What stands at the end of a signature of C++ is the reason."""
    line = first_line(RuntimeError("failed: " + "x" * 1000 + " opset 9999 is not known"))
    assert line.startswith("failed: ") and line.endswith("opset 9999 is not known") and len(line) <= 300


def test_the_folder_of_the_file_is_left_out():
    """A cache's: the sentence names the file, and the case is told beside it."""
    with (
        pytest.raises(EngineError, match=r"^m.onnx cannot be read as a model: m.onnx: no such operator\n"),
        reading(Path("/home/me/.cache/1f/m.onnx"), "a model", "export it again"),
    ):
        raise RuntimeError("/home/me/.cache/1f/m.onnx: no such operator")
