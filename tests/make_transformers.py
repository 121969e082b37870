"""Run by the Python of .venv-torch: a random Llama in the transformers engine; writes what its tests assert as JSON."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers

from harness.engines.base import Load
from harness.engines.transformers import Options, Transformers
from harness.engines.transformers_decoder import TransformersDecoder
from harness.errors import EngineError
from harness.schema.served import REQUEST_COLUMNS, TokenLoad
from harness.serving.base import Load as TextLoad
from harness.serving.base import Prompt, TokenSession
from harness.serving.log import TokenLog

TEXTS = ["def main():", "a", "import numpy as np\n", "The quick brown fox"]
CASES: dict[str, dict[str, Any]] = {
    "eager": {"dtype": "float32"},
    "dynamic": {"dtype": "float32", "cache": "dynamic"},
    "compile": {"dtype": "float32", "mode": "compile"},
    "bfloat16": {"dtype": "bfloat16", "cache": "dynamic"},
    "stored": {},
    "int8_weight_only": {"quantization": "int8_weight_only"},
    "int8_dynamic": {"quantization": "int8_dynamic"},
    "int4_weight_only": {"quantization": "int4_weight_only", "dtype": "bfloat16"},
}


def make(folder: Path, dtype: torch.dtype = torch.bfloat16) -> Path:
    """A Llama of two layers with a token for each byte, as a Hugging Face folder."""
    names = ["<s>", "</s>", *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab={name: index for index, name in enumerate(names)}, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(names),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.08,
    )
    transformers.LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(folder)
    return folder


def opened(folder: Path, concurrency: int, *, device: str = "cpu", **options: Any) -> TokenSession:
    """A session of the engine."""
    requests = TokenLoad(concurrency=concurrency, input_tokens=16, output_tokens=24)
    return Transformers().open_tokens(Load(folder, "hf", device, 1, 1, Options(**options)), requests)


def refusal(call: Callable[[], Any]) -> str | None:
    """The error of a call; None if there is none."""
    try:
        call()
    except EngineError as error:
        return f"{error.what} | {error.hint} | {error.refused}"
    return None


def generated(folder: Path, dtype: str, cache: str, texts: list[str], tokens: int) -> list[list[str]]:
    """Answers by transformers' own `generate`."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left", pad_token="</s>")
    inputs = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
    settings = {"do_sample": False, "min_new_tokens": tokens, "max_new_tokens": tokens, "disable_compile": True}
    answers = model.generate(**inputs, **settings, **({"cache_implementation": "static"} if cache == "static" else {}))
    rows = answers[:, inputs["input_ids"].shape[1] :].tolist()
    return [[_piece(tokenizer, token) for token in row] for row in rows]


def _piece(tokenizer: Any, token: int) -> str:
    text: str = tokenizer.decode([token])
    return tokenizer.convert_ids_to_tokens(token) if "\ufffd" in text else text


def texts() -> Iterator[Prompt]:
    """Prompts with answers of 4 to 12 tokens."""
    for number in itertools.count():
        yield Prompt(f"prompt {number}", 4 + number % 4 * 4 - (number % 4 == 3) * 4)


def driven(session: TokenSession, concurrency: int, batches: int, drain_s: float = 60.0) -> dict[str, Any]:
    """A load of some batches: its log, and tokens per second."""
    log = TokenLog()
    given = TextLoad(TokenLoad(concurrency=concurrency, input_tokens=16, output_tokens=24), texts(), log, lambda: False, drain_s)
    given.stop = lambda: given.log.have_ended(concurrency * batches)
    began = time.monotonic()
    session.run(given)
    elapsed = time.monotonic() - began
    table = dict(zip(REQUEST_COLUMNS, log.requests().tolist(), strict=True))
    tokens = log.completions()
    return {
        **{name: table[name] for name in ("status", "asked_tokens", "output_tokens", "prompt_tokens")},
        "tokens": int(tokens[2].sum()),
        "events": tokens.shape[1],
        "steps": len(np.unique(tokens[1])),
        "tokens_per_s": tokens[2].sum() / elapsed,
    }


