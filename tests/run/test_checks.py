"""Conditions for starting a run."""

from __future__ import annotations

import contextlib

import pytest

from harness.errors import StoreError, SuiteError
from harness.run import checks
from harness.schema import PROFILES, Acceptance, Domain
from tests.decide.machines import on_a_gpu


@pytest.mark.parametrize(("window_s", "refused"), [(0.7, True), (5.11, False), (5.05, False), (1.5, False)])
def test_a_window_too_short_for_a_counter_is_refused_with_a_sufficient_length(window_s, refused):
    """If the user requests it; the next probe may find a period 1 % longer, and the profile's own window is lengthened instead."""
    profile = PROFILES["quick"].model_copy(update={"window_s": window_s})
    counter = Domain(name="gpu:0", sensor="nvml", quantity="energy", unit="J", kind="counter", update_period_s=1.0201)
    with pytest.raises(SuiteError, match=r"(?s)gpu:0.*--window 5\.11") if refused else contextlib.nullcontext():
        checks.check_window(profile, [counter])


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    """Before anything is built."""
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="results"):
        checks.check_writable(tmp_path / "results")


def test_a_run_of_the_same_second_has_another_id(tmp_path):
    """With a number after it."""
    assert checks.unused_id(tmp_path, "run") == "run"
    (tmp_path / "run").mkdir()
    assert checks.unused_id(tmp_path, "run") == "run-1"


@pytest.mark.parametrize(
    ("rules", "limit_w", "refused"),
    [
        (Acceptance(default_power_cap=True), 500.0, True),
        (Acceptance(default_power_cap=True), 700.0, False),
        (Acceptance(default_power_cap=True), None, False),
        (Acceptance(), 500.0, False),
        (None, 500.0, False),
    ],
)
def test_another_power_limit_than_the_default_is_refused_if_the_suite_has_the_rule(rules, limit_w, refused):
    """With the command that sets it; the limit of a card without cases, or an unknown one, prevents nothing."""
    run = on_a_gpu(card={"uuid": "GPU-4090", "power_limit_w": limit_w, "power_limit_default_w": 700.0})
    suite, here = run.header.suite.model_copy(update={"acceptance": rules}), run.header.environments[0]
    with pytest.raises(SuiteError, match=r"(?s)gpu:0 is 500 W, not its default of 700 W.*-pl 700") if refused else contextlib.nullcontext():
        checks.check_power_cap(suite, here, run.header.domains)
    checks.check_power_cap(suite, here, ())


def test_the_power_limit_of_a_chosen_card_counts():
    """Not that of the first card that CUDA programs see."""
    run = on_a_gpu(card={"uuid": "GPU-4090", "power_limit_w": 700.0, "power_limit_default_w": 700.0})
    rule, here = Acceptance(default_power_cap=True), run.header.environments[0]
    cases = tuple(case.model_copy(update={"card": "GPU-B"}) for case in run.header.suite.cases)
    capped = {"domain": "gpu:1", "uuid": "GPU-B", "power_limit_w": 500.0, "power_limit_default_w": 700.0}
    here = here.model_copy(update={"devices": (*here.devices, capped)})
    with pytest.raises(SuiteError, match="gpu:1 is 500 W"):
        checks.check_power_cap(run.header.suite.model_copy(update={"acceptance": rule, "cases": cases}), here, run.header.domains)
