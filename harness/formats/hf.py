"""Language models as local folders of Hugging Face: config.json, safetensors and a tokenizer; checked and counted without PyTorch."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import EngineError
from harness.formats.base import Format, Imported, ImportRequest
from harness.formats.gguf import RANDOM
from harness.formats.libraries import reading
from harness.formats.linking import store_file
from harness.formats.safetensors import DAMAGED, Stored, read_tensors
from harness.schema import ArtifactFacts, FormatSpec
from harness.userfiles import MIB, read_text

CONFIG, SINGLE, INDEX, FOLDER = "config.json", "model.safetensors", "model.safetensors.index.json", "model"
KIND = ("a Hugging Face folder", "download the whole folder again")
TRUST = "if you trust its author, run with --trust: loading it would run code that it holds"
JSON_BYTES = 64 * MIB
"""Size limit of a JSON file; the index of a large model has about 10 MiB."""
CONFIGS = (CONFIG, "tokenizer_config.json", "generation_config.json", "processor_config.json", "preprocessor_config.json")
"""Files that may name code of the model's own."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "tekken.json")
GENERATES = re.compile(r"ForCausalLM|LMHeadModel|ForConditionalGeneration|ForImageTextToText")
KEPT = (".json", ".safetensors", ".model", ".txt", ".jinja", ".tiktoken")
"""Endings of the files that are stored."""
PICKLED, CODE = (".bin", ".pt", ".pth"), ".py"
SCALES = re.compile(
    r"(_scale|_scale_inv|_zero_point|\.scales|\.qzeros|\.g_idx|\.absmax|\.quant_map|_scale_2|input_scale)$|\.quant_state\.|\.nested_"
)
"""Names of what belongs to quantized weights, and is no parameter."""
SIZES = {
    "layers": ("num_hidden_layers", "n_layer"),
    "context_length": ("max_position_embeddings", "n_positions"),
    "embedding_length": ("hidden_size", "n_embd"),
    "feed_forward_length": ("intermediate_size",),
    "heads": ("num_attention_heads", "n_head"),
    "key_value_heads": ("num_key_value_heads",),
    "vocabulary": ("vocab_size",),
}
"""Sizes in the notes, by the names that configurations have for them."""


class Hf(Format):
    """A folder with config.json."""

    spec: ClassVar = FormatSpec(
        name="hf", summary="Hugging Face folder", folder_with=CONFIG, folder_without=("saved_model.pb", "model_index.json")
    )

    def import_model(self, request: ImportRequest) -> Imported:
        """Store the files of the model, by links where possible, after they were checked."""
        folder, trusted = request.source, request.trusted
        config = check_config(folder, trusted=trusted)
        weights = weight_files(folder, trusted=trusted)
        tensors = None if weights[0].suffix in PICKLED else [tensor for path in weights for tensor in read_tensors(path)]
        if tensors is not None:
            _check_index(folder, tensors)
        path = request.folder / FOLDER
        with reading(folder, *KIND):  # pipes, broken links
            _store(folder, path, {weight.name for weight in weights}, trusted=trusted)
        return Imported(path, facts(tensors), notes(config, tensors))

    def stored_types(self, path: Path) -> set[str] | None:
        """Types of the weights; None for pickled ones."""
        weights = weight_files(path, trusted=True)
        if weights[0].suffix in PICKLED:
            return None
        return {tensor.numpy for weight in weights for tensor in read_tensors(weight)}


def check_config(folder: Path, *, trusted: bool) -> dict[str, Any]:
    """The configuration of a folder, which must be that of a model that generates text, and run no code without trust.

    Raises:
        EngineError: It is not, would run code, or the folder has no tokenizer.
    """
    config = _read_json(folder / CONFIG)
    for name in CONFIGS:
        if not trusted and (folder / name).is_file() and "auto_map" in _read_json(folder / name):
            raise EngineError(f"{folder.name} names Python code of its own (auto_map in {name})", TRUST, refused=True)
    architectures = config.get("architectures")
    named = [str(each) for each in architectures] if isinstance(architectures, list) else []
    if "model_type" not in config and not named:
        raise EngineError(f"{folder.name}/{CONFIG} is not that of a model: it has neither `model_type` nor `architectures`", KIND[1])
    if named and not any(GENERATES.search(name) for name in named):
        raise EngineError(f"{folder.name} is a {', '.join(named)}, which generates no text", "give a model for causal language modelling")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise EngineError(f"{folder.name} has no tokenizer ({', '.join(TOKENIZERS)})", KIND[1])
    return config


