"""Resolution of the models of a suite file, with checked and hashed files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.schema import Catalogue, FormatSpec, Model, WorkloadSpec
from harness.schema.suite import LmEval
from harness.suite.data import resolve_data
from harness.suite.document import Document, Place, nearest
from harness.suite.files import Files
from harness.suite.grammar import MetricItem, OwnModel, SuiteFile, built_in_names, validate_parameters
from harness.suite.input_checks import check_file

METRICS = ("accuracy", "multilabel_accuracy", "pixel_accuracy", "token_accuracy", "mean_squared_error", "reconstruction_auc")
CUTTING, POSITIONS = METRICS[:4], METRICS[2:4]
"""Metrics that take a threshold, and metrics that may ignore positions."""
TASK = re.compile(r"\w[\w.:+-]*", re.ASCII)
"""Name of a task of lm_eval."""


def resolve(document: Document, written: SuiteFile, catalogue: Catalogue, *, trusted: bool) -> tuple[Model | None, ...]:
    """The models of a suite; None, and an error, for one that is wrong."""
    files = Files(document, trusted=trusted)
    models = []
    seen: set[str] = set()
    for index, (item, name) in enumerate(zip(written.models, written.model_names, strict=True)):
        place = ("models", index)
        if name in seen:
            document.add_problem(place, f"two models are named {name!r}: rename one")
        seen.add(name)
        models.append(_model(files, place, item, catalogue))
    return tuple(models)


def _model(files: Files, place: Place, item: str | OwnModel, catalogue: Catalogue) -> Model | None:
    if isinstance(item, str):
        return _BuiltIn(files, place, OwnModel(name="-", workload=item), catalogue).model(item.rpartition("/")[2])
    if (item.path is None) == (item.workload is None):
        files.document.add_problem(
            place, f"model {item.name!r} needs exactly one of `path` (your model file) and `workload` (a built-in model)"
        )
        return None
    return _BuiltIn(files, place, item, catalogue).model(item.name) if item.workload else _Own(files, place, item, catalogue).model()


class _Item:
    """A model in the suite, of either kind."""

    def __init__(self, files: Files, place: Place, item: OwnModel) -> None:
        self.files, self.place, self.item = files, place, item
        self.train, self.test = (resolve_data(files, (*place, "data", split), getattr(item.data, split)) for split in ("train", "test"))

    def problem(self, field: str, sentence: str) -> None:
        """Add an error about a field of the model."""
        self.files.document.add_problem((*self.place, *field.split(".")), sentence)

    def common(self) -> dict[str, Any]:
        """Fields that both kinds of models have."""
        metric = self.item.metric if isinstance(self.item.metric, MetricItem) else MetricItem()
        return {
            "train": self.train,
            "test": self.test,
            "training": self.item.training,
            "metric_direction": metric.direction,
            "metric_threshold": metric.threshold,
            "metric_ignore": metric.ignore,
            "lm_eval": self._lm_eval(metric),
            "trusted": self.files.trusted,
            "folder": str(self.files.folder) if self.files.trusted else None,
        }

    def metric(self) -> str | None:
        """Name of the metric; None if the suite or the data have none, or lm_eval gives the quality."""
        if isinstance(self.item.metric, MetricItem) and self.item.metric.lm_eval is not None:
            return None
        metric, named = self.item.metric, "metric" in self.item.model_fields_set
        own = isinstance(metric, MetricItem) and metric.name is None
        written = (metric.function or metric.name) if isinstance(metric, MetricItem) else metric
        if isinstance(metric, MetricItem):
            self._check_settings(metric)
        if written is None:
            written = None if named else "accuracy"
        elif own or self.files.is_function(written):
            self.files.function((*self.place, "metric"), written)
        elif written not in METRICS:
            self.problem("metric", f"unknown metric {written!r}{nearest(written, METRICS)} (a metric function is package.module:function)")
        return written if (self.test and self.test.labelled) or named else None

    def _check_settings(self, metric: MetricItem) -> None:
        """Check that a metric has only settings that apply to it."""
        if (metric.function is None) == (metric.name is None):
            self.problem(
                "metric", "a metric needs either `function` (your own) or `name`, one of the two (or `lm_eval` for a served model)"
            )
        if metric.limit is not None:
            self.problem("metric.limit", "'limit' belongs to `lm_eval`: remove it")
        for field, takers in (("threshold", CUTTING), ("ignore", POSITIONS)):
            if getattr(metric, field) is not None and metric.name not in takers:
                self.problem(f"metric.{field}", f"{field!r} belongs to the metrics {', '.join(takers)}: remove it")
        if metric.name and "direction" in metric.model_fields_set:
            self.problem("metric.direction", "'direction' belongs to a function, a named metric has its own: remove it")

    def _lm_eval(self, metric: MetricItem) -> LmEval | None:
        """The task of lm_eval; None, and perhaps an error, without one."""
        task, place = metric.lm_eval, (*self.place, "metric", "lm_eval")
        if task is None:
            return None
        if others := sorted(metric.model_fields_set - {"lm_eval", "limit"}):
            self.problem(f"metric.{others[0]}", f"{others[0]!r} does not belong to a task of lm_eval: remove it")
        if self.test:
            self.problem("data.test", "'test' has no effect with `lm_eval`, whose task has its own data: remove one of them")
        if not task.endswith((".yaml", ".yml")):
            if not TASK.fullmatch(task):
                self.problem("metric.lm_eval", f"{task!r} is not the name of one task: write one such as gsm8k, or a file task.yaml")
            return LmEval(task=task, limit=metric.limit)
        path = self.files.file(place, task)
        if path is None:
            return None
        if not self.files.trusted:
            self.problem("metric.lm_eval", f"{task!r} can run code: use --trust if you trust it")
        return LmEval(task=path.stem, limit=metric.limit, path=str(path), sha256=self.files.sha256(path))


class _BuiltIn(_Item):
    """A model of a plug-in, with its own data or the user's."""

    def __init__(self, files: Files, place: Place, item: OwnModel, catalogue: Catalogue) -> None:
        super().__init__(files, place, item)
        self.catalogue, self.written = catalogue, str(item.workload)

    def model(self, name: str) -> Model | None:
        """The model; None if it has an error."""
        workload, _, member = self.written.partition("/")
        spec = self.catalogue.workloads.get(workload)
        known = self.written in built_in_names(self.catalogue) or (spec is not None and spec.any_member and bool(member))
        if spec is None or not known:
            self._unknown()
            return None
        options = validate_parameters(self.files.document, (*self.place, "options"), self.written, spec.parameters, self.item.options)
        own = self.train is not None or self.test is not None
        if not self._may_change(spec):
            return None
        return Model(
            name=name,
            workload=workload,
            member=member or None,
            options=options,
            format="workload",
            framework=spec.framework,
            sha256=_identity(self.written, spec, options),
            brings=None if own or spec.data == "none" else spec.data,
            trains=spec.trained,
            **{**self.common(), "metric": self.metric() if own else spec.metric},
        )

    def _unknown(self) -> None:
        family = self.catalogue.workloads.get(self.written.rstrip("/"))
        if family and family.any_member:
            self.problem("workload", f"{family.name} is a family of models: write {family.name}/NAME")
            return
        close = nearest(self.written, built_in_names(self.catalogue))
        if "did you mean" not in close:
            close = nearest(self.written, self.catalogue.workloads)
        self.problem("workload", f"unknown built-in model {self.written!r}{close} (your own model needs `name` and `path`)")

    def _may_change(self, spec: WorkloadSpec) -> bool:
        """Check that a built-in model with labelled data is left unchanged."""
        for name in ("signature", "input_shapes"):
            if name in self.item.model_fields_set:
                self.problem(name, f"{name!r} is only for your own models (`path`), not for a built-in one: remove it")
        changed = [name for name in ("data", "metric", "training") if name in self.item.model_fields_set]
        if spec.data == "labelled" and changed:
            self.problem(changed[0], f"{self.written} has its own data, metric and training: remove {changed[0]!r}")
            return False
        return True


