"""Names and shapes of a model's inputs, and the order of named arrays among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import plugins
from harness.errors import EngineError
from harness.formats.base import Input
from harness.formats.libraries import reading


def model_inputs(path: Path, format_: str, *, trusted: bool = False) -> list[Input]:
    """The inputs of a model, in its order.

    Args:
        path: The file or folder.
        format_: Name of its format.
        trusted: Whether the model may run its own code.

    Raises:
        EngineError: The model cannot be read.
    """
    with reading(path, "a model", "is the file whole?"):
        inputs: list[Input] = plugins.load("formats", format_)().inputs(path, trusted=trusted)
        return inputs


def stored_inputs(path: Path, format_: str, signature: str | None = None) -> list[Input] | None:
    """The inputs that a file declares, read without loading or running the model.

    Args:
        path: The file.
        format_: Name of its format.
        signature: The chosen one of several signatures; None: the only one.

    Returns:
        None if the file does not declare them or is damaged, or if the library of its format is not installed.

    Raises:
        EngineError: There are several signatures and none is chosen, or the chosen one does not exist.
    """
    reader = plugins.load("formats", format_)()
    try:
        inputs: list[Input] | None = reader.stored_inputs(path, signature)
    except EngineError:
        if reader.spec.signatures:
            raise
        return None
    except Exception:  # a damaged file can make a parser raise anything; the build reports it
        return None
    return inputs


def positions(inputs: Sequence[str], names: Sequence[str | None]) -> list[int]:
    """The position of each input's array among named arrays.

    Args:
        inputs: Names of the inputs, in the model's order.
        names: Names of the arrays; all None if they are in that order already.

    Raises:
        EngineError: The arrays do not name each input once.
    """
    if not any(names):
        return list(range(len(names)))
    at = {name: index for index, name in enumerate(names)}
    order = [at.get(name, at.get(base_name(name), -1)) for name in inputs]
    if len(at) < len(names) or sorted(order) != list(range(len(names))):
        raise EngineError(
            f"the data have the names {', '.join(map(str, names))}, but the model's inputs are {', '.join(inputs)}",
            "name each input once, or none",
        )
    return order


def base_name(name: str) -> str:
    """An input's name without what TensorFlow's converter adds: `serving_default_x:0` becomes `x`."""
    return name.removeprefix("serving_default_").split(":")[0]
