"""A small catalogue without any library behind it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness import plugins
from harness.schema import Catalogue, EngineSpec, VariantSpec, WorkloadSpec


class PruneParameters(BaseModel):
    """Parameters of a pruning recipe."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid
    final_sparsity: float = Field(0.9, gt=0, lt=1, json_schema_extra={"shown": True})
    epochs: int = 5


class OrtOptions(BaseModel):
    """Options of an engine."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid
    graph_optimization: Literal["disable", "basic", "all"] = "all"


class ZooOptions(BaseModel):
    """Options of a family of models."""

    model_config = ConfigDict(extra="forbid")  # codespell:ignore forbid
    weights: Literal["random", "imagenet"] = "random"


CATALOGUE = Catalogue(
    engines={
        "litert": EngineSpec(name="litert", formats=("tflite",)),
        "onnxruntime": EngineSpec(name="onnxruntime", formats=("onnx",), parameters=OrtOptions),
        "tensorflow": EngineSpec(name="tensorflow", formats=("keras", "savedmodel"), devices=("cpu", "gpu")),
        "null": EngineSpec(name="null", formats=("*",), simulated=True),
    },
    sensors={},
    formats=plugins.catalogue().formats,
    frameworks=plugins.catalogue().frameworks,
    variants={
        "float16": VariantSpec(name="float16", conversions=(("keras", "tflite"), ("onnx", "onnx"))),
        "int8": VariantSpec(name="int8", conversions=(("keras", "tflite"), ("onnx", "onnx")), needs=("train",)),
        "prune": VariantSpec(name="prune", conversions=(("keras", "keras"),), needs=("train", "labels"), parameters=PruneParameters),
        "tflite": VariantSpec(name="tflite", conversions=(("keras", "tflite"), ("savedmodel", "tflite")), exporter=True),
        "onnx": VariantSpec(name="onnx", conversions=(("keras", "onnx"), ("savedmodel", "onnx")), exporter=True),
    },
    workloads={
        "digits-cnn": WorkloadSpec(name="digits-cnn"),
        "bare": WorkloadSpec(name="bare", metric=None, data="none", trained=False),
        "zoo": WorkloadSpec(name="zoo", members=("Ant", "Bear"), parameters=ZooOptions, metric=None, data="unlabelled", trained=False),
        "timm": WorkloadSpec(name="timm", metric=None, data="none", trained=False, any_member=True),
    },
    broken={"vendor": "plug-in vendor:Engine cannot be imported: ImportError: no libvendor"},
)