def _identity(written: str, spec: WorkloadSpec, options: Mapping[str, Any]) -> str:
    suffix = f" {json.dumps(options, sort_keys=True)}" if options else ""
    return hashlib.sha256(f"{written} {spec.version}{suffix}".encode()).hexdigest()


class _Own(_Item):
    """A user's model."""

    def __init__(self, files: Files, place: Place, item: OwnModel, catalogue: Catalogue) -> None:
        super().__init__(files, place, item)
        self.catalogue = catalogue

    def model(self) -> Model | None:
        """The model; None if it has an error."""
        metric, located = self.metric(), self._located()
        if self.item.options:
            self.problem("options", "options belong to a built-in model (`workload`), not to a file: remove them")
        if located is None:
            return None
        path, format_, sha256 = located
        if self.item.framework not in self.catalogue.frameworks:
            self.problem("framework", f"unknown framework {self.item.framework!r}{nearest(self.item.framework, self.catalogue.frameworks)}")
            return None
        if format_ != "python" and "framework" in self.item.model_fields_set:
            self.problem("framework", "'framework' belongs to a function (package.module:function), a file has its format: remove it")
        model = Model(
            name=self.item.name,
            path=path,
            format=format_,
            sha256=sha256,
            signature=self.item.signature,
            framework=self.item.framework,
            input_shapes={name: tuple(sizes) for name, sizes in self.item.input_shapes.items()},
            **{**self.common(), "metric": metric},
        )
        check_file(self.files.document, self.place, model, self.catalogue)
        return model

    def _located(self) -> tuple[str, str, str] | None:
        """(Path, format, hash) of the model; None if it has an error."""
        place, written = (*self.place, "path"), str(self.item.path)
        if self.files.is_function(written):
            sha256 = self.files.function(place, written)
            return (written, "python", sha256) if sha256 else None
        path = self.files.path(place, written)
        if path is None:
            return None
        format_ = recognise(path, self.catalogue.formats)
        if format_ is None:
            folders = [spec for spec in self.catalogue.formats.values() if spec.folder_with]
            suffixes = ", ".join(sorted(suffix for spec in self.catalogue.formats.values() for suffix in spec.suffixes))
            if path.is_dir():
                kinds = " and ".join(f"a {spec.summary} has {spec.folder_with}" for spec in folders)
                self.problem("path", f"the folder {written!r} is not a model: {kinds}")
            else:
                kinds = " or ".join(f"{spec.summary} folder" for spec in folders)
                self.problem("path", f"{written!r} is not a model file: give a {suffixes} file or a {kinds}")
            return None
        if path.is_dir() and not self.files.tree(place, written):
            return None
        return str(path), format_, self.files.sha256(path)


def recognise(path: Path, formats: Mapping[str, FormatSpec]) -> str | None:
    """Name of the format of a file, by its suffix, or of a folder, by a file in it; None if there is none."""
    if path.is_dir():
        return next((name for name, spec in formats.items() if _is_folder_of(path, spec)), None)
    return next((name for name, spec in formats.items() if path.name.lower().endswith(spec.suffixes)), None)


def _is_folder_of(folder: Path, spec: FormatSpec) -> bool:
    names = spec.folder_without
    return bool(spec.folder_with) and (folder / str(spec.folder_with)).is_file() and not any((folder / name).exists() for name in names)
