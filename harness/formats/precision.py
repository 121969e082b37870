"""The types of a model's activations and weights -> the precision it computes in, in words."""

from __future__ import annotations


def precision_text(activations: str | None, weights: str | None) -> str | None:
    """One phrase for both.

    Args:
        activations: Type of what flows between the layers; null: not known.
        weights: Type of the constants; null: there are none.

    Returns:
        `int8` or `float32` where they agree, `int8 weights` where only the weights are smaller than float32, `int16x8` where activations of
        int16 meet weights of int8.
    """
    if activations is None or weights is None or activations == weights:
        return activations or weights
    if activations == "float32":
        return f"{weights} weights"
    if activations == "int16" and weights in ("int8", "int4"):
        return f"{activations}x{weights[-1]}"
    return f"{activations} activations, {weights} weights"
