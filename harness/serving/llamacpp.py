"""llama.cpp's own HTTP server out of the wheel `xllamacpp`, run by the Python of the environment `llama-cpp`; it needs only that wheel."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

STOPS = (signal.SIGTERM, signal.SIGINT)
LOADED_TYPES = 4
"""Verbosity with which llama.cpp prints the type of the key-value cache: about 20 lines a request more."""


def main() -> None:
    """Serve a GGUF file until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m harness.serving.llamacpp", description="Serve a GGUF file with llama.cpp.")
    parser.add_argument("model", help="path of the GGUF file")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="threads of llama.cpp")
    parser.add_argument("--parallel", type=int, required=True, help="requests at a time")
    parser.add_argument("--ctx-size", type=int, required=True, help="tokens of all requests at a time")
    parser.add_argument("--cache-type", help="type of the key-value cache, such as q8_0")
    serve(parser.parse_args())


def serve(arguments: argparse.Namespace) -> None:
    """Start the server, and wait for a signal to end it."""
    import xllamacpp

    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # in the threads of llama.cpp too: `sigwait` receives them
    try:
        server = xllamacpp.Server(parameters(xllamacpp, arguments))
    except (RuntimeError, ValueError, MemoryError) as error:
        sys.exit(f"llama.cpp cannot load {arguments.model}: {error}")
    print("listening at", server.listening_address, flush=True)
    signal.sigwait(STOPS)
    del server


def parameters(xllamacpp: Any, arguments: argparse.Namespace) -> Any:
    """The parameters of llama.cpp for a measurement: nothing is cached between requests, adapted to the memory or downloaded."""
    params = xllamacpp.CommonParams()
    params.model.path = arguments.model
    params.port = arguments.port
    params.n_parallel = arguments.parallel
    params.n_ctx = arguments.ctx_size
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.cache_prompt = params.cache_idle_slots = False
    params.cache_ram_mib = 0
    params.fit_params = False
    params.offline = True
    params.ui = False
    params.endpoint_metrics = params.endpoint_slots = params.warmup = True
    if arguments.cache_type:
        kind = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{arguments.cache_type.upper()}", None)
        if kind is None:
            sys.exit(f"llama.cpp has no type {arguments.cache_type} of the key-value cache")
        params.cache_type_k = params.cache_type_v = kind
        params.verbosity = LOADED_TYPES
    return params


if __name__ == "__main__":
    main()