def cases(folder: Path) -> dict[str, Any]:
    """Answers, facts, kernels and loads with each set of options."""
    report: dict[str, Any] = {}
    for name, options in CASES.items():
        session = opened(folder, 4, **options)
        replies = session.answer([Prompt(text, 20) for text in TEXTS], 4)
        facts = session.facts()
        load = driven(session, 4, 2)
        kernels = session.profile(0.5)
        report[name] = {
            "answers": [reply.tokens for reply in replies],
            "logprobs": [reply.logprobs for reply in replies],
            "prompt_tokens": [reply.prompt_tokens for reply in replies],
            "facts": facts,
            "precision": session.precision(),
            "load": load,
            "kernels": sorted({kernel.precision for kernel in kernels if kernel.precision}),
            "operators": [kernel.op for kernel in kernels],
            "closed": session.close(),
        }
        if name == "eager":
            single = opened(folder, 1, **options)
            report["batch of 1"] = {
                "answers": [reply.tokens for reply in single.answer([Prompt(text, 20) for text in TEXTS], 1)],
                "load": driven(single, 1, 3),
            }
    for name, options in (("eager", ("float32", "static")), ("dynamic", ("float32", "dynamic")), ("bfloat16", ("bfloat16", "dynamic"))):
        report[f"generate {name}"] = generated(folder, *options, TEXTS, 20)
    return report


def damaged(folder: Path, name: str, change: Callable[[Path], Any]) -> str | None:
    """What is reported of a copy of the model after a change."""
    copy = folder.parent / f"damaged-{name}"  # other models of the tests are in this folder too
    shutil.copytree(folder, copy)
    change(copy)
    return refusal(lambda: opened(copy, 1))


def _without_a_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, metadata={"format": "pt"})


def _pickled(folder: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _configured(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def refusals(folder: Path) -> dict[str, Any]:
    """What is reported of bad input."""
    changes: dict[str, Callable[[Path], Any]] = {
        "cut": _cut,
        "incomplete": _without_a_weight,
        "pickled": _pickled,
        "no tokenizer": lambda path: (path / "tokenizer.json").unlink(),
        "no weights": lambda path: (path / "model.safetensors").unlink(),
        "unknown": _configured(model_type="no_such_model"),
        "code": _configured(model_type="mine", auto_map={"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"}),
        "masked": _configured(model_type="t5", architectures=["T5ForConditionalGeneration"]),
        "wider": _configured(hidden_size=256),
    }
    report: dict[str, Any] = {name: damaged(folder, name, change) for name, change in changes.items()}
    report["fp8"] = refusal(lambda: opened(folder, 1, quantization="fp8", dtype="bfloat16"))
    if not torch.cuda.is_available():
        report["gpu"] = refusal(lambda: opened(folder, 1, device="gpu"))
    report["context"] = refusal(
        lambda: Transformers().open_tokens(
            Load(folder, "hf", "cpu", 1, 1, Options()), TokenLoad(concurrency=1, input_tokens=100, output_tokens=100)
        )
    )
    return report


def wrong_code(folder: Path) -> str | None:
    """What is reported of a compiled step that gives wrong logits."""

    def compiled(decoder: TransformersDecoder) -> Callable[..., Any]:
        def forward(**inputs: Any) -> Any:
            outputs = decoder._model(**inputs)
            outputs.logits = -outputs.logits
            return outputs

        return forward

    right, TransformersDecoder._compiled = TransformersDecoder._compiled, compiled
    try:
        return refusal(lambda: opened(folder, 2, mode="compile"))
    finally:
        TransformersDecoder._compiled = right


def longer(folder: Path) -> dict[str, Any]:
    """Answers that are longer than the planned static cache."""
    session = opened(folder, 1, dtype="float32")
    session.answer([Prompt("a", 8)], 1)
    planned = session._decoder.capacity
    (reply,) = session.answer([Prompt("a", 150)], 1)
    grown = session._decoder.capacity
    (again,) = session.answer([Prompt("a", 8)], 1)
    return {"planned": planned, "grown": grown, "after": session._decoder.capacity, "same": reply.tokens[:8] == again.tokens}


def main(folder: Path) -> None:
    """Everything, and the report last."""
    model = make(folder / "hf")
    report = {**cases(model), "refusals": refusals(model), "longer": longer(model), "wrong code": wrong_code(model)}
    (folder / "transformers.json").write_text(json.dumps(report, default=str))


if __name__ == "__main__":
    began = time.time()
    main(Path(sys.argv[1]))
    print(f"{time.time() - began:.1f} s")
