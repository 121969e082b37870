"""The hash of a suite, and canonical texts of variants."""

from __future__ import annotations

import numpy as np
import pytest

from harness.suite.identity import model_identity
from tests.suites import GOOD, load, matrix, own


@pytest.mark.parametrize("text", ["[prune]", "[{prune: {}}]", "[{prune: }]", "[{prune: {final_sparsity: 0.90}}]", "[[prune]]"])
def test_one_variant_has_one_text(tmp_path, text):
    """However it is written."""
    suite = load(tmp_path, matrix(f"variants: {text}"))
    assert [case.variant for case in suite.cases] == ["prune(final_sparsity=0.9)"]


def test_hashes_follow_what_determines_the_result(tmp_path):
    """Another seed or another sparsity is another build; another name of the suite is not."""
    a = load(tmp_path, GOOD)
    assert {b.build_id for b in a.builds} == {b.build_id for b in load(tmp_path, GOOD.replace("good", "other")).builds}
    assert not {b.build_id for b in a.builds} & {b.build_id for b in load(tmp_path, GOOD + "seed: 1\n").builds}
    assert a.sha256 != load(tmp_path, GOOD.replace("0.8", "0.7")).sha256


def test_fields_with_their_default_are_not_hashed(tmp_path):
    """So that a suite keeps the hash of an older version."""
    (tmp_path / "m.onnx").write_bytes(b"onnx")
    np.savez(tmp_path / "d.npz", x=np.zeros((4, 2)), y=np.zeros(4))
    suite = load(tmp_path, own('test: {inputs: "d.npz:x", labels: "d.npz:y"}'))
    assert set(model_identity(suite.models[0])) == {
        "name",
        "workload",
        "format",
        "sha256",
        "train",
        "test",
        "metric",
        "training",
        "trusted",
    }
    assert set(model_identity(suite.models[0])["test"]) == {"inputs", "labels"}


def test_how_a_case_is_timed_is_hashed_where_it_is_not_the_default(tmp_path):
    """A suite without these fields keeps the hash of the version before them, and so does one that writes the defaults."""
    plain = load(tmp_path, matrix("scenarios: [offline]"))
    assert plain.sha256 == "779f5033d454d9ada1380b560ac5dc26a21891bca1f91823d15f320247cb3e0f"
    defaults = "scenarios: [offline]\n    copies: null\n    in_flight: [1]\nlimits: {load_timeout_s: null}"
    assert load(tmp_path, matrix(defaults)).sha256 == plain.sha256
    others = ("    copies: [outside]\n", "    in_flight: [1, 2]\n", "limits: {load_timeout_s: 60}\n")
    assert len({plain.sha256, *(load(tmp_path, matrix("scenarios: [offline]\n" + more)).sha256 for more in others)}) == 4


def test_objectives_of_a_request_are_hashed_only_if_they_are_written(tmp_path):
    """Goodput depends on them, so a run with others is of another suite."""
    plain = load(tmp_path, GOOD).sha256
    limited = load(tmp_path, GOOD + "slo: {max_ttft_s: 0.2}\n")
    assert load(tmp_path, GOOD + "slo: null\n").sha256 == plain
    assert limited.sha256 not in (plain, load(tmp_path, GOOD + "slo: {max_ttft_s: 0.3}\n").sha256)
    assert (limited.slo.max_ttft_s, limited.slo.max_tpot_s) == (0.2, None)


def test_acceptance_and_models_of_a_matrix_are_hashed_only_if_they_are_written(tmp_path):
    """So that no suite without them has another hash."""
    plain = load(tmp_path, GOOD).sha256
    assert load(tmp_path, GOOD + "    models: [digits-cnn]\n").sha256 != plain
    ruled = load(tmp_path, GOOD + "acceptance: {default_power_cap: true}\n")
    assert ruled.sha256 != plain and ruled.acceptance.default_power_cap
    assert plain == "dea788937df94accf84d15677a2b2a1060c5ccf9423f17628d0fe2af1565e8dc"
