"""The header of a GGUF file (llama.cpp), read with limits: no length or offset in the file is trusted, and no tensor is read.

The layout is that of GGUF 2 and 3, little-endian: magic, version, number of tensors and of fields; the fields (key, type, value); of each tensor its
name, sizes, type and offset; then the aligned data. The checks are those of llama.cpp's own loader, so that a server does not fail on what passes here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from harness.errors import EngineError
from harness.formats.ggml import TYPES, GgmlType
from harness.userfiles import DATA_BYTES, MIB, open_regular

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DAMAGED = "copy or download it again; the file may be damaged or truncated"
MAX_HEADER_BYTES = 64 * MIB
"""Largest header: vocabularies of 256,000 tokens take about 10 MiB."""
MAX_FIELDS, MAX_TENSORS, MAX_ELEMENTS = 2**16, 2**17, 2**62
MAX_NAME_BYTES, MAX_TEXT_BYTES = 2**16 - 1, 1024
"""Largest key or name, and largest text value that is kept."""
MAX_DIMENSIONS, MAX_SENTENCE = 4, 250
ALIGNMENT, MAX_ALIGNMENT = 32, 2**20
NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""Formats of the plain types of values, by number."""
UINT32, TEXT, ARRAY = 4, 8, 9


class Field(NamedTuple):
    """A key with its value.

    Attributes:
        start: First byte of the pair in the file.
        end: First byte after it.
        type: Number of the value's type.
        value: A number, or a text of at most 1,024 bytes; None for a longer text and for an array.
        length: Number of elements of an array; None for any other value.
    """

    start: int
    end: int
    type: int
    value: Any = None
    length: int | None = None


class TensorInfo(NamedTuple):
    """A tensor.

    Attributes:
        name: Its name.
        sizes: Number of elements along each axis, the contiguous one first.
        type: Its type.
        offset: First byte, from the start of the data.
    """

    name: str
    sizes: tuple[int, ...]
    type: GgmlType
    offset: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.sizes)

    @property
    def rows(self) -> int:
        """Number of rows, which are contiguous."""
        return prod(self.sizes[1:])

    @property
    def bytes(self) -> int:
        """Size of its data."""
        return self.rows * self.type.row_bytes(self.sizes[0])


@dataclass(frozen=True)
class Header:
    """All of a GGUF file before its data.

    Attributes:
        fields: Metadata by key.
        tensors: Tensors in the order of the file.
        alignment: Alignment of the tensors' data in bytes.
        data_start: First byte of the data.
    """

    fields: dict[str, Field]
    tensors: tuple[TensorInfo, ...]
    alignment: int
    data_start: int

    def number(self, key: str) -> int | None:
        """An integer of the metadata; None if there is none of that name."""
        field = self.fields.get(key)
        return field.value if field and isinstance(field.value, int) and not isinstance(field.value, bool) else None

    def text(self, key: str) -> str | None:
        """A text of the metadata; None if there is none of that name, or a long one."""
        field = self.fields.get(key)
        return field.value if field and isinstance(field.value, str) else None


def read_header(path: Path) -> Header:
    """The header of a file.

    Raises:
        EngineError: It is not a GGUF file, or is damaged, cut short or of another version; with the reason.
    """
    with open_regular(path, "GGUF model", limit_bytes=DATA_BYTES, error=EngineError) as stream:
        reader = _Reader(path.name, stream, os.fstat(stream.fileno()).st_size)
        tensors, fields = reader.preamble()
        by_key = dict(reader.fields(fields))
        alignment = _alignment(reader, by_key)
        infos = tuple(reader.tensors(tensors))
        data_start = _padded(reader.position, alignment)
        _check_data(reader, infos, alignment, data_start)
    return Header(by_key, infos, alignment, data_start)


def padding(position: int, alignment: int) -> int:
    """Number of bytes up to the next multiple of the alignment."""
    return -position % alignment


def _padded(position: int, alignment: int) -> int:
    return position + padding(position, alignment)


