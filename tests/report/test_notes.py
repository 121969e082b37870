"""Notes on the method."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pyarrow.parquet as pq

from harness import frame
from harness.frame.rows import rows_of
from harness.report import export, notes, page
from harness.report.notes import method
from harness.schema import Model
from tests.factories import COUNTERS, digits


def test_the_notes_state_how_it_was_measured():
    """n, scope, kind, interval, launches, sensor, gain, versions, machine; below a table, in JSON and in Parquet's metadata."""
    run = digits(COUNTERS)
    table = frame.cases([run])
    sentences = notes([run], rows_of(table))
    text = " ".join(sentences)
    words = (
        "counter (package+dram)",
        f"n = {len(table)} cases",
        "95 %",
        "here 3",
        "read by rapl",
        "gain uncertainty 5.0%",
        "onnxruntime 1.32.0",
        "commit abcdef0",
    )
    assert [word for word in words if word not in text] == []
    assert json.loads(export(table, "json", notes=sentences))["notes"] == sentences
    assert json.loads(pq.read_table(io.BytesIO(export(table, "parquet", notes=sentences))).schema.metadata[b"notes"]) == sentences
    for form in ("md", "tex", "html"):
        assert export(table, form, notes=sentences).decode().count("AMD EPYC 7763, 2 CPUs") == 1


def test_the_notes_of_several_runs_have_shared_sentences_once(run):
    """Others have the name of their run."""
    other = replace(run, header=run.header.model_copy(update={"run_id": "other", "harness_commit": "1234567"}))
    sentences = notes([run, other], rows_of(frame.cases([run])) + [{**row, "run_id": "other"} for row in rows_of(frame.cases([run]))])
    assert len([each for each in sentences if "closed loop" in each]) == 1
    assert [each for each in sentences if each.startswith("other: ") and "1234567" in each]
    assert [each for each in sentences if each.startswith("run: ") and "abcdef0" in each]


def test_the_method_defines_agreement_and_names_models_on_noise():
    """Only if the table has it."""
    table = digits()
    assert not any("Agreement is" in each or "noise" in each for each in page.method(table.header, rows_of(frame.cases([table]))))
    rows = [{**row, "quality_metric": "agreement"} for row in rows_of(frame.cases([table]))]
    model = Model(name="digits-cnn", format="onnx", sha256="0" * 64, metric=None)
    suite = table.header.suite.model_copy(update={"models": (model,)})
    sentences = page.method(table.header.model_copy(update={"suite": suite}), rows)
    assert any("Agreement is the share of samples" in each for each in sentences)
    assert any("seeded noise" in each and "digits-cnn" in each for each in sentences)


def test_a_modelled_power_is_a_guess_with_bounds():
    """In the method; a model without bounds, as in older runs, has no such sentence."""
    run = digits()
    rows = rows_of(frame.cases([run]))
    assert not any("an estimate" in each for each in page.method(run.header, rows))
    detail = {"tdp_w": 64.0, "low_w": 8.0, "high_w": 150.0, "tdp_source": "KVM: its share is not known"}
    domains = (run.header.domains[0].model_copy(update={"detail": detail}), *run.header.domains[1:])
    (sentence,) = [each for each in page.method(run.header.model_copy(update={"domains": domains}), rows) if "an estimate" in each]
    assert sentence.startswith("The power of package is modelled, an estimate: 64 W at full load, between 8 and 150 W (KVM")


def test_the_timed_part_of_a_query_is_stated_where_it_is_not_the_usual_one_of_a_cpu():
    """On any other device, with copies on a CPU, and with several queries in flight."""
    run = digits()
    rows = [row for row in rows_of(frame.cases([run])) if row["device"] == "cpu"]

    def added(**timed) -> list[str]:
        return [each for each in method(run.header, [*rows, rows[0] | timed]) if each not in method(run.header, rows)]

    assert added() == []
    assert "copies inside (gpu) is from host arrays" in added(device="gpu", copies="inside")[0]
    assert "copies outside (cpu, gpu) is the computation alone" in added(device="gpu", copies="outside")[0]
    assert "from submission to completion" in added(in_flight=4)[0]
