"""The reference of a case's outputs: the dense case with the fewest exports, on the same inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import frame
from harness.frame.quality import DIFFERS, FLOAT32_TOLERANCE
from harness.frame.reference import exports, is_double, references
from harness.schema import Build, DataRef, Model, Step, StoredOutputs
from tests.factories import case, record, stored

SAMPLES = 200
CHAINS = {
    "torch": ("source",),
    "onnxruntime": ("source", "torch_onnx"),
    "litert": ("source", "torch_onnx", "onnx_tflite"),
    "null": ("source",),
}
CLASSES = np.eye(3, dtype=np.float32)[np.arange(SAMPLES) % 3]
TEST = Model(name="digits-cnn", format="torch", sha256="0", test=DataRef())


def chain(names):
    """Builds of a route, and the id of the last one."""
    ids = ["/".join(names[: k + 1]) for k in range(len(names))]
    parents = [None, *ids]
    builds = [
        Build(build_id=ids[k], model="digits-cnn", step=Step(recipe=name), parent=parents[k], format="x") for k, name in enumerate(names)
    ]
    return builds, ids[-1]


def run_of(answers, changes=None, options=None, **suite):
    """A run of cases, each with outputs and a route by its engine.

    Args:
        answers: Outputs by (variant, engine, batch).
        changes: Fields of the records by engine.
        options: Text of the options by engine.
        suite: Fields of the suite.
    """
    cells, builds, outputs, records = [], {}, {}, []
    for (variant, engine, batch), array in answers.items():
        own, last = chain(CHAINS[engine.partition("(")[0]])
        builds |= {build.build_id: build for build in own}
        name = engine.partition("(")[0]
        cell = case(variant, name, batch).model_copy(
            update={
                "build_id": last,
                "case_id": f"digits-cnn/{variant}/{engine}/cpu/b{batch}",
                "baseline_case_id": f"digits-cnn/dense/{engine}/cpu/b{batch}",
            }
        )
        cells.append(cell)
        outputs[cell.case_id] = StoredOutputs(outputs=array)
        records.append(record(cell, quality=None, **(changes or {}).get(engine, {})))
    run = stored(cells, records)
    header = run.header.model_copy(
        update={"suite": run.header.suite.model_copy(update={"models": (TEST,), "builds": tuple(builds.values()), **suite})}
    )
    return replace(run, header=header, outputs=outputs)


def table(run):
    """Rows of `cases` by engine and variant."""
    frame_ = frame.cases([run])
    return {(row.variant, row.case_id.split("/")[2], row.batch_size): row for _, row in frame_.iterrows()}


ALL = {
    ("dense", "litert", 1): CLASSES,
    ("dense", "onnxruntime", 1): CLASSES,
    ("dense", "torch", 1): CLASSES,
    ("int8", "onnxruntime", 1): CLASSES,
}


def test_the_fewest_exports_are_the_reference():
    """The engine of the model's own framework, wherever it is in the suite; it has no agreement with itself."""
    rows = table(run_of(ALL))
    assert {row.reference_case_id for row in rows.values()} == {"digits-cnn/dense/torch/cpu/b1"}
    assert np.isnan(rows["dense", "torch", 1].reference_agreement)
    assert rows["dense", "litert", 1].reference_agreement == 1 and rows["dense", "litert", 1].reference_samples == SAMPLES
    assert rows["int8", "onnxruntime", 1].baseline_case_id == "digits-cnn/dense/onnxruntime/cpu/b1"


def test_exports_are_the_steps_after_the_model_is_stored():
    """Training and data are none."""
    builds = {build.build_id: build for build in chain(("dataset", "train", "onnx"))[0]}
    assert [exports("/".join(("dataset", "train", "onnx")[:k]), builds) for k in (1, 2, 3)] == [0, 0, 1]
    assert exports("unknown", builds) == 0


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({"torch": {"status": "failed", "reason": "x"}}, "onnxruntime"),
        ({"torch": {"precision_ran": "bfloat16"}}, "torch(mode=compile)"),
        ({}, "torch"),
    ],
)
def test_a_reference_completed_and_ran_in_float32_by_default(changes, reference):
    """Else the next one; a case with other options only if the default is not exact."""
    run = run_of(
        {**ALL, ("dense", "torch(mode=compile)", 1): CLASSES},
        {**changes, **({"torch(mode=compile)": {"status": "failed", "reason": "x"}} if reference == "onnxruntime" else {})},
    )
    assert table(run)["int8", "onnxruntime", 1].reference_case_id == f"digits-cnn/dense/{reference}/cpu/b1"


