"""CUDA_VISIBLE_DEVICES is read as CUDA reads it."""

from __future__ import annotations

import pytest

from harness.sensors.cuda_visible_devices import visible_cards

UUIDS = ("GPU-8932f937-0", "GPU-8932aaaa-1", "GPU-00000000-2")
PARENTS = {"MIG-one": UUIDS[1], "MIG-two": UUIDS[1]}


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, [0, 1, 2]),
        ("", []),
        (" ", []),
        ("-1", []),
        ("0", [0]),
        (" 2 , 1 ", [2, 1]),
        ("1,0", [1, 0]),
        ("0,2,-1,1", [0, 2]),
        ("0,7,1", [0]),
        ("7,0", []),
        ("0,,1", [0]),
        ("1,1", []),
        ("0,1,0", []),
        ("NoDevFiles", []),
        ("all", []),
        ("1gpu", [1]),
        ("GPU-00000000-2", [2]),
        ("GPU-0", [2]),
        ("GPU-8932", []),
        ("GPU-8932a,GPU-8932f", [1, 0]),
        ("GPU-8932a,0", [1]),
        ("0,GPU-8932a", [0]),
        ("GPU-8932a,GPU-8932aa", []),
        ("8932f937", []),
        ("gpu-00000000-2", []),
        ("MIG-one", [1]),
        ("MIG-one,MIG-two", [1]),
        ("MIG-other", []),
        ("MIG-GPU-00000000-2/1/0", [2]),
        ("MIG-one,0", [1]),
    ],
)
def test_the_cards_that_a_program_sees(value, seen):
    """Unset shows all, empty none; what is not a card ends the list; what is named twice empties it."""
    assert visible_cards(value, UUIDS, PARENTS.get) == seen
