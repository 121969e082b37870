"""(Shape of a sample, shape a model wants) -> the shape to give it, where only axes of 1 differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def fit_shape(have: Sequence[int], wanted: Sequence[int | None]) -> tuple[int, ...] | None:
    """The sample's sizes in the axes that the model has.

    Args:
        have: Shape of one sample of the data.
        wanted: Shape of one sample for the model; None where any size will do.

    Returns:
        A shape for `reshape` that moves no number, or None where more than axes of 1 differ: then axes may be in another order.
    """
    if len(have) == len(wanted) and all(want in (None, size) for size, want in zip(have, wanted, strict=True)):
        return tuple(have)
    sizes = [size for size in have if size != 1]
    open_ = [want for want in wanted if want != 1]
    if len(sizes) != len(open_) or any(want not in (None, size) for size, want in zip(sizes, open_, strict=True)):
        return None
    left = iter(sizes)
    return tuple(1 if want == 1 else next(left) for want in wanted)


def takes(wanted: Sequence[int | None], shape: Sequence[int]) -> bool:
    """Whether a model takes samples of a shape.

    Args:
        wanted: Of one sample, None where any size will do.
        shape: The sizes that are offered.
    """
    return len(wanted) == len(shape) and all(want in (None, size) for want, size in zip(wanted, shape, strict=True))


def dynamic_text(wanted: Sequence[int | None]) -> str:
    """A shape in words: `[3, ?, ?]`."""
    return f"[{', '.join('?' if size is None else str(size) for size in wanted)}]"


def shape_hint(wanted: Mapping[str, Sequence[int | None]]) -> str:
    """The line of a suite that gives inputs their sizes: `input_shapes: {x: [3, 224, 224]}`.

    Args:
        wanted: Shape of one sample by the input's name, None where a size is to be chosen: 224 in images, 128 in sequences, 1 beside fixed sizes.
    """
    shapes = []
    for name, sizes in wanted.items():
        fill = 224 if len(sizes) > 2 and sizes.count(None) > 1 else 1 if len(sizes) > 2 else 128
        shapes.append(f"{name}: {[fill if size is None else size for size in sizes]}")
    return f"input_shapes: {{{', '.join(shapes)}}}"
