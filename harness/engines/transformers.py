"""Hugging Face transformers in this process: a folder with a causal language model -> text generation, eager or compiled."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness.engines import cuda, torch_profile
from harness.engines.base import EngineOptions, Load
from harness.engines.tokens import TokenEngine
from harness.engines.torch import Torch, cuda_device, has_instructions
from harness.engines.transformers_decoder import TransformersDecoder, rounded
from harness.engines.transformers_session import Loaded, Tokenizer, TransformersSession
from harness.engines.transformers_weights import STORED_AS, Quantized, is_quantized, quantize
from harness.errors import EngineError
from harness.formats.hf import check_config, weight_files
from harness.formats.libraries import import_library, library_errors, reading
from harness.formats.precision import precision_text
from harness.formats.torch_module import INSTALL, import_torch
from harness.schema import EngineSpec
from harness.schema.served import TokenLoad
from harness.serving.base import TokenSession

KIND = ("a language model of transformers", "is it complete? load it once with transformers.AutoModelForCausalLM.from_pretrained")
LONGER = 1.25
"""Prompts may have so many times the tokens that the load asks for before a longer static cache is needed."""


class Options(EngineOptions):
    """Options of the transformers engine."""

    mode: Literal["eager", "compile"] = Field(
        "eager", description="compile: torch.compile of the decoding step, with CUDA graphs on a card"
    )
    dtype: Literal["stored", "float32", "bfloat16", "float16"] = Field("stored", description="type that the weights are cast to")
    quantization: Literal["none", "int8_weight_only", "int8_dynamic", "int4_weight_only", "fp8"] = Field(
        "none", description="linear layers except that of the logits, quantized by torchao when the model is loaded"
    )
    cache: Literal["static", "dynamic"] = Field("static", description="keys and values: static: of a fixed length; dynamic: they grow")

    @model_validator(mode="after")
    def _compatible(self) -> Options:
        if self.mode == "compile" and self.cache == "dynamic":
            raise ValueError("`mode: compile` needs `cache: static`: tensors that grow would be compiled again and again")
        return self


class Transformers(TokenEngine):
    """Hugging Face transformers."""

    spec: ClassVar = EngineSpec(
        name="transformers",
        summary="language models by Hugging Face transformers, in process",
        packages=("transformers", "torch", "torchao", "tokenizers", "triton"),
        extra="torch",
        venv="torch",
        formats=("hf",),
        devices=("cpu", "gpu"),
        unit="output_token",
        scenarios=("closed",),
        parameters=Options,
        load_s=10.0,
        by_options={
            "compile": {"mode": "compile"},
            "bfloat16": {"dtype": "bfloat16"},
            "float16": {"dtype": "float16"},
            "int8_weight_only": {"quantization": "int8_weight_only"},
            "int8_dynamic": {"quantization": "int8_dynamic"},
            "int4_weight_only": {"quantization": "int4_weight_only", "dtype": "bfloat16"},
            "fp8": {"quantization": "fp8", "dtype": "bfloat16"},
        },
    )

    @classmethod
    def environment(cls, load: Load) -> dict[str, str]:
        """Threads, the driver's order of cards, and no network, progress bars or telemetry."""
        offline = {
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }
        return {**Torch.environment(load), **offline, "TRANSFORMERS_VERBOSITY": "error"}

    @classmethod
    def examine_card(cls, card: Mapping[str, Any]) -> EngineError | None:
        """Whether the driver runs the CUDA of the installed PyTorch."""
        return Torch.examine_card(card)

    def open_tokens(self, load: Load, requests: TokenLoad) -> TokenSession:
        """Load the model on the device, cast and quantize it, and make its static cache long enough for the load."""
        torch, transformers = import_torch(), import_library("transformers", "transformers", INSTALL)
        device = torch.device("cpu") if load.device == "cpu" else cuda_device(torch)
        torch.set_num_threads(load.threads)
        if torch.get_num_interop_threads() != 1:
            torch.set_num_interop_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        slots, options = requests.concurrency, load.options
        if slots is None:
            raise EngineError("transformers generates in static batches and takes no arrivals at a rate", "use `closed`", refused=True)
        check_config(load.path, trusted=load.trusted)
        weight_files(load.path, trusted=load.trusted)
        model = _model(torch, transformers, load).to(device)
        quantized = None if options.quantization == "none" else quantize(torch, model, options.quantization, load.device)
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        decoder = _decoder(torch, transformers, model, options, cache_length(requests, context))
        compiled = {}
        if options.mode == "compile":
            with library_errors("the decoding step cannot be compiled", "use `mode: eager`"):
                compiled = {"compiled_difference": decoder.check_compiled(slots)}
        facts = {**_facts(torch, model, options, quantized), **_device_facts(torch, device, model)}
        name = _name(model.dtype)
        loaded = Loaded(
            decoder=decoder,
            tokenizer=_tokenizer(transformers, load, model),
            context=context,
            facts={**facts, **compiled, "slots": slots, "context": context},
            counts=lambda: _counts(decoder, options),
            precision=precision_text(name, STORED_AS[options.quantization]) if quantized else name,
            profiler=lambda call, steps, seconds: torch_profile.profile(torch, call, steps, seconds),
        )
        return TransformersSession(loaded, slots)


