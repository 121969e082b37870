"""ONNX Runtime on an NVIDIA GPU: its providers with their options, where nodes run, and what driver and card must offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness import venvs
from harness.engines import cuda, onnxruntime_tensorrt
from harness.engines.base import Load
from harness.engines.placement import placement
from harness.errors import EngineError

SUFFIX = "ExecutionProvider"
CPU, CUDA, TENSORRT = (f"{name}{SUFFIX}" for name in ("CPU", "CUDA", "Tensorrt"))
PACKAGE = "onnxruntime-gpu"
INSTALL = "make onnxruntime-gpu"
RECORD = "session.record_ep_graph_assignment_info"
"""Session entry that makes ONNX Runtime keep the provider of each node; since 1.24."""
LAST_FOR_CUDA = {12: "1.26"}
"""Last release on PyPI for an older CUDA that still reports the provider of each operator."""
OLDEST_CARD = {13: (7, 5)}
"""Smallest compute capability by the CUDA of the wheel."""
NEWEST_CARD = {12: (9, 9)}
"""Largest compute capability that the wheels hold code for, by their CUDA: those for CUDA 12 end with Hopper."""


class Provider(NamedTuple):
    """An execution provider with its options."""

    name: str
    options: dict[str, str]


def providers(load: Load, *, quantized: bool) -> list[Provider]:
    """The providers of a case on a GPU, the preferred one first; ONNX Runtime itself adds the CPU as the last.

    Args:
        load: The case.
        quantized: Whether the model has quantize-dequantize pairs, which TensorRT takes only with its int8 allowed.
    """
    tf32 = "1" if load.options.tf32 == "on" else "0"
    last = Provider(CUDA, {"device_id": "0", "use_tf32": tf32})
    if load.options.provider != "tensorrt":
        return [last]
    options = {
        "device_id": "0",
        "trt_fp16_enable": str(int(load.options.trt_fp16)),
        "trt_int8_enable": str(int(quantized)),
        **onnxruntime_tensorrt.options(load.prepared),
    }
    return [Provider(TENSORRT, options), last]


def check_providers(given: Sequence[str], asked: Sequence[str]) -> None:
    """Check that a session has the providers that it was opened with: ONNX Runtime leaves out one that fails, and only logs it.

    Raises:
        EngineError: It has others.
    """
    if list(given[: len(asked)]) != list(asked):
        raise EngineError(
            f"ONNX Runtime fell back to {', '.join(given) or 'nothing'} instead of {asked[0]}",
            "see its log for the missing library, and check that the versions of driver, CUDA and ONNX Runtime fit together",
        )


def placed(session: Any, asked: str, *, cpu_fallback: bool = True) -> dict[str, Any]:
    """Facts on the provider of each node, as ONNX Runtime assigned them.

    Args:
        session: Session that was opened with the entry `RECORD`.
        asked: Provider of the case.
        cpu_fallback: Whether nodes may run on the CPU.

    Raises:
        EngineError: This version does not report it; no node is on that provider; or one is on the CPU and may not be.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise EngineError(
            "this ONNX Runtime does not report which provider runs each operator", f"install 1.24 or newer: {INSTALL}", refused=True
        )
    nodes = [
        (part.ep_name.removesuffix(SUFFIX), node.op_type)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
    facts = placement(asked.removesuffix(SUFFIX), nodes)
    on_cpu = facts["operators"].get(CPU.removesuffix(SUFFIX), 0)
    if on_cpu and not cpu_fallback:
        kinds = ", ".join(sorted({kind for place, kind in nodes if place == CPU.removesuffix(SUFFIX)}))
        raise EngineError(
            f"{on_cpu} of {len(nodes)} operators have no kernel on {asked} and would run on the CPU ({kinds})",
            "remove `cpu_fallback: false`, or export the model without them",
            refused=True,
        )
    return facts


def examine(card: Mapping[str, Any], name: str | None) -> EngineError | None:
    """Why the installed package cannot run on a card with its driver, or is slow to load there; None if nothing is known.

    Args:
        card: Facts that the driver reports.
        name: Virtual environment of the package; None: ours.
    """
    version = venvs.versions(name, [PACKAGE])[PACKAGE]
    needed = cuda.required(venvs.requirements(name, PACKAGE))
    if version is None or needed is None:
        return None
    what = f"{PACKAGE} {version} needs CUDA {needed}"
    if problem := cuda.too_old(card, needed):
        older = LAST_FOR_CUDA.get(cuda.supported(card) or 0)
        fitting = (
            f"install {PACKAGE} {older}, the last one for CUDA {cuda.supported(card)} (`{INSTALL}` chooses by the driver), or "
            if older
            else ""
        )
        return EngineError(f"{what}, but {problem}", f"{fitting}update the driver to {cuda.DRIVERS[needed]} or newer", refused=True)
    capability = cuda.capability(card)
    if capability and capability < OLDEST_CARD.get(needed, (0, 0)):
        return EngineError(
            f"{what}, which does not support compute capability {card['compute_capability']} of {card.get('name')}",
            f"install {PACKAGE} {LAST_FOR_CUDA[12]}: {INSTALL} ORT_CUDA=cu12",
            refused=True,
        )
    if capability and capability > NEWEST_CARD.get(needed, capability):
        return EngineError(
            f"{PACKAGE} {version} holds no code for compute capability {card['compute_capability']} of {card.get('name')}: "
            "its kernels are compiled at the first query, which can take minutes, or fail",
            f"use the release for CUDA 13, with driver {cuda.DRIVERS[13]} or newer: {INSTALL} ORT_CUDA=cu13",
        )
    return None
