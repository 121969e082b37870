"""The TensorFlow operators that a SavedModel may hold without trust."""

from __future__ import annotations

import pytest

from harness.formats.savedmodel_ops import COMPUTATION
from tests.models import workload_facts


@pytest.mark.slow
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
