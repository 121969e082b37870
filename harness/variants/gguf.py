"""Variants of GGUF models: weights in float16, Q8_0 and Q4_0, written by the codecs of the package gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from harness.formats.ggml import F16, Q4_0, Q8_0, TYPES, GgmlType
from harness.formats.gguf import FILE, RANDOM, facts, stored_shares
from harness.formats.gguf_header import Header, read_header
from harness.schema import ArtifactFacts, VariantSpec
from harness.variants.base import Job, Recipe, not_applicable
from harness.variants.gguf_rewrite import planned, quantized_before, rewrite

FILE_TYPES = {F16: 1, Q4_0: 2, Q8_0: 7}
"""llama.cpp's number of the file type, by the type of the matrices."""
LISTED = 20
"""Largest number of tensors that are listed by name."""


class GgufRecipe(Recipe):
    """Matrices in one type; norms, biases and other vectors as they are."""

    target: ClassVar[GgmlType]

    def apply(self, job: Job) -> tuple[Path, ArtifactFacts]:
        """Write the file, and check by its own header what it stores."""
        header, path, name = read_header(job.source), job.folder / FILE, self.spec.implements or self.spec.name
        types = planned(header, self.target)
        if all(kind == tensor.type for tensor, kind in zip(header.tensors, types, strict=True)):
            raise not_applicable(f"the GGUF file has no matrix that {name} would change: it is already {', '.join(stored_shares(header))}")
        rewrite(job.source, header, types, path, FILE_TYPES[self.target.number])
        written = read_header(path)
        check_stored(written, {self.target.name}, name)
        job.notes.update(stored_notes(header, written, {self.target.name}))
        return path, facts(written)


def _spec(name: str, summary: str, implements: str | None = None) -> VariantSpec:
    return VariantSpec(
        name=name,
        summary=summary,
        packages=("gguf", "numpy"),
        extra="llm",
        conversions=(("gguf", "gguf"),),
        implements=implements,
    )


class GgufFloat16(GgufRecipe):
    """Matrices in float16; from a quantized file they are dequantized, and keep its quality."""

    spec: ClassVar = _spec("gguf_float16", "GGUF matrices in float16", implements="float16")
    target: ClassVar = TYPES[F16]


class GgufQ8(GgufRecipe):
    """Matrices in blocks of 32 numbers of 8 bits with a scale (8.5 bits a weight)."""

    spec: ClassVar = _spec("q8_0", "GGUF matrices in Q8_0, 8.5 bits a weight")
    target: ClassVar = TYPES[Q8_0]


class GgufQ4(GgufRecipe):
    """Matrices in blocks of 32 numbers of 4 bits with a scale (4.5 bits a weight), the embedding and the output too."""

    spec: ClassVar = _spec("q4_0", "GGUF matrices in Q4_0, 4.5 bits a weight")
    target: ClassVar = TYPES[Q4_0]


def check_stored(written: Header, names: set[str], variant: str) -> None:
    """Refuse a file that stores nothing in the types of its variant.

    Raises:
        EngineError: It does, with the shares of the types that it stores.
    """
    stored = stored_shares(written)
    if not names & stored.keys():
        listed = ", ".join(f"{share:.0%} {name}" for name, share in stored.items())
        block = max(each.block for each in TYPES.values() if each.name in names)
        raise not_applicable(f"the file would store {listed} and nothing of {variant}, whose rows are multiples of {block} elements")


def stored_notes(source: Header, written: Header, names: set[str]) -> dict[str, Any]:
    """What a new file stores, what was asked, the tensors that differ, and what is known of the weights before."""
    before = quantized_before(source, {tensor.name: tensor.type for tensor in written.tensors})
    others = [tensor for tensor in written.tensors if tensor.rows > 1 and tensor.type.name not in names]
    return {
        "stored": stored_shares(written),
        "requested_types": sorted(names),
        **({"random_weights": True} if RANDOM in written.fields else {}),
        **({"requantized_from": before} if before else {}),
        **({"other_types": {tensor.name: tensor.type.name for tensor in others[:LISTED]}} if others else {}),
        **({"other_types_total": len(others)} if len(others) > LISTED else {}),
    }
