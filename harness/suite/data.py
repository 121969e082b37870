"""Checked and hashed references to `data.train` and `data.test` of a suite."""

from __future__ import annotations

import csv
import itertools
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness import userfiles
from harness.errors import HarnessError
from harness.schema import ArrayRef, DataRef, DataSource
from harness.suite.document import Place, nearest
from harness.suite.files import Files
from harness.suite.grammar import Samples

HEADER_BYTES = 2**20
"""Longest header of a table that is read."""


def resolve_data(files: Files, place: Place, samples: Samples | None) -> DataRef | None:
    """The data of one split; None if the suite has none, or if they have an error."""
    if samples is None:
        return None
    given = samples.model_dump(exclude_none=True)
    forms = [form for form in FORMS if form in given]
    if len(forms) != 1:
        problem = f"not {' and '.join(forms)} together" if forms else "but none is given"
        files.document.add_problem(place, f"data must be one of {', '.join(FORMS)}, {problem}")
        return None
    resolve, options = FORMS[forms[0]]
    misplaced = [name for name in given if name != forms[0] and name not in options]
    for name in misplaced:
        owner = next(other for other, (_, names) in FORMS.items() if name in names)
        files.document.add_problem((*place, name), f"{name!r} belongs to {owner!r}, not to {forms[0]!r}")
    return None if misplaced else resolve(files, place, samples)


def _arrays(files: Files, place: Place, samples: Samples) -> DataRef | None:
    assert samples.inputs is not None
    named = samples.inputs if isinstance(samples.inputs, dict) else {"": samples.inputs}
    inputs = [_array(files, (*place, "inputs"), text, name or None) for name, text in named.items()]
    labels = _array(files, (*place, "labels"), samples.labels, None) if samples.labels else None
    if None in inputs or not inputs or (samples.labels and labels is None):
        return None
    return DataRef(inputs=tuple(ref for ref in inputs if ref), labels=labels)


def _array(files: Files, place: Place, written: str, name: str | None) -> ArrayRef | None:
    """`file.npz:key` as a reference."""
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
        files.document.add_problem(place, f"{file!r} is not an .npz file: write it with numpy.savez")
        return None
    if key not in keys:
        files.document.add_problem(place, f"{file!r} has no array {key!r}{nearest(key, keys)}")
        return None
    return ArrayRef(path=str(path), key=key, sha256=files.sha256(path), name=name)


def _images(files: Files, place: Place, samples: Samples) -> DataRef | None:
    folder = files.tree((*place, "images"), str(samples.images))
    names = _classes(files, place, samples)
    if folder is None or names is None:
        return None
    folders = sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
    unknown = [name for name in folders if names and name not in names]
    if unknown:
        files.document.add_problem((*place, "classes"), f"the folder {unknown[0]!r} is not one of the classes{nearest(unknown[0], names)}")
        return None
    options = {name: getattr(samples, name) for name in ("size", "scale", "mean", "std", "samples")}
    options |= {"classes": names or folders}
    return _source("images", str(folder), files.sha256(folder), labelled=bool(folders), **options)


def _csv(files: Files, place: Place, samples: Samples) -> DataRef | None:
    path = files.file((*place, "csv"), str(samples.csv))
    names = _classes(files, place, samples)
    header = _header(files, (*place, "csv"), path) if path else None
    if path is None or names is None or header is None:
        return None
    inputs = samples.features if isinstance(samples.features, dict) else {"": samples.features or []}
    columns = [("label", samples.label)] if samples.label else []
    columns += [("features", name) for feature in inputs.values() for name in feature]
    missing = [(field, name) for field, name in columns if name not in header]
    for field, name in missing:
        files.document.add_problem((*place, field), f"{samples.csv!r} has no column {name!r}{nearest(name, header)}")
    if missing:
        return None
    features = inputs if samples.features else {"": [name for name in header if name != samples.label]}
    names = names or (_words(path, header.index(samples.label)) if samples.label else [])
    options = {"label": samples.label, "features": features, "classes": names}
    return _source("csv", str(path), files.sha256(path), labelled=bool(samples.label), **options)


def _header(files: Files, place: Place, path: Path) -> list[str] | None:
    """Column names of a table."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            row = next(csv.reader([stream.readline(HEADER_BYTES)], skipinitialspace=True), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        files.document.add_problem(place, f"{path.name} cannot be read as a table: {error}")
        return None
    if not row:
        files.document.add_problem(place, f"{path.name} has no header: write the column names in its first line")
    return row or None


def _words(path: Path, column: int) -> list[str]:
    """Distinct labels of a column of words, sorted; empty if they are numbers."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        rows = itertools.islice(csv.reader(stream, skipinitialspace=True), 1, None)
        words = sorted({row[column].strip() for row in rows if len(row) > column})
    try:
        [float(word) for word in words]
    except ValueError:
        return words
    return []


def _classes(files: Files, place: Place, samples: Samples) -> list[str] | None:
    """Names in the file of classes; empty without a file, None if unreadable."""
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
    given = {name: value for name, value in options.items() if value is not None}
    return DataRef(source=DataSource(kind=kind, path=path, sha256=sha256, labelled=labelled, options=given))


FORMS: Mapping[str, tuple[Callable[[Files, Place, Samples], DataRef | None], tuple[str, ...]]] = {
    "inputs": (_arrays, ("labels",)),
    "images": (_images, ("classes", "size", "scale", "mean", "std", "samples")),
    "csv": (_csv, ("label", "features", "classes")),
    "function": (_function, ()),
}
"""The resolver and the options of each form of data."""
