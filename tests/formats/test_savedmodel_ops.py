"""The TensorFlow operators that a SavedModel may hold without trust."""

from __future__ import annotations

import pytest

from harness.formats.savedmodel_ops import COMPUTATION
from tests.models import workload_facts


@pytest.mark.slow
def test_every_allowed_operator_exists():
    """A name that TensorFlow does not have is misspelt or was removed."""
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
def test_operators_that_access_files_or_run_code_are_not_allowed(words):
    """Some operators that TensorFlow registers as stateless read a file named by an attribute."""
    assert not set(words.split()) & COMPUTATION
