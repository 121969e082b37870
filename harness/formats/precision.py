"""The precision of a model as text."""

from __future__ import annotations


def precision_text(activations: str | None, weights: str | None) -> str | None:
    """The precision that a model computes in, from the types of its activations and weights.

    Args:
        activations: Type of the activations; None if unknown.
        weights: Type of the constants; None if there are none.

    Returns:
        `int8` where both agree, `int8 weights` where only the weights are smaller than float32, `int16x8` for activations of int16 and
        weights of int8.
    """
    if activations is None or weights is None or activations == weights:
        return activations or weights
    if activations == "float32":
        return f"{weights} weights"
    if activations == "int16" and weights in ("int8", "int4"):
        return f"{activations}x{weights[-1]}"
    return f"{activations} activations, {weights} weights"
