"""Images, tables and functions as arrays: sizes, class numbers, and errors."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from harness.errors import EngineError
from harness.schema import DataSource
from harness.workloads.base import describe_split
from harness.workloads.sources import _choice, call_data, image_size, read_csv, read_images
from tests.onnx_models import save


def source(kind, path, **options) -> DataSource:
    """A source of samples."""
    return DataSource(kind=kind, path=str(path), sha256="-", options=options)


@pytest.fixture
def pictures(tmp_path):
    """Three cats of one grey, two dogs of another."""
    for name, grey, count in (("cat", 51, 3), ("dog", 204, 2)):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.new("RGB", (20 + index, 10), (grey, grey, grey)).save(tmp_path / name / f"{index}.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    return tmp_path


def test_images_have_the_models_size_and_their_classes_number(pictures):
    """Scaled as the suite requests; labels in the order of the classes."""
    split = read_images(source("images", pictures, scale=1 / 255, mean=0.5, std=[0.5, 1, 2]), ["bird", "cat", "dog"], (8, 6, 3), 0)
    assert split.inputs.shape == (5, 8, 6, 3) and split.inputs.dtype == np.float32
    assert split.labels.tolist() == [1, 1, 1, 2, 2]
    assert np.allclose(split.inputs[0, 0, 0], [(0.2 - 0.5) / 0.5, (0.2 - 0.5) / 1, (0.2 - 0.5) / 2])


def test_images_are_preprocessed_by_the_model_unless_the_suite_does(pictures):
    """Without either, pixels are unchanged."""
    assert read_images(source("images", pictures), ["cat", "dog"], (4, 4, 1), 0).inputs.max() == 204
    prepared = read_images(source("images", pictures), ["cat", "dog"], (4, 4, 3), 0, lambda pixels: pixels / 2)
    assert prepared.inputs.max() == 102
    declared = read_images(source("images", pictures, scale=0.1), ["cat", "dog"], (4, 4, 3), 0, lambda pixels: pixels / 2)
    assert np.allclose(declared.inputs.max(), 20.4)


def test_fewer_images_are_a_seeded_choice_of_each_class(pictures):
    """The same for one seed, from each class in turn; not the first files, which may be similar."""
    few = [read_images(source("images", pictures, samples=2), ["cat", "dog"], (4, 4, 3), 7) for _ in range(2)]
    assert few[0].labels.tolist() == [0, 1]
    assert np.array_equal(few[0].inputs, few[1].inputs)
    found = [(pictures / f"{index}.png", 0) for index in range(20)]
    chosen = {tuple(_choice(found, 3, seed)) for seed in range(5)}
    assert len(chosen) > 1
    assert all(list(each) == [picture for picture in found if picture in each] for each in chosen)


def test_a_folder_without_subfolders_has_no_labels(pictures):
    """Images alone."""
    assert read_images(source("images", pictures / "cat"), [], (4, 4, 3), 0).labels is None


@pytest.mark.parametrize(
    ("shape", "size", "found"),
    [
        ((224, 200, 3), None, ((224, 200), 3, False)),
        ((3, 224, 200), None, ((224, 200), 3, True)),
        ((None, None, 3), [32, 16], ((32, 16), 3, False)),
        ((28, 28), None, ((28, 28), 1, False)),
        ((28, 28, 1), [28, 28], ((28, 28), 1, False)),
    ],
)
def test_the_size_comes_from_the_model(shape, size, found):
    """Channels last or first; from the suite if the model's size is dynamic."""
    assert image_size(shape, size) == found


@pytest.mark.parametrize(
    ("shape", "size", "words"),
    [((None, None, 3), None, "give `size"), ((28, 28, 1), [32, 32], "28 x 28, the suite requests 32 x 32"), ((10,), None, "not images"), ((8, 8, 7), None, "not images")],
)  # fmt: skip
def test_an_unknown_size_is_refused(shape, size, words):
    """It is not guessed."""
    with pytest.raises(EngineError, match=words):
        image_size(shape, size)


