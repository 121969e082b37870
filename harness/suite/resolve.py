"""The models of a suite file -> models whose files exist, are where they may be, and are known by their hash."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from harness.schema import ArrayRef, Catalogue, DataRef, Model
from harness.suite.document import Document, Place, nearest
from harness.suite.grammar import Arrays, OwnModel, SuiteFile

FORMATS: Mapping[str, str] = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite", ".onnx": "onnx"}
METRICS = ("accuracy", "mean_squared_error")
FUNCTION = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


def resolve(document: Document, written: SuiteFile, catalogue: Catalogue, *, trusted: bool) -> tuple[Model | None, ...]:
    """Each model of the suite, or null where something is wrong with it (noted in the document)."""
    models = []
    seen: set[str] = set()
    for index, item in enumerate(written.models):
        name = item if isinstance(item, str) else item.name
        if name in seen:
            document.blame(("models", index), f"two models are named {name!r}")
        seen.add(name)
        models.append(
            _built_in(document, ("models", index), item, catalogue)
            if isinstance(item, str)
            else _Own(document, ("models", index), item, trusted=trusted).model()
        )
    return tuple(models)


def _built_in(document: Document, place: Place, name: str, catalogue: Catalogue) -> Model | None:
    spec = catalogue.workloads.get(name)
    if spec is None:
        document.blame(
            place, f"no built-in model is named {name!r}{nearest(name, catalogue.workloads)} (your own model needs `name` and `path`)"
        )
        return None
    sha256 = hashlib.sha256(f"{name} {spec.version}".encode()).hexdigest()
    return Model(name=name, workload=name, format="workload", sha256=sha256, metric=spec.metric)


class _Own:
    """One model of the user's own."""

    def __init__(self, document: Document, place: Place, item: OwnModel, *, trusted: bool) -> None:
        self.document, self.place, self.item, self.trusted = document, place, item, trusted
        self.folder = document.path.resolve().parent

    def model(self) -> Model | None:
        """The model, or null."""
        metric = self._metric()
        train, test = (self._data(name, getattr(self.item.data, name)) for name in ("train", "test"))
        located = self._located()
        if located is None:
            return None
        path, format_, sha256 = located
        return Model(
            name=self.item.name,
            path=path,
            format=format_,
            sha256=sha256,
            train=train,
            test=test,
            metric=metric if test and test.labels else self.item.metric,
            training=self.item.training,
            trusted=self.trusted,
        )

    def _metric(self) -> str | None:
        """Accuracy where nothing is said; null where the suite says null, so that agreement with dense is the quality."""
        if "metric" in self.item.model_fields_set and self.item.metric is None:
            return None
        metric = self.item.metric or "accuracy"
        if metric not in METRICS:
            self.document.blame((*self.place, "metric"), f"no metric is named {metric!r}{nearest(metric, METRICS)}")
        return metric

    def _located(self) -> tuple[str, str, str] | None:
        """(path, format, hash) of the model."""
        place, written = (*self.place, "path"), self.item.path
        if FUNCTION.match(written) and not (self.folder / written).exists():
            if not self.trusted:
                self.document.blame(place, f"{written!r} would run code of its own: give --trust if you trust it")
                return None
            return written, "python", hashlib.sha256(written.encode()).hexdigest()
        path = self._file(place, written)
        if path is None:
            return None
        format_ = FORMATS.get(path.suffix.lower())
        if format_ is None:
            self.document.blame(place, f"{written!r} has no suffix of a model file: {', '.join(FORMATS)}")
            return None
        return str(path), format_, sha256_of(path)

    def _file(self, place: Place, written: str) -> Path | None:
        """A file the suite names, if it exists and lies where it may."""
        if "\x00" in written:
            self.document.blame(place, "a path cannot hold a null character")
            return None
        path = (self.folder / written).resolve()
        if not self.trusted and not path.is_relative_to(self.folder):
            self.document.blame(place, f"{written!r} leads out of the suite's folder {self.folder}: move it there, or give --trust")
            return None
        try:
            with path.open("rb"):
                return path
        except FileNotFoundError:
            close = nearest(
                written, [str(p.relative_to(self.folder)) for p in sorted(self.folder.iterdir()) if p.is_file() and p.suffix == path.suffix]
            )
            self.document.blame(place, f"there is no file {written!r} in {self.folder}{close if 'mean' in close else ''}")
        except OSError as error:
            self.document.blame(place, f"{written!r} cannot be read: {error.strerror or error}")
        return None

    def _data(self, split: str, arrays: Arrays | None) -> DataRef | None:
        if arrays is None:
            return None
        place = (*self.place, "data", split)
        named = arrays.inputs if isinstance(arrays.inputs, dict) else {"": arrays.inputs}
        inputs = [self._array((*place, "inputs"), text, name or None) for name, text in named.items()]
        labels = self._array((*place, "labels"), arrays.labels, None) if arrays.labels else None
        if None in inputs or not inputs or (arrays.labels and labels is None):
            return None
        return DataRef(inputs=tuple(ref for ref in inputs if ref), labels=labels)

    def _array(self, place: Place, written: str, name: str | None) -> ArrayRef | None:
        """`file.npz:key` as a reference whose file and key exist."""
        file, _, key = written.rpartition(":")
        if not file or not key or not file.lower().endswith(".npz"):
            self.document.blame(place, f"{written!r} must be written 'file.npz:key'")
            return None
        path = self._file(place, file)
        if path is None:
            return None
        try:
            with zipfile.ZipFile(path) as archive:
                keys = [member.removesuffix(".npy") for member in archive.namelist()]
        except (zipfile.BadZipFile, OSError, ValueError):
            self.document.blame(place, f"{file!r} is no .npz file: write it with numpy.savez")
            return None
        if key not in keys:
            self.document.blame(place, f"{file!r} holds no array {key!r}{nearest(key, keys)}")
            return None
        return ArrayRef(path=str(path), key=key, sha256=sha256_of(path), name=name)


@cache
def sha256_of(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
