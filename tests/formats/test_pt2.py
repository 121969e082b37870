"""`.pt2` archives, vetted and read without PyTorch."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest

from harness.errors import EngineError
from harness.formats.pt2 import TEXT, Pt2, check_pt2, is_guard, is_size_expression, namespaces, signature, stored_types

GELU = Path(__file__).parent.parent / "data" / "gelu.pt2"
"""torch 2.11: gelu(x @ w + b, approximate="tanh"), w of shape (4, 3), the batch dynamic."""
PROGRAM = "gelu/models/model.json"


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        import os

        return os.system, ("true",)


def edited(tmp_path, change=None, compression=zipfile.ZIP_STORED, **members) -> Path:
    """A copy of the archive with a changed program and more members."""
    path = tmp_path / "edited.pt2"
    with zipfile.ZipFile(GELU) as source, zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            content = source.read(name)
            if name == PROGRAM and change:
                content = content.decode().replace(*change).encode()
                assert content != source.read(name)
            target.writestr(name, members.pop(name.removeprefix("gelu/"), content))
        for name, content in members.items():
            target.writestr(f"gelu/{name}", content)
    return path


def torch_save(content: bytes) -> bytes:
    """A zip as torch.save writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def test_a_program_of_pytorch_passes_and_is_read():
    """Inputs, outputs and the types of the parameters, without torch."""
    check_pt2(GELU)
    inputs, outputs = signature(GELU)
    assert inputs == (("x", (None, 4), "float32"),)
    assert [(shape, dtype) for _, shape, dtype in outputs] == [((None, 3), "float32")]
    assert stored_types(GELU) == {"float32"}
    assert Pt2().stored_inputs(GELU) == [("x", (None, 4))]


@pytest.mark.parametrize(
    "change",
    [
        ("torch.ops.aten.linear.default", "torch.os.system"),
        ("torch.ops.aten.linear.default", "torch.ops.load_library"),
        ("torch.ops.aten.linear.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.linear.default", "#evil:op"),
        ("torch.ops.aten.linear.default", "torch.ops.mine.secret.default"),
        ('"as_string": "tanh"', '"as_string": "/etc/passwd"'),
        ("Symbol('s", "__import__('os').system('s"),
        ('\\"builtins.tuple\\"', '\\"mymodule.Evil\\"'),
        ('"guards_code": []', "\"guards_code\": [\"__import__('os').system('true')\"]"),
        ('"name": "x"', '"name": "x=print(1)"'),
        ('"forward_arg_names": ["x"]', '"forward_arg_names": ["x=print(1)"]'),
    ],
    ids=[
        "function",
        "library",
        "file operator",
        "extension",
        "custom operator",
        "path",
        "expression",
        "class",
        "guard",
        "name",
        "argument",
    ],
)
def test_a_program_that_could_run_code_needs_trust(tmp_path, change):
    """Refused before PyTorch sees it, with the flag that overrides."""
    with pytest.raises(EngineError, match="--trust") as caught:
        check_pt2(edited(tmp_path, change))
    assert caught.value.refused


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("member", ["data/sample_inputs/model.pt", "data/weights/weight_0", "data/constants/tensor_0"])
@pytest.mark.parametrize("wrap", [torch_save, bytes], ids=["torch.save", "bare"])
def test_a_pickle_with_code_needs_trust(tmp_path, member, protocol, wrap):
    """Sample inputs, weights and constants are unpickled when the archive is loaded."""
    pickled = json.dumps({"config": {"f.weight": {"use_pickle": True, "path_name": "weight_0"}}})
    changes = {"data/weights/model_weights_config.json": pickled.encode(), member: wrap(pickle.dumps(Payload(), protocol))}
    path = edited(tmp_path, **changes)
    with pytest.raises(EngineError, match="pickle"):
        check_pt2(path)


def test_a_name_taken_from_the_stack_is_refused(tmp_path):
    """`os.system` hidden behind allowed strings: only names in the opcode itself are read."""
    code = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x8c\x0bcollections0\x8c\x0bOrderedDict0\x93."
    with pytest.raises(EngineError, match="pickle"):
        check_pt2(edited(tmp_path, **{"data/sample_inputs/model.pt": torch_save(code)}))


