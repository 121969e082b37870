"""SavedModels of other people's kind, in a child that imports TensorFlow: taken, exported and run as the plain function; nothing reaches out of its graph."""

from __future__ import annotations

import numpy as np
import pytest

from harness import plugins
from harness.engines.base import Load
from harness.errors import EngineError
from harness.formats.inputs import positions
from harness.formats.savedmodel import natural_key
from harness.formats.savedmodel_ops import COMPUTATION
from tests.models import models, workload_facts

pytestmark = pytest.mark.slow


def test_what_it_serves_is_counted():
    """Two matrices; a variable that no signature uses is none of its parameters."""
    assert workload_facts()["saved"]["facts"]["parameters"] == 4 * 3 + 2 * 3
    assert workload_facts()["saved"]["exported"] == {"tflite": 18, "onnx": 18}


def test_what_keras_2_saved_of_a_compiled_model_is_loaded():
    """Without Keras 2 nobody knows its optimizer; it is not needed."""
    assert sorted(workload_facts()["saved"]["compiled"]) == ["Alpha", "zeta_In.0"]


@pytest.mark.parametrize("mode", ["graph", "eager", "xla"])
def test_tensorflow_answers_as_the_plain_function(mode):
    """Inputs by their own names, the open axis open."""
    found = workload_facts()["saved"]["engine"][mode]
    assert found["difference"] < 1e-5
    assert found["precision"] == "float32"
    assert found["shapes"] == {"Alpha": [None, None, 2], "zeta_In.0": [None, 4]}


@pytest.mark.parametrize(("name", "format_"), [("litert", "tflite"), ("onnxruntime", "onnx")])
def test_exported_it_answers_the_same(name, format_):
    """With data in another order than the model's, found by name, and another size along the open axis."""
    found = workload_facts()["saved"]
    engine = plugins.load("engines", name)
    session = engine().open(Load(models() / found["paths"][format_], format_, "cpu", 4, 1, engine.spec.parameters()))
    data = np.load(models() / "pair.npz")
    given = [("zeta_In.0", data["zeta"][:4]), ("Alpha", data["alpha"][:4])]
    order = positions([tensor.name for tensor in session.inputs], [one for one, _ in given])
    answers = session.run([given[index][1] for index in order])
    scores = next(answer for answer in answers if answer.shape == (4, 3))
    assert np.allclose(scores, data["scores"][:4], atol=1e-5)


@pytest.mark.parametrize(("name", "format_"), [("litert", "tflite"), ("onnxruntime", "onnx")])
def test_a_model_of_tensorflow_1_is_exported(name, format_):
    """Variables that are no resources, and names of inputs that only its signature knows."""
    engine = plugins.load("engines", name)
    path = models() / workload_facts()["saved"]["first"][format_]
    session = engine().open(Load(path, format_, "cpu", 2, 1, engine.spec.parameters()))
    zeta, alpha = np.ones((2, 4), np.float32), np.ones((2, 5, 2), np.float32)
    order = positions([tensor.name for tensor in session.inputs], ["zeta", "alpha"])
    (scores,) = session.run([(zeta, alpha)[index] for index in order])
    assert np.allclose(scores, zeta @ np.arange(12, dtype=np.float32).reshape(4, 3) + 10)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("reads", "ReadFile"),
        ("runs", "PyFunc"),
        ("listens", "TextLineDataset"),
        ("prints", "PrintV2"),
        ("saves", "SaveV2"),
        ("first_saves", "SaveV2"),
        ("first_reads", "secret.txt"),
        ("maps", "ImmutableConst"),
        ("hides", "DatasetFromGraph"),
        ("samples", "FixedUnigramCandidateSampler"),
        ("fills", "secret.txt"),
        ("fills_passed", "secret.txt"),
        ("fills_joined", "computed by its graph"),
        ("later", "OperatorOf2030"),
        ("none", "serves no signature"),
        ("cut", "cannot be read"),
        ("pictures", "no SavedModel"),
    ],
)
def test_what_is_not_taken(name, words):
    """A graph that reads files or runs Python, one with an operator that nobody knows yet, one that serves nothing, a file cut short: each a sentence."""
    assert words in workload_facts()["refused"][name][0]
    assert "--trust" in workload_facts()["refused"][name][0] or name in ("fills", "fills_passed", "first_reads", "none", "cut", "pictures")
    assert workload_facts()["refused"]["trusted"] == "serving_default"
    assert workload_facts()["refused"]["first_fills"] is None


def test_what_only_computes_is_taken():
    """Keras layers of every kind, in training too, an application, a text model, and a table from a file of the model's own folder."""
    found = workload_facts()["operators"]
    assert found["refused"] == {name: [] for name in ("MobileNetV2", "image", "series", "tokens", "text")}
    assert found["asset"] == [1, -1]


def test_every_allowed_operator_exists():
    """A name that TensorFlow lacks is a slip, or one that it dropped."""
    assert workload_facts()["operators"]["missing"] == []


@pytest.mark.parametrize(
    "words",
    [
        "ReadFile WriteFile MatchingFiles ImmutableConst FixedUnigramCandidateSampler Skipgram LoadAndRemapMatrix GenerateVocabRemapping",
        "TextLineDataset TFRecordDatasetV2 CSVDatasetV2 SqlDataset CacheDatasetV2 SnapshotDatasetV2 SaveDatasetV2 LoadDataset ListDataset",
        "EncodeProto DecodeProtoV2 CreateSummaryFileWriter ImportEvent FileSystemSetConfiguration CalibrationStatisticsSaver RecordInput",
        "PyFunc PyFuncStateless EagerPyFunc XlaCallModule XlaCustomCallV2 XlaHostCompute MlirPassthroughOp DatasetFromGraph RemoteCall",
        "RpcCall DataServiceDatasetV4 CollectiveReduceV3 Send Recv TPUExecute DebugIdentityV3 Copy CopyHost Print PrintV2 Abort SleepOp",
        "GeneratorDataset RegisterDatasetV2 InfeedEnqueue FIFOQueueV2 QueueDequeueV2 WholeFileReaderV2 _Send _HostRecv DumpTensor",
    ],
)
def test_what_reaches_out_is_never_allowed(words):
    """Stateless in TensorFlow's registry does not mean harmless: some of these read a file that an attribute names."""
    assert not set(words.split()) & COMPUTATION


@pytest.mark.parametrize(
    ("given", "found"),
    [([None, None], [0, 1]), (["b", "a"], [1, 0]), (["a:0", "b"], None), (["a", None], None), (["a", "b", "c"], None), (["a"], None)],
)
def test_arrays_find_their_inputs(given, found):
    """By name, or in their order where none is named; a name too few or too many is refused."""
    wanted = ["serving_default_a:0", "b"]
    if found:
        assert positions(wanted, given) == found
    else:
        with pytest.raises(EngineError, match="name each input once"):
            positions(wanted, given)


def test_the_names_of_a_signature_have_one_order():
    """Whatever order a process reads them in; numbers by their size."""
    read = ["output_10", "classes", "output_2", "x1y", "output_1", "2"]
    wanted = ["2", "classes", "output_1", "output_2", "output_10", "x1y"]
    assert sorted(read, key=natural_key) == wanted
