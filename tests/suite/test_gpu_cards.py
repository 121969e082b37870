"""Cards that a suite or `--device` names by UUID."""

from __future__ import annotations

import pytest

from harness.errors import SuiteError
from harness.suite.gpu_cards import names_card, resolve_card
from tests.suites import errors, load, matrix

A, B, C = "GPU-3f2a0000-1111", "GPU-3f2b0000-2222", "GPU-77c00000-3333"
BOX = {"cpu": None, "gpu": None, f"gpu:{A}": None, f"gpu:{B}": None, f"gpu:{C}": None}
HIDDEN = {**BOX, f"gpu:{C}": "CUDA_VISIBLE_DEVICES='0' hides it: remove it from the environment, or add the card to it"}


def suite_of(folder, devices, present=BOX, **options):
    """A suite of TensorFlow on these devices."""
    return load(folder, matrix(f"devices: [{devices}]").replace("litert", "tensorflow"), devices=present, **options)


@pytest.mark.parametrize(("written", "uuid"), [(f"gpu:{A}", A), ("gpu:GPU-3f2a", A), ("gpu:gpu-77C", C), ("gpu:GPU-77c00000-3333", C)])
def test_a_uuid_may_be_shortened(written, uuid):
    """To a beginning of one UUID only, in any case."""
    assert names_card(written) and resolve_card(written, BOX) == uuid


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("gpu:GPU-3f2", ["is the beginning of 2 UUIDs", f"gpu:{A}, gpu:{B}"]),
        ("gpu:GPU-", ["is no card", C]),
        ("gpu:", ["is no card", C]),
        ("gpu:0", ["is no card", C]),
        ("gpu:GPU-ffff", ["is no card", A, B, C]),
        ("gpu:MIG-0a", ["MIG instance", "CUDA_VISIBLE_DEVICES=MIG-0a"]),
    ],
)
def test_an_unknown_or_ambiguous_uuid_lists_the_cards(written, words):
    """With what to write instead."""
    with pytest.raises(SuiteError) as caught:
        resolve_card(written, BOX)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_uuid_that_begins_another_one_names_its_own_card():
    """Simulated cards GPU-1 and GPU-10."""
    assert resolve_card("gpu:GPU-1", {"gpu:GPU-1": None, "gpu:GPU-10": None}) == "GPU-1"


def test_a_hidden_card_is_refused_with_the_variable():
    """The user's CUDA_VISIBLE_DEVICES decides."""
    with pytest.raises(SuiteError, match="no case can run on") as caught:
        resolve_card(f"gpu:{C}", HIDDEN)
    assert "CUDA_VISIBLE_DEVICES='0' hides it" in caught.value.hint


def test_without_a_gpu_there_is_a_sentence():
    """Rather than a case without energy."""
    with pytest.raises(SuiteError, match="no GPU can be read"):
        resolve_card("gpu:GPU-3f2a", {"cpu": None})


def test_a_suite_names_cards(tmp_path):
    """The id has the whole UUID; the device of the engine is gpu; each card has its own baseline."""
    suite = suite_of(tmp_path, "'gpu:GPU-3f2a', 'gpu:GPU-77c', gpu, cpu")
    assert [(case.device, case.card, case.device_text) for case in suite.cases] == [
        ("gpu", A, f"gpu:{A}"), ("gpu", C, f"gpu:{C}"), ("gpu", None, "gpu"), ("cpu", None, "cpu"),
    ]  # fmt: skip
    assert f"/gpu:{A}/b1/" in suite.cases[0].case_id
    assert [case.baseline_case_id for case in suite.cases] == [case.case_id for case in suite.cases]


def test_errors_of_a_suite_have_their_line(tmp_path):
    """As every other one."""
    text = matrix("devices: ['gpu:GPU-ffff']").replace("litert", "tensorflow")
    assert "suite.yaml:5: 'gpu:GPU-ffff' is no card of this machine: use one of: gpu:GPU-3f2a" in errors(tmp_path, text, devices=BOX)


def test_the_option_puts_the_cases_of_gpu_on_a_card(tmp_path):
    """Their ids and the hash stay those of any machine, so that runs on two cards can be compared."""
    suite = suite_of(tmp_path, "auto", device="gpu:GPU-77c")
    assert [(case.device, case.card, case.device_text) for case in suite.cases] == [("gpu", C, "gpu")]
    plain = suite_of(tmp_path, "auto", device="gpu")
    assert [case.case_id for case in plain.cases] == [case.case_id for case in suite.cases] and plain.sha256 == suite.sha256


def test_the_option_keeps_the_cases_of_its_card(tmp_path):
    """And leaves out those of other cards."""
    cases = suite_of(tmp_path, f"'gpu:{A}', 'gpu:{C}'", device="gpu:GPU-77c").cases
    assert [case.card for case in cases] == [C]
    assert [case.card for case in suite_of(tmp_path, f"'gpu:{A}', cpu", device="gpu").cases] == [A]
    with pytest.raises(SuiteError, match="2 UUIDs"):
        suite_of(tmp_path, "gpu", device="gpu:GPU-3f2")


def test_an_engine_without_gpus_is_unsupported_there(tmp_path):
    """As on the device gpu."""
    suite = load(tmp_path, matrix(f"devices: ['gpu:{A}']"), devices=BOX)
    assert not suite.cases and "not on gpu" in suite.impossible[0].reason