@pytest.mark.parametrize("member", ["data/aotinductor/m/a.so", "extra/code.py", "data/constants/custom_obj_0"])
def test_compiled_code_and_objects_need_trust(tmp_path, member):
    """AOTInductor libraries are loaded as machine code."""
    with pytest.raises(EngineError, match="compiled code or pickled objects"):
        check_pt2(edited(tmp_path, **{member: b"x"}))


def test_compressed_members_and_damaged_files_are_refused(tmp_path):
    """torch.export.save compresses nothing; a cut file is reported as one."""
    with pytest.raises(EngineError, match="compressed"):
        check_pt2(edited(tmp_path, compression=zipfile.ZIP_DEFLATED))
    (tmp_path / "cut.pt2").write_bytes(GELU.read_bytes()[:500])
    with pytest.raises(EngineError, match=r"cut\.pt2 cannot be read as a PyTorch program"):
        check_pt2(tmp_path / "cut.pt2")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["m/code/__torch__.py", "m/constants.pkl", "m/data.pkl"], "no program of torch.export, but a TorchScript archive"),
        (["m/data.pkl", "m/data/0", "m/version"], "no program of torch.export, but a pickle of torch.save, such as weights"),
        (["serialized_exported_program.json", "version"], "no program of torch.export, but one of a PyTorch before 2.8"),
        (["a.txt"], "no program of torch.export"),
    ],
)
def test_another_archive_is_named(tmp_path, members, words):
    """With how to save a program."""
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        for member in members:
            archive.writestr(member, "{}")
    for call in (check_pt2, signature):
        with pytest.raises(EngineError, match=words) as caught:
            call(path)
        assert "torch.export.save(" in str(caught.value) and caught.value.refused


@pytest.mark.parametrize(
    "text",
    [
        "GreaterThan(Symbol('u0', integer=True), Integer(0))",
        "s0",
        "s0*s1 + 4",
        "Symbol('s77', positive=True, integer=True)",
        "Max(1, s0)",
        "-s0 // 2",
    ],
)
def test_sizes_are_arithmetic(text):
    """As torch.export writes them."""
    assert is_size_expression(text)


@pytest.mark.parametrize(
    "text", ["__import__('os')", "Symbol('a').__class__", "(lambda: 1)()", "[1]", "exec('x')", "s0.foo", "9**9**9", "Symbol('a b')", "("]
)
def test_anything_else_is_not(text):
    """SymPy would evaluate it as Python."""
    assert not is_size_expression(text)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Runtime assertion failed for expression u0 <= 8 on node 'le'", True),
        ("bi,oi->bo", True),
        ("Runtime assertion failed for expression u0 on node 'le'; import os", False),
        ("/etc/passwd", False),
    ],
)
def test_text_arguments_are_words_or_the_messages_of_assertions(text, passes):
    """Sizes that depend on the data are asserted by torch.export itself."""
    assert bool(TEXT.fullmatch(text)) == passes


def test_the_fixture_has_two_parameters():
    """A weight and a bias."""
    with zipfile.ZipFile(GELU) as archive:
        assert len(json.loads(archive.read("gelu/data/weights/model_weights_config.json"))["config"]) == 2


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [PROGRAM, "gelu/models/MODEL.json"])
def test_two_members_of_one_name_are_refused(tmp_path, name):
    """Readers of archives differ in which one they take, and in whether they compare capitals."""
    path = tmp_path / "twice.pt2"
    path.write_bytes(GELU.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"{}")
    with pytest.raises(EngineError, match="two members of one name"):
        check_pt2(path)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("((L['x'].size()[1]*L['x'].size()[0]) % 2) == 0", True),
        ("(1 + (((-1) + L['x'].size()[3]) // 2)) != 1", True),
        ("L['x'].size()[0] <= L['y']['z'].size()[0]", True),
        ("L['x'].size()[0].__class__ == 1", False),
        ("L['x'].data_ptr() == 0", False),
        ("print(1) == 1", False),
        ("9**9**9 == 1", False),
    ],
)
def test_a_guard_compares_sizes_of_inputs(text, passes):
    """As torch.export writes it; it is executed by converters."""
    assert is_guard(text) is passes


def test_namespaces_of_the_operators_are_read(tmp_path):
    """Each may need a library that registers them."""
    assert namespaces(edited(tmp_path)) == {"aten"}
    change = ("torch.ops.aten.linear.default", "torch.ops.quantized_decomposed.quantize_per_tensor.default")
    assert "quantized_decomposed" in namespaces(edited(tmp_path, change))
