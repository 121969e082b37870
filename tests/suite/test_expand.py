"""Matrices become cases, and combinations that are unsupported."""

from __future__ import annotations

from dataclasses import replace

from harness.schema import EngineSpec, Suite
from harness.suite import load_suite
from tests.catalogue import CATALOGUE
from tests.suites import FAMILY, GOOD, errors, load, matrix, own


def test_a_matrix_is_a_product(tmp_path):
    """Every variant on every engine at every batch size is a case with its own readable id, and dense is its baseline."""
    suite = load(tmp_path, GOOD)
    assert len(suite.cases) == 3 * 2 * 2
    ids = {case.case_id for case in suite.cases}
    assert "digits-cnn/prune(final_sparsity=0.8)+int8/onnxruntime(graph_optimization=basic)/cpu/b8/t1/single_stream" in ids
    assert all(case.baseline_case_id in ids for case in suite.cases)
    assert not suite.impossible


def test_the_cases_of_a_model_are_listed_together(tmp_path):
    """In the order of the models, whichever matrix they come from."""
    two = (
        GOOD.replace("[digits-cnn]", "[digits-cnn, {name: second, workload: digits-cnn}]")
        + "  - {variants: [dense], engines: [tensorflow]}\n"
    )
    models = [case.model for case in load(tmp_path, two).cases]
    assert models == ["digits-cnn"] * 13 + ["second"] * 13


def test_a_matrix_may_name_its_models(tmp_path):
    """All models by default; an unknown name is an error on its line."""
    two = matrix("models: [second]").replace("[digits-cnn]", "[digits-cnn, {name: second, workload: digits-cnn}]")
    assert {case.model for case in load(tmp_path, two).cases} == {"second"}
    assert "did you mean 'second'" in errors(tmp_path, two.replace("models: [second]", "models: [seconds]"))
    assert "unknown model" not in errors(
        tmp_path, two.replace("workload: digits-cnn", "workload: digits-cn")
    )  # that model has an error of its own


def test_a_case_without_its_dense_case_has_no_baseline(tmp_path):
    """A baseline that is not measured has no record."""
    suite = load(tmp_path, matrix("variants: [int8]") + "  - {engines: [litert], variants: [dense], batch_sizes: [8]}\n")
    assert [(case.variant, case.baseline_case_id is None) for case in suite.cases] == [("int8", True), ("dense", False)]


def test_an_unsupported_combination_has_a_reason(tmp_path):
    """It is listed and not run."""
    suite = load(tmp_path, matrix("variants: [dense]").replace("litert", "tensorflow, litert") + "    devices: [gpu]\n")
    assert [case.device for case in suite.cases] == ["gpu"]
    assert ["not on gpu" in pair.reason for pair in suite.impossible] == [True]
    suite = load(tmp_path, matrix("variants: [float16]").replace("litert", "tensorflow"))
    assert not suite.cases
    assert "tensorflow opens keras" in suite.impossible[0].reason
    assert "available only as onnx, tflite (from keras with float16)" in suite.impossible[0].reason


def test_auto_is_every_device_of_the_machine(tmp_path):
    """The command line may keep one device; the hash of the suite depends on neither."""
    text = matrix("devices: [auto]").replace("litert", "tensorflow")
    assert [c.device for c in load(tmp_path, text).cases] == ["cpu"]
    with_gpu = load(tmp_path, text, devices=("cpu", "gpu"))
    assert [c.device for c in with_gpu.cases] == ["cpu", "gpu"]
    assert [c.device for c in load(tmp_path, text, device="gpu").cases] == ["gpu"]
    assert with_gpu.sha256 == load(tmp_path, text).sha256


def test_a_variant_that_needs_training_data_never_gets_test_data(folder):
    """Not even if there are no others."""
    text = own('test: {inputs: "d.npz:x", labels: "d.npz:y"}').replace("[dense]", "[int8]")
    assert "int8 needs `data.train`" in errors(folder, text)
    load(folder, text.replace("test:", "train:"))


