"""A program with the command line, the output and the results files of lm_eval 0.4.13, for tests; standard library only.

The name of the task is what happens: `copy` (a generated answer is right or wrong), `zero` (none is right), `bleu` (a value that is no mean of its samples),
`group` (two tasks), and what goes wrong: `choose` (needs log-likelihoods), `absent` (no data), `refused` (the server refuses), `crash`, `hang`, `nothing`
(writes no results), `damaged` (a results file cut short), `nan`, `aimless` (no direction). Any other name is unknown. It asks the server once a sample.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

STAMP = "2026-11-30T23-37-01.818850"
MODULE = Path(__file__)
DOCS = 16


def install(folder: Path) -> Path:
    """Make an environment in a folder whose Python has this program as lm_eval; what HARNESS_VENV_LM_EVAL names."""
    package = folder / "site"
    package.mkdir(parents=True)
    (package / "lm_eval.py").write_text(MODULE.read_text())
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    code = f'import runpy, sys; sys.path.insert(0, "{package}"); sys.argv = sys.argv[2:]; runpy.run_module("lm_eval", run_name="__main__", alter_sys=True)'
    python.write_text(f'#!/bin/sh\n[ "$1" = -P ] && shift\nexec {sys.executable} -c \'{code}\' "$@"\n')
    python.chmod(0o755)
    return folder


def main() -> None:
    """As `lm_eval`."""
    parser = argparse.ArgumentParser()
    for name in ("model", "model_args", "tasks", "output_path"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--limit", type=float)
    parser.add_argument("--log_samples", action="store_true")
    parser.add_argument("--apply_chat_template", action="store_true")
    given = parser.parse_args()
    model = json.loads(given.model_args)
    assert model["base_url"].endswith("/v1/chat/completions" if given.model == "local-chat-completions" else "/v1/completions")
    assert (given.model == "local-chat-completions") == given.apply_chat_template
    task = Path(given.tasks).stem
    fails(task)
    count = min(DOCS, int(given.limit)) if given.limit else DOCS
    for number in range(count):
        ask(model, number)
    write(Path(given.output_path), task, count, given.limit)


def fails(task: str) -> None:
    """What lm_eval prints before it fails, as it was recorded; then its end."""
    texts = {
        "choose": "AssertionError: Tokenizer is required for loglikelihood tasks to compute context lengths.",
        "absent": "ConnectionError: Couldn't reach 'openai/gsm8k' on the Hub (OfflineModeIsEnabled)",
        "crash": "RuntimeError: something else",
    }
    if task == "hang":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        Path(os.environ["FAKE_LM_EVAL_PIDS"]).write_text(str(os.getpid()))
        time.sleep(600)
    if task == "nothing":
        sys.exit(0)
    known = (*texts, "copy", "zero", "bleu", "group", "refused", "damaged", "nan", "aimless")
    if task in texts or task not in known:
        sys.exit(f"Traceback (most recent call last):\n{texts.get(task) or f'ValueError: Tasks not found: {task}'}")


def ask(model: dict, number: int) -> None:
    """Send the request of a sample; a server that refuses it ends us as it ends lm_eval."""
    chat = model["base_url"].endswith("chat/completions")
    content = {"messages": [{"role": "user", "content": f"{number}"}]} if chat else {"prompt": f"{number}"}
    body = json.dumps({"model": model["model"], "max_tokens": 8, "temperature": 0, "seed": 1234, **content}).encode()
    key = os.environ.get("OPENAI_API_KEY", "")
    request = urllib.request.Request(model["base_url"], body, {"content-type": "application/json", "authorization": f"Bearer {key}"})
    try:
        urllib.request.urlopen(request, timeout=30).read()
    except urllib.error.HTTPError as error:
        print(f"WARNING  API request failed with error message: {error.read().decode()}. Retrying...", file=sys.stderr)
        sys.exit("requests.exceptions.HTTPError: 400 Client Error")


def write(path: Path, task: str, count: int, limit: float | None) -> None:
    """The results file and the samples."""
    metric, scores = ("bleu" if task == "bleu" else "exact_match"), [float(task == "copy" and n % 4 > 0) for n in range(count)]
    mean = sum(scores) / count
    variance = sum((each - mean) ** 2 for each in scores) / (count - 1)
    value = {"bleu": 31.5, "nan": float("nan")}.get(task, mean)
    stderr = 1.25 if task == "bleu" else (variance / count) ** 0.5
    own = {
        "name": task, "alias": task, "sample_len": count, f"other_{metric},strict": 0.0, f"{metric},none": value, f"{metric}_stderr,none": stderr,
    }  # fmt: skip
    members = ["copy_a", "copy_b"] if task == "group" else [task]
    results = {
        "results": dict.fromkeys({task, *members}, own),
        "group_subtasks": {"group": members} if task == "group" else {},
        "configs": {name: {"task": name, "metric_list": [{"metric": metric}], "num_fewshot": 0} for name in members},
        "versions": dict.fromkeys({task, *members}, 1.0),
        "n-shot": dict.fromkeys(members, 0),
        "higher_is_better": {} if task == "aimless" else {name: {metric: True} for name in members},
        "n-samples": {name: {"original": DOCS, "effective": count} for name in members},
        "config": {"limit": limit},
        "lm_eval_version": "0.4.13",
        "task_hashes": dict.fromkeys(members, "4e49ed"),
    }
    text = json.dumps(results, indent=2)
    path.with_name(f"{path.stem}_{STAMP}.json").write_text(text[:-20] if task == "damaged" else text)
    for name in members:
        lines = [
            {"doc_id": n, "filter": chosen, "resps": [["x\u2028y"]], metric: score * (chosen == "none")}
            for chosen in ("strict", "none")
            for n, score in reversed(list(enumerate(scores)))
        ]
        path.with_name(f"samples_{name}_{STAMP}.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    main()
