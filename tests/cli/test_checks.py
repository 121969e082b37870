"""`harness gate` and `harness verify`."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.cli.helpers import CELLS, assert_error, keep, measured
from tests.factories import case


def test_the_gate_passes_noise_and_reports_the_check_that_fails(harness, results, tmp_path):
    """Exit codes 0 and 1; JUnit has the one failure, Markdown its row; a new case is skipped."""
    keep(measured(), results, "base")
    keep(measured(factor={CELLS[1].case_id: 1.1}, cells=(*CELLS, case("float16"))), results, "now")
    assert harness("gate", "base", "--against", "base").returncode == 0
    done = harness("gate", "now", "--against", "base", "--junit", "gate.xml", "--markdown", "gate.md")
    assert done.returncode == 1
    failing = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert len(failing) == 1 and CELLS[1].case_id in failing[0] and "energy +10.0%" in failing[0]
    assert "gate: failed, 1 of" in done.stdout
    (failure,) = ElementTree.parse(tmp_path / "gate.xml").iterfind(".//testcase[failure]")
    assert (failure.get("classname"), failure.get("name")) == ("energy", CELLS[1].case_id)
    summary = (tmp_path / "gate.md").read_text()
    assert "### Failed" in summary and "energy +10.0%" in summary and "not in the base run" in summary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("energy: 0.03\nenrgy: 1\n", [":2: there is no threshold 'enrgy'; did you mean 'energy'?"]),
        ("energy: -0.1\n", [":1: 'energy' must be a number from 0 to below 1, or null, not -0.1"]),
        ("latency: 5 %\n", [":1: 'latency'", "not the text '5 %'"]),
        ("quality: .nan\n", [":1: 'quality' must be a number of at least 0, or null, not nan"]),
        ("memory: true\n", [":1: 'memory'", "not true"]),
        ("energy: null\nlatency: null\nquality: null\nmemory: null\ndevice_memory: null\n", [":1: every metric is excluded"]),
        ("- 1\n", [":1: thresholds are a mapping"]),
        ("energy: [\n", ["not valid YAML"]),
        ("energy: 0.1\nenergy: 0.2\n", ["energy"]),
    ],
)
def test_a_mistake_in_the_thresholds_is_reported_with_its_line(harness, results, tmp_path, text, words):
    """Exit code 2, before a run is checked."""
    keep(measured(), results, "base")
    (tmp_path / "gate.yaml").write_text(text)
    assert_error(harness("gate", "base", "--against", "base", "--thresholds", "gate.yaml"), 2, "gate.yaml", *words, "nothing was checked")
    assert_error(harness("gate", "base", "--against", "base", "--thresholds", "no.yaml"), 2, "no file of thresholds no.yaml")


def test_thresholds_allow_an_increase(harness, results, tmp_path):
    """10 % more energy passes under 0.2, and if energy is not checked."""
    keep(measured(), results, "base")
    keep(measured(factor={CELLS[1].case_id: 1.1}), results, "now")
    for text in ("energy: 0.2\n", "energy: null\n"):
        (tmp_path / "gate.yaml").write_text(text)
        assert harness("gate", "now", "--against", "base", "--thresholds", "gate.yaml").returncode == 0


def test_verify_fails_a_run_without_a_manifest(harness, results):
    """Exit code 1 and the problems; the last line is the verdict."""
    keep(measured(), results, "run-a")
    done = harness("verify", "run-a")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0].startswith("problem  manifest.json is missing")
    assert lines[-1].startswith("verify: FAILED: ")
