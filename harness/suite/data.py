"""`data.train` and `data.test` of a suite -> references whose files, keys and columns exist, each known by its hash."""

from __future__ import annotations

import csv
import itertools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import userfiles
from harness.errors import HarnessError
from harness.schema import ArrayRef, DataRef, DataSource
from harness.suite.document import Place, nearest
from harness.suite.files import Files
from harness.suite.grammar import Samples

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "inputs": ("labels",),
    "images": ("classes", "size", "scale", "mean", "std", "samples"),
    "csv": ("label", "features", "classes"),
    "function": (),
}
"""What may be said beside each form."""
HEADER_BYTES = 2**20


def resolve_data(files: Files, place: Place, samples: Samples | None) -> DataRef | None:
    """The data of one split, or null where there are none or something is wrong with them (noted in the document)."""
    if samples is None:
        return None
    given = samples.model_dump(exclude_none=True)
    forms = [form for form in OPTIONS if form in given]
    if len(forms) != 1:
        said = f"not {' and '.join(forms)}" if forms else "here is none"
        files.document.add_problem(place, f"data are one of {', '.join(OPTIONS)}: {said}")
        return None
    form = forms[0]
    strangers = [name for name in given if name != form and name not in OPTIONS[form]]
    for name in strangers:
        owner = next(other for other, options in OPTIONS.items() if name in options)
        files.document.add_problem((*place, name), f"{name!r} belongs to {owner!r}, not to {form!r}")
    if strangers:
        return None
    return {"inputs": _arrays, "images": _images, "csv": _csv, "function": _function}[form](files, place, samples)


# --- arrays ---------------------------------------------------------------------------------------------------------------


def _arrays(files: Files, place: Place, samples: Samples) -> DataRef | None:
    assert samples.inputs is not None
    named = samples.inputs if isinstance(samples.inputs, dict) else {"": samples.inputs}
    inputs = [_array(files, (*place, "inputs"), text, name or None) for name, text in named.items()]
    labels = _array(files, (*place, "labels"), samples.labels, None) if samples.labels else None
    if None in inputs or not inputs or (samples.labels and labels is None):
        return None
    return DataRef(inputs=tuple(ref for ref in inputs if ref), labels=labels)


def _array(files: Files, place: Place, written: str, name: str | None) -> ArrayRef | None:
    """`file.npz:key` as a reference whose file and key exist."""
    file, _, key = written.rpartition(":")
    if not file or not key or not file.lower().endswith(".npz"):
        files.document.add_problem(place, f"{written!r} must be written 'file.npz:key'")
        return None
    path = files.file(place, file)
    if path is None:
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [member.removesuffix(".npy") for member in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        files.document.add_problem(place, f"{file!r} is no .npz file: write it with numpy.savez")
        return None
    if key not in keys:
        files.document.add_problem(place, f"{file!r} holds no array {key!r}{nearest(key, keys)}")
        return None
    return ArrayRef(path=str(path), key=key, sha256=files.sha256(path), name=name)


# --- what becomes arrays in a build ---------------------------------------------------------------------------------------


def _images(files: Files, place: Place, samples: Samples) -> DataRef | None:
    folder = files.tree((*place, "images"), str(samples.images))
    names = _classes(files, place, samples)
    if folder is None or names is None:
        return None
    found = sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    unknown = [name for name in found if names and name not in names]
    if unknown:
        files.document.add_problem((*place, "classes"), f"the folder {unknown[0]!r} is no class{nearest(unknown[0], names)}")
        return None
    options = {name: getattr(samples, name) for name in ("size", "scale", "mean", "std", "samples")}
    options |= {"classes": names or found}
    return _source("images", str(folder), files.sha256(folder), labelled=bool(found), **options)


def _csv(files: Files, place: Place, samples: Samples) -> DataRef | None:
    path = files.file((*place, "csv"), str(samples.csv))
    names = _classes(files, place, samples)
    header = _header(files, (*place, "csv"), path) if path else None
    if path is None or names is None or header is None:
        return None
    inputs = samples.features if isinstance(samples.features, dict) else {"": samples.features or []}
    missing = [(field, name) for field, columns in (("label", [samples.label] if samples.label else []), *(("features", c) for c in inputs.values()))
               for name in columns if name not in header]  # fmt: skip
    for field, name in missing:
        files.document.add_problem((*place, field), f"{samples.csv!r} has no column {name!r}{nearest(name, header)}")
    if missing:
        return None
    features = inputs if samples.features else {"": [name for name in header if name != samples.label]}
    names = names or (_words(path, header.index(samples.label)) if samples.label else [])
    return _source(
        "csv", str(path), files.sha256(path), labelled=bool(samples.label), label=samples.label, features=features, classes=names
    )


def _header(files: Files, place: Place, path: Path) -> list[str] | None:
    """The names of a table's columns."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            row = next(csv.reader([stream.readline(HEADER_BYTES)], skipinitialspace=True), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        files.document.add_problem(place, f"{path.name} cannot be read as a table: {error}")
        return None
    if not row:
        files.document.add_problem(place, f"{path.name} has no header with the names of its columns")
    return row or None


def _words(path: Path, column: int) -> list[str]:
    """The distinct labels in a column of words, in alphabetical order; empty where they are numbers."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        found = sorted(
            {row[column].strip() for row in itertools.islice(csv.reader(stream, skipinitialspace=True), 1, None) if len(row) > column}
        )
    try:
        [float(word) for word in found]
    except ValueError:
        return found
    return []


def _classes(files: Files, place: Place, samples: Samples) -> list[str] | None:
    """The names in the file of classes, empty where none is given; null where it cannot be read."""
    if samples.classes is None:
        return []
    path = files.file((*place, "classes"), samples.classes)
    if path is None:
        return None
    try:
        text = userfiles.read_text(path, "list of classes", limit_bytes=userfiles.DOCUMENT_BYTES)
        return [line.strip() for line in text.splitlines() if line.strip()]
    except HarnessError as error:
        files.document.add_problem((*place, "classes"), f"{error.what}: write one class name a line, in UTF-8")
        return None


def _function(files: Files, place: Place, samples: Samples) -> DataRef | None:
    sha256 = files.function((*place, "function"), str(samples.function))
    return _source("function", str(samples.function), sha256, labelled=True) if sha256 else None


def _source(kind: Any, path: str, sha256: str, *, labelled: bool, **options: Any) -> DataRef:
    said = {name: value for name, value in options.items() if value is not None}
    return DataRef(source=DataSource(kind=kind, path=path, sha256=sha256, labelled=labelled, options=said))