def cache_length(requests: TokenLoad, context: int | None) -> int:
    """Length of a static cache for the longest prompt and answer of a load, in tokens.

    Args:
        requests: The load.
        context: The model's context; None: not known.

    Raises:
        EngineError: They do not fit into the context.
    """
    longest = (requests.input_tokens + requests.output_tokens) * (1 + requests.spread)
    if context is not None and longest > context:
        raise EngineError(
            f"prompts and answers of up to {longest:.0f} tokens do not fit into the model's context of {context}",
            "lower `lengths`, or their spread",
            refused=True,
        )
    length = rounded((LONGER * requests.input_tokens + requests.output_tokens) * (1 + requests.spread))
    return length if context is None else min(length, context)


def _model(torch: Any, transformers: Any, load: Load) -> Any:
    """The model on the CPU, in the type that the options name.

    Raises:
        EngineError: It cannot be loaded, has weights that the folder does not have, or is quantized already.
    """
    dtype = "auto" if load.options.dtype == "stored" else getattr(torch, load.options.dtype)
    with reading(load.path, *KIND):
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            load.path,
            dtype=dtype,
            trust_remote_code=load.trusted,
            local_files_only=True,
            use_safetensors=None if load.trusted else True,
            ignore_mismatched_sizes=True,  # they are reported
            output_loading_info=True,
        )
    if missing := sorted(report["missing_keys"]):
        raise EngineError(f"{load.path.name} lacks {len(missing)} weights of the model, such as {missing[0]}", KIND[1])
    if others := sorted(report["mismatched_keys"]):
        name, stored, needed = others[0]
        sizes = f"{name} of {tuple(stored)} instead of {tuple(needed)}"
        raise EngineError(f"{load.path.name} has {len(others)} weights of other sizes than its config.json, such as {sizes}", KIND[1])
    if load.options.quantization != "none" and getattr(model.config, "quantization_config", None) is not None:
        raise EngineError(f"{load.path.name} is quantized already", f"remove `quantization: {load.options.quantization}`", refused=True)
    if model.config.is_encoder_decoder:
        raise EngineError(f"{load.path.name} is an encoder with a decoder", "use a decoder-only language model", refused=True)
    return model.eval()


def _tokenizer(transformers: Any, load: Load, model: Any) -> Tokenizer:
    with library_errors(f"the tokenizer of {load.path.name} cannot be loaded", "does the folder have tokenizer.json?", path=load.path):
        library = transformers.AutoTokenizer.from_pretrained(load.path, trust_remote_code=load.trusted, local_files_only=True)
    start = library.bos_token_id if library.bos_token_id is not None else library.eos_token_id or 0
    return Tokenizer(library, start, model.get_input_embeddings().num_embeddings)


def _decoder(torch: Any, transformers: Any, model: Any, options: Options, length: int) -> TransformersDecoder:
    """The decoder of a model.

    Raises:
        EngineError: It has no static cache, or one that cannot be compiled.
    """
    if options.cache == "static":
        without = "use `cache: dynamic`"
        with library_errors(f"{type(model).__name__} has no static cache", without, refused=True):
            cache = transformers.StaticCache(config=model.config, max_cache_len=length)
        if not cache.is_compileable:  # codespell:ignore
            raise EngineError(f"the cache of {type(model).__name__} is not static", without, refused=True)
    return TransformersDecoder(
        torch, transformers, model, length if options.cache == "static" else None, compiled=options.mode == "compile"
    )


def _facts(torch: Any, model: Any, options: Options, quantized: Quantized | None) -> dict[str, Any]:
    """Options, libraries, and what the parameters are."""
    own = getattr(model.config, "quantization_config", None)
    parameters = list(model.parameters())
    facts = {
        **options.model_dump(exclude={"cache"}),
        **{name: _version(name) for name in ("torch", "transformers", "torchao", "tokenizers")},
        "architecture": type(model).__name__,
        "attention": model.config._attn_implementation,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "parameter_types": sorted({_name(parameter.dtype) for parameter in parameters if not is_quantized(parameter)}),
        "threads": torch.get_num_threads(),
    }
    if quantized:
        layers = f"{quantized.layers} of {quantized.of} linear layers"
        facts |= {"quantized": layers, "quantized_weights": quantized.weights, "weight_tensors": quantized.tensor}
    return facts | ({"stored_quantization": str(getattr(own, "quant_method", own))} if own is not None else {})


def _device_facts(torch: Any, device: Any, model: Any) -> dict[str, Any]:
    name = _name(model.dtype)
    if device.type == "cpu":
        return {f"{name}_instructions": has_instructions(torch, name)} if name in ("bfloat16", "float16") else {}
    return {**cuda.facts(False), "device_name": torch.cuda.get_device_name(device)}


def _counts(decoder: TransformersDecoder, options: Options) -> dict[str, Any]:
    facts: dict[str, Any] = {"cache": decoder.cache, "cache_length": decoder.planned, "longest_cache_length": decoder.longest}
    return facts | decoder.compilation() if options.mode == "compile" else facts


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