def test_a_test_double_is_no_reference():
    """It opens every format and computes nothing."""
    assert is_double("null") and not is_double("torch") and not is_double("unknown")
    rows = table(run_of({("dense", "null", 1): CLASSES, ("dense", "onnxruntime", 1): CLASSES}))
    assert rows["dense", "null", 1].reference_case_id == "digits-cnn/dense/onnxruntime/cpu/b1"


def test_noise_is_compared_within_a_batch_size():
    """It is drawn by batch; test data are the same for all."""
    answers = {("dense", "torch", 1): CLASSES, ("dense", "onnxruntime", 32): CLASSES, ("int8", "onnxruntime", 32): CLASSES}
    assert table(run_of(answers))["int8", "onnxruntime", 32].reference_case_id == "digits-cnn/dense/torch/cpu/b1"
    noise = run_of(answers, models=())
    assert table(noise)["int8", "onnxruntime", 32].reference_case_id == "digits-cnn/dense/onnxruntime/cpu/b32"


def test_an_old_run_without_outputs_has_no_reference():
    """And none of its columns."""
    run = replace(run_of(ALL), outputs={})
    assert references(run, {each.case_id: run.records for each in run.header.suite.cases}) == {}
    assert all(row.isna()[["reference_case_id", "reference_agreement", "reference_samples"]].all() for row in table(run).values())


def shifted(count):
    """Outputs whose class differs in the first samples."""
    return np.eye(3, dtype=np.float32)[(np.arange(SAMPLES) + (np.arange(SAMPLES) < count)) % 3]


@pytest.mark.parametrize(
    ("outputs", "changes", "words"),
    [
        (CLASSES, {}, None),
        (CLASSES * (1 + 0.5 * FLOAT32_TOLERANCE), {}, None),
        (CLASSES[:, :, None, None], {}, None),
        (CLASSES[:, :2], {}, None),
        (shifted(2), {"precision_ran": "bfloat16"}, None),
        (shifted(3), {"precision_ran": "bfloat16"}, "they agree on 98.5% of 200 samples, at least 99% are expected"),
        (CLASSES * 1.01, {}, "they differ by up to 0.01 of its largest output, at most 0.001 is expected of float32"),
        (CLASSES * 1.01, {"precision_ran": "float16"}, None),
        (CLASSES * 1.01, {"precision_ran": None}, None),
        (CLASSES * 1.01, {"engine_facts": {"tf32": True}}, None),
        (-CLASSES, {}, "they agree on 0.0% of 200 samples"),
        (np.where(np.arange(SAMPLES)[:, None] == 0, np.nan, CLASSES).astype(np.float32), {}, "some are not finite"),
    ],
)
def test_a_dense_case_that_differs_has_a_finding(outputs, changes, words):
    """With the reference and the number; the relative difference only if both ran in float32; axes of length 1 do not count."""
    run = run_of({("dense", "torch", 1): CLASSES, ("dense", "onnxruntime", 1): outputs}, {"onnxruntime": changes})
    row = table(run)["dense", "onnxruntime", 1]
    codes = "" if row.isna().warnings else row.warnings
    assert (DIFFERS in codes.split(";")) == (words is not None)
    if words:
        from harness.frame.findings import case_findings
        from harness.frame.rows import rows_of

        (finding,) = case_findings(rows_of(frame.cases([run]))[1])
        assert words in finding.sentence and "digits-cnn/dense/torch/cpu/b1" in finding.sentence and not finding.invalid


def test_a_variant_that_differs_has_no_finding():
    """Its loss is its quality; the agreement is in the table."""
    rows = table(run_of({("dense", "torch", 1): CLASSES, ("dense", "onnxruntime", 1): CLASSES, ("int8", "onnxruntime", 1): shifted(20)}))
    row = rows["int8", "onnxruntime", 1]
    assert row.reference_agreement == 0.9 and row.isna().warnings
    assert row.reference_relative_diff == 1.0
