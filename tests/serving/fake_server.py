"""A program that behaves like a server of language models, well or badly: `python fake_server.py PORT [BEHAVIOUR ...]`; standard library only.

Behaviours: `exits` (at once, with code 3), `silent` (never listens), `loading` (answers 503), `key` (answers 401), `taken` (prints that the port is in use),
`stubborn` (ignores SIGTERM), `workers` (starts one worker in its group and two that left its session, one of them without an environment), `shm` (leaves a
file in /dev/shm that it has mapped), `two` (has two models), `short` (a context of 64 tokens), `elsewhere` (a process that is not its descendant answers).
"""

import http.server
import json
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BEHAVIOUR = set(sys.argv[2:])
CHUNKS = (
    {"choices": [{"text": "a", "finish_reason": None}], "timings": {"predicted_n": 1}},
    {
        "choices": [{"text": "b", "finish_reason": "length"}],
        "timings": {"predicted_n": 2},
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    },
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers of one connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Health, models and properties."""
        status = 503 if "loading" in BEHAVIOUR else 401 if "key" in BEHAVIOUR else 200
        models = ["fake", *(["other"] if "two" in BEHAVIOUR else [])]
        answers = {
            "/health": {},
            "/v1/models": {"data": [{"id": name} for name in models]},
            "/props": {
                "build_info": "b1",
                "total_slots": 4,
                "default_generation_settings": {"n_ctx": 64 if "short" in BEHAVIOUR else 4096},
            },
        }
        self.answer(status if self.path in answers else 404, json.dumps(answers.get(self.path, {})), "application/json")

    def do_POST(self) -> None:
        """An answer of two tokens."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if body.get("stream"):
            self.answer(200, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n", "text/event-stream")
        else:
            answer = {"choices": [{"text": "ab", "finish_reason": "length"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
            self.answer(200, json.dumps(answer), "application/json")

    def answer(self, status: int, text: str, kind: str) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def main() -> None:
    """Behave as the command line asks."""
    if "stubborn" in BEHAVIOUR:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "exits" in BEHAVIOUR:
        print("\x1b[31munknown model architecture\x1b[0m", flush=True)
        sys.exit(3)
    if "taken" in BEHAVIOUR:
        print(f"couldn't bind to port {sys.argv[1]}: Address already in use", flush=True)
        sys.exit(1)
    if "workers" in BEHAVIOUR:
        worker = [sys.executable, "-c", "import time; time.sleep(600)", *sys.argv[2:]]
        subprocess.Popen(worker)
        subprocess.Popen(worker, start_new_session=True)
        subprocess.Popen(worker, start_new_session=True, env={})
    if "shm" in BEHAVIOUR:
        path = Path("/dev/shm", f"fake-server-{os.getpid()}")
        path.write_bytes(b"0" * 4096)
        with path.open("r+b") as file:
            globals()["mapped"] = mmap.mmap(file.fileno(), 0)
    if "silent" in BEHAVIOUR:
        time.sleep(600)
    if "elsewhere" in BEHAVIOUR:
        Path(os.environ["FAKE_PORT_FILE"]).write_text(sys.argv[1])
        time.sleep(600)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