def test_auto_leaves_out_a_device_on_request(tmp_path):
    """The installed packages cannot use it: a case that names it is refused with what to install."""
    engines = {"onnxruntime": EngineSpec(name="onnxruntime", formats=("onnx",), devices=("cpu", "gpu"), on_request=("gpu",))}
    catalogue = replace(CATALOGUE, engines=engines)
    path = tmp_path / "suite.yaml"
    for devices, expected in (("auto", ["cpu"]), ("gpu", ["gpu"])):
        path.write_text(
            f"name: x\nmodels: [digits-cnn]\nmatrices:\n  - {{engines: [onnxruntime], devices: [{devices}], variants: [dense]}}\n"
        )
        assert [case.device for case in load_suite(path, catalogue, devices=("cpu", "gpu")).cases] == expected


def test_pruning_needs_labels(folder):
    """Seeded images have none."""
    problems = errors(folder, FAMILY.replace("MODEL", "zoo/Ant").replace("int8", "prune"))
    assert "prune needs labels in `data.train`" in problems


def timed(tmp_path, line: str, **spec: object) -> Suite:
    """A suite of one matrix of the offline scenario, on an engine of CPU and GPU."""
    engine = EngineSpec(name="litert", formats=("*",), devices=("cpu", "gpu"), **spec)
    path = tmp_path / "suite.yaml"
    path.write_text(
        matrix(f"{{scenarios: [offline], devices: [cpu, gpu], {line}}}").replace("engines: [litert]\n    {", "{engines: [litert], ")
    )
    return load_suite(path, replace(CATALOGUE, engines={"litert": engine}), devices=("cpu", "gpu"))


def tails(suite: Suite) -> list[str]:
    """Ends of the case ids."""
    return [case.case_id.partition("/litert/")[2] for case in suite.cases]


def test_copies_are_timed_on_a_device_alone_by_default(tmp_path):
    """The effective value is the case's, and an explicit default is the same case."""
    plain = timed(tmp_path, "batch_sizes: [1]")
    assert [(case.device, case.copies, case.in_flight) for case in plain.cases] == [("cpu", "outside", 1), ("gpu", "inside", 1)]
    both = timed(tmp_path, "copies: [inside, outside]", stages=("gpu",))
    assert set(tails(both)) == {
        "cpu/b1/t1/offline",
        "gpu/b1/t1/offline",
        "cpu/b1/t1/offline/copies_inside",
        "gpu/b1/t1/offline/copies_outside",
    }
    assert set(tails(plain)) < set(tails(both)) and plain.sha256 != both.sha256


def test_several_queries_in_flight_are_a_case_with_a_baseline_of_its_own(tmp_path):
    """With the same copies and the same number in flight."""
    suite = timed(tmp_path, "variants: [dense, int8], in_flight: [1, 4], copies: [outside]", stages=("gpu",), asynchronous=("gpu",))
    assert [tail for tail in tails(suite) if "in_flight" in tail] == ["gpu/b1/t1/offline/copies_outside/in_flight_4"] * 2
    of_id = {case.case_id: case for case in suite.cases}
    assert all(
        (case.copies, case.in_flight) == (of_id[case.baseline_case_id].copies, of_id[case.baseline_case_id].in_flight)
        for case in suite.cases
    )


def test_an_engine_that_cannot_be_timed_so_is_unsupported(tmp_path):
    """Calls that copy cannot be timed without the copies; calls that block have one query in flight, whatever a label claims."""
    reasons = {
        each.case_id.partition("/litert/")[2]: each.reason for each in timed(tmp_path, "copies: [outside], in_flight: [1, 8]").impossible
    }
    assert "copies its inputs and outputs" in reasons["gpu/b1/t1/offline/copies_outside"]
    assert "in_flight: 8 has no effect" in reasons["cpu/b1/t1/offline/in_flight_8"]