class _Reader:
    """Reads a header, and refuses any length beyond the file or the limits.

    Args:
        name: Name of the file, for errors.
        stream: The open file.
        size: Its size in bytes.
    """

    def __init__(self, name: str, stream: BinaryIO, size: int) -> None:
        self.name, self.stream, self.size, self.position = name, stream, size, 0

    def error(self, reason: str, hint: str = DAMAGED) -> EngineError:
        """An error about the file."""
        return EngineError(f"{self.name} {reason if len(reason) <= MAX_SENTENCE else reason[:MAX_SENTENCE] + ' ...'}", hint)

    def preamble(self) -> tuple[int, int]:
        """Numbers of tensors and of fields, after the magic and the version were checked."""
        magic = self._take(min(4, self.size), "magic")
        if magic != MAGIC:
            raise self.error(f"is not a GGUF file: it begins with {magic!r}, not with {MAGIC!r}", "give a .gguf file of llama.cpp")
        version = self._number("<I", "version")
        if version & 0xFFFF == 0:
            raise self.error("is a big-endian GGUF file, which is not supported", "convert it with gguf-convert-endian of the package gguf")
        if version not in VERSIONS:
            raise self.error(
                f"has version {version} of GGUF, not one of {', '.join(map(str, VERSIONS))}", "convert it with a current llama.cpp"
            )
        tensors, fields = self._number("<Q", "number of tensors"), self._number("<Q", "number of fields")
        for what, number, most in (("tensors", tensors, MAX_TENSORS), ("fields", fields, MAX_FIELDS)):
            if number > most:
                raise self.error(f"claims to have {number} {what}, more than {most}")
        return tensors, fields

    def fields(self, number: int) -> Iterator[tuple[str, Field]]:
        """Key and value of each field.

        Raises:
            EngineError: Two have one key, or a value has an unknown type.
        """
        seen = set()
        for index in range(number):
            start = self.position
            key = self._name(f"key {index}")
            if key in seen:
                raise self.error(f"has the key {key!r} twice")
            seen.add(key)
            kind = self._number("<I", f"type of {key!r}")
            length = self._skip_array(key) if kind == ARRAY else None
            value = None if kind == ARRAY else self._value(key, kind)
            yield key, Field(start, self.position, kind, value, length)

    def tensors(self, number: int) -> Iterator[TensorInfo]:
        """Each tensor, its type and sizes checked.

        Raises:
            EngineError: Two have one name; a type is unknown; sizes are 0, too large or no multiple of the block.
        """
        seen = set()
        for index in range(number):
            name = self._name(f"name of tensor {index}")
            if name in seen:
                raise self.error(f"has two tensors named {name!r}")
            seen.add(name)
            axes = self._number("<I", f"number of axes of {name!r}")
            if not 1 <= axes <= MAX_DIMENSIONS:
                raise self.error(f"gives tensor {name!r} {axes} axes, not 1 to {MAX_DIMENSIONS}")
            sizes = tuple(self._number("<Q", f"sizes of {name!r}") for _ in range(axes))
            type_, offset = self._number("<I", f"type of {name!r}"), self._number("<Q", f"offset of {name!r}")
            if min(sizes) < 1 or prod(sizes) > MAX_ELEMENTS:
                raise self.error(f"gives tensor {name!r} the sizes {' x '.join(map(str, sizes))}")
            if (kind := TYPES.get(type_)) is None:
                raise self.error(
                    f"stores tensor {name!r} in type {type_}, which is unknown here", "convert it to a type of a current llama.cpp"
                )
            if sizes[0] % kind.block:
                raise self.error(f"stores tensor {name!r} of {sizes[0]} columns in {kind.name}, whose blocks have {kind.block}")
            yield TensorInfo(name, sizes, kind, offset)

    def _value(self, key: str, kind: int) -> Any:
        if kind == TEXT:
            return self._text(f"value of {key!r}")
        if kind not in NUMBERS:
            raise self.error(f"gives the field {key!r} the unknown type {kind}")
        return self._number(NUMBERS[kind], f"value of {key!r}")

    def _skip_array(self, key: str) -> int:
        """Number of elements of an array, which are skipped."""
        kind: int = self._number("<I", f"type of {key!r}")
        length: int = self._number("<Q", f"length of {key!r}")
        what = f"elements of {key!r}"
        if kind in NUMBERS:
            self._skip(length * struct.calcsize(NUMBERS[kind]), what)
        elif kind == TEXT:
            self._check(8 * length, what)  # each has at least its length
            for _ in range(length):
                self._skip(self._number("<Q", what), what)
        else:
            raise self.error(f"gives the elements of the field {key!r} the type {kind}, which arrays cannot have")
        return length

    def _name(self, what: str) -> str:
        length = self._number("<Q", what)
        if length > MAX_NAME_BYTES:
            raise self.error(f"is damaged: its {what} has {length} bytes")
        try:
            return self._take(length, what).decode()
        except UnicodeDecodeError:
            raise self.error(f"is damaged: its {what} is not text") from None

    def _text(self, what: str) -> str | None:
        """A text of limited length; a longer one is skipped."""
        length = self._number("<Q", what)
        if length <= MAX_TEXT_BYTES:
            return self._take(length, what).decode(errors="replace")
        self._skip(length, what)
        return None

    def _number(self, form: str, what: str) -> Any:
        (number,) = struct.unpack(form, self._take(struct.calcsize(form), what))
        return number

    def _take(self, number: int, what: str) -> bytes:
        self._check(number, what)
        content = self.stream.read(number)
        if len(content) < number:
            raise self._cut_short(what)
        self.position += number
        return content

    def _skip(self, number: int, what: str) -> None:
        self._check(number, what)
        self.position += number
        self.stream.seek(number, 1)

    def _check(self, number: int, what: str) -> None:
        """Refuse to go beyond the end of the file, or the limit of a header."""
        if number > self.size - self.position:
            raise self._cut_short(what)
        if self.position + number > MAX_HEADER_BYTES:
            raise self.error(f"has a header of more than {MAX_HEADER_BYTES // MIB} MiB")

    def _cut_short(self, what: str) -> EngineError:
        return self.error(f"is cut short or damaged: its {what} would end beyond its {self.size} bytes")


def _alignment(reader: _Reader, fields: dict[str, Field]) -> int:
    field = fields.get("general.alignment")
    if field is None:
        return ALIGNMENT
    value = field.value
    if field.type != UINT32 or not 0 < value <= MAX_ALIGNMENT or value & (value - 1):
        raise reader.error(f"has the alignment {value!r}, which is no power of 2 up to {MAX_ALIGNMENT}")
    alignment: int = value
    return alignment


def _check_data(reader: _Reader, tensors: tuple[TensorInfo, ...], alignment: int, data_start: int) -> None:
    """Check that the tensors follow one after the other, and inside the file."""
    if not tensors:
        raise reader.error("holds no tensors: it may be a vocabulary alone", "give the file of a model")
    expected = 0
    for each in tensors:
        if each.offset != expected:
            raise reader.error(f"puts tensor {each.name!r} at byte {each.offset} of its data, not at {expected}")
        end = expected + each.bytes
        if data_start + end > reader.size:
            raise reader.error(
                f"is cut short: tensor {each.name!r} would end at byte {data_start + end}, but the file has {reader.size} bytes"
            )
        expected = _padded(end, alignment)