def weight_files(folder: Path, *, trusted: bool) -> list[Path]:
    """The files with the weights, in the order of their names.

    Raises:
        EngineError: There are none, an indexed one is missing, or all are pickled and not trusted.
    """
    if files := sorted(folder.glob("*.safetensors")):
        if (folder / INDEX).is_file():
            names = set(_weight_map(folder).values())
            if missing := sorted(names - {path.name for path in files}):
                raise EngineError(f"{folder.name} lacks {', '.join(missing[:3])}, which its index names", KIND[1])
            return [path for path in files if path.name in names]
        return [path for path in files if path.name == SINGLE] or files
    pickled = sorted(path for suffix in PICKLED for path in folder.glob(f"pytorch_model*{suffix}"))
    if not pickled:
        raise EngineError(f"{folder.name} has no weights: neither *.safetensors nor pytorch_model*.bin", KIND[1])
    if not trusted:
        raise EngineError(f"{folder.name} has only pickled weights ({pickled[0].name})", TRUST, refused=True)
    return pickled


def facts(tensors: Sequence[Stored] | None) -> ArtifactFacts:
    """Number of parameters; None for pickled weights, and for weights packed into integers, of which the files do not state it."""
    if tensors is None or any(_is_packed(each) for each in tensors):
        return ArtifactFacts()
    return ArtifactFacts(parameters=sum(each.elements for each in tensors if _is_weight(each)))


def notes(config: dict[str, Any], tensors: Sequence[Stored] | None) -> dict[str, Any]:
    """What the configuration reports of the model, and the shares of the stored elements in each type."""
    inner = config.get("text_config")
    text = inner if isinstance(inner, dict) else config
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method", "unknown") if isinstance(quantization, dict) else None
    written = {
        "architecture": next(iter(config.get("architectures") or ()), config.get("model_type")),
        **{name: next((text[key] for key in keys if isinstance(text.get(key), int)), None) for name, keys in SIZES.items()},
        "quantization": method,
        "random_weights": config.get(RANDOM) is True or None,
        "stored": None if tensors is None else _shares(tensors),
    }
    return {name: value for name, value in written.items() if value is not None}


def _shares(tensors: Sequence[Stored]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for each in tensors:
        if _is_weight(each) or _is_packed(each):
            counts[each.numpy] += each.elements
    total = counts.total()
    return {name: round(number / total, 6) for name, number in counts.most_common()} if total else {}


def _is_weight(tensor: Stored) -> bool:
    return tensor.type.startswith(("F", "BF")) and not SCALES.search(tensor.name)


def _is_packed(tensor: Stored) -> bool:
    """Whether it holds several weights in an integer, or quantized ones; not a buffer, such as positions."""
    return tensor.type in ("U8", "I8", "I32", "U32", "F4") and len(tensor.shape) > 1 and not SCALES.search(tensor.name)


def _check_index(folder: Path, tensors: Sequence[Stored]) -> None:
    names = {each.name for each in tensors}
    if not names:
        raise EngineError(f"{folder.name} holds no tensors", DAMAGED)
    if (folder / INDEX).is_file() and (missing := sorted(set(_weight_map(folder)) - names)):
        raise EngineError(f"{folder.name} lacks {len(missing)} tensors that its index names, such as {missing[0][:80]!r}", KIND[1])


def _weight_map(folder: Path) -> dict[str, str]:
    """File of each tensor by the index of a model in several files."""
    files = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(files, dict) or not all(isinstance(name, str) and Path(name).name == name for name in files.values()):
        raise EngineError(f"{folder.name}/{INDEX} is damaged: its weight_map is not one from tensors to files of this folder", DAMAGED)
    return files


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_text(path, "JSON file", limit_bytes=JSON_BYTES, error=EngineError))
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{path.name} is not JSON: {str(error)[:200] or 'nested too deeply'}", DAMAGED) from None
    if not isinstance(content, dict):
        raise EngineError(f"{path.name} is not a JSON object", DAMAGED)
    return content


def _store(source: Path, target: Path, weights: set[str], *, trusted: bool) -> None:
    """Store the weights, the configuration, the tokenizer and, if trusted, the code; not what else is in the folder."""
    target.mkdir()
    for path in sorted(source.iterdir()):
        kept = path.suffix in KEPT and (path.suffix != ".safetensors" or path.name in weights)
        if path.is_file() and (kept or path.name in weights or (trusted and path.suffix == CODE)):
            store_file(path, target / path.name)