def test_unusable_images_are_refused(pictures):
    """A damaged image, a folder that is not a class, an empty folder, too many bytes."""
    with pytest.raises(EngineError, match="'dog', which is not a class"):
        read_images(source("images", pictures), ["cat"], (4, 4, 3), 0)
    with pytest.raises(EngineError, match="more than 4 GiB"):
        read_images(source("images", pictures), ["cat", "dog"], (20_000, 20_000, 3), 0)
    (pictures / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(EngineError, match=r"broken\.png cannot be read"):
        read_images(source("images", pictures), ["cat", "dog"], (4, 4, 3), 0)
    (pictures / "dog" / "broken.png").unlink()
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(pictures / "dog" / "deep.png")
    with pytest.raises(EngineError, match=r"deep\.png cannot be read as an image: its pixels have more than 8 bits"):
        read_images(source("images", pictures), ["cat", "dog"], (4, 4, 3), 0)
    (pictures / "empty").mkdir()
    with pytest.raises(EngineError, match="contains no images"):
        read_images(source("images", pictures / "empty"), [], (4, 4, 3), 0)


TABLE = "length,width,kind\n1.5,2,b\n3,4,a\n"


def test_a_table(tmp_path):
    """Columns in the requested order, for each input; words become class numbers."""
    (tmp_path / "t.csv").write_text(TABLE)
    split = read_csv(source("csv", tmp_path / "t.csv", label="kind", features={"": ["width", "length"]}), ["a", "b"])
    assert split.inputs.tolist() == [[2, 1.5], [4, 3]] and split.inputs.dtype == np.float32
    assert split.labels.tolist() == [1, 0]
    several = read_csv(source("csv", tmp_path / "t.csv", features={"in b": ["width"], "in a": ["length"]}), [])
    assert several.labels is None
    assert [ref["name"] for ref in describe_split(several)["inputs"]] == ["in b", "in a"]


def test_a_class_may_be_named_like_a_missing_value(tmp_path):
    """NA (Namibia) and None are not missing values."""
    (tmp_path / "t.csv").write_text("x,land\n1,NA\n2,None\n3,DE\n")
    split = read_csv(source("csv", tmp_path / "t.csv", label="land", features={"": ["x"]}), ["DE", "NA", "None"])
    assert split.labels.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABLE + "5,,a\n", "'width' is not a finite number in row 4"),
        (TABLE + "5,x,a\n", "'width' is not a finite number in row 4: 'x'"),
        (TABLE + "5,6,c\n", "'c' in column 'kind' is not a class"),
        ("length,width,kind\n", "no rows"),
        ("", "cannot be read as a table"),
    ],
)
def test_an_unusable_table_is_refused(tmp_path, text, words):
    """The error names the column and the row."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(EngineError, match=words):
        read_csv(source("csv", tmp_path / "t.csv", label="kind", features={"": ["length", "width"]}), ["a", "b"])


CODE = """
import numpy as np
x = np.ones((4, 2), np.float32)
def pair(): return x, np.arange(4)
def alone(): return x
def named(): return {"b": x, "a": x}, None
def nameless(): return [x, x], np.arange(4)
def uneven(): return x, np.arange(3)
def words(): return [[object()]]
def fails(): raise RuntimeError("no data today")
"""


def test_a_function(tmp_path):
    """It returns inputs and labels, inputs alone, or inputs by name; only with trust."""
    (tmp_path / "own_data.py").write_text(CODE)

    def given(name: str):
        return call_data(source("function", f"own_data:{name}"), str(tmp_path), trusted=True)

    assert given("pair").labels.tolist() == [0, 1, 2, 3]
    assert given("alone").labels is None
    assert list(given("named").inputs) == ["b", "a"]
    for name, words in {
        "uneven": r"\(4, 2\).*\(3,\)",
        "words": "object",
        "nameless": "2 arrays without names",
        "fails": "no data today",
        "none": "no attribute",
    }.items():
        with pytest.raises(EngineError, match=words):
            given(name)
    with pytest.raises(EngineError, match="not run without --trust"):
        call_data(source("function", "own_data:pair"), str(tmp_path), trusted=False)


WITHOUT_TENSORFLOW = """
import sys
sys.modules.update(dict.fromkeys(["tensorflow", "keras"]))  # importing them fails
import numpy as np
from harness.schema import Build, DataSource, Model, Step
from harness.schema.worker import BuildTask
from harness.worker.build import build
step = Step(recipe="data", parameters={"split": "test", "classes": ["a", "b"]})
task = BuildTask(
    model=Model(name="m", path=sys.argv[1], format="onnx", sha256="-"),
    build=Build(build_id="b", model="m", step=step, parent="p", format="npz", lineage=("data(test)",)),
    source=dict(path=sys.argv[1], format="onnx"),
    data=DataSource(kind="images", path=sys.argv[2], sha256="-", options={"scale": 0.5}),
    folder=sys.argv[3],
    seed=0,
)
build(task)
"""


def test_images_need_no_tensorflow(tmp_path):
    """For a model of another framework: the same array as here, in an environment that has only Pillow."""
    model = save(tmp_path, [("x", "FLOAT", ["n", 3, 6, 6])], [("y", "Relu", ["x"])])
    images = tmp_path / "images"
    for name in ("a", "b"):
        (images / name).mkdir(parents=True)
        pixels = np.random.default_rng(len(name)).integers(0, 255, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(images / name / "1.png")
    built = tmp_path / "built"
    built.mkdir()
    arguments = [sys.executable, "-c", WITHOUT_TENSORFLOW, str(model), str(images), str(built)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = read_images(source("images", images, scale=0.5), ["a", "b"], (3, 6, 6), 0)
    stored = np.load(built / "data" / "test.npz")
    assert np.array_equal(stored["inputs"], expected.inputs) and stored["labels"].tolist() == [0, 1]
