"""A complete run that follows from its raw data, and ways to change it."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness import frame
from harness.cli.app import write_report
from harness.energy.figures import Raw, Setting, figures
from harness.environment import identity
from harness.schema import OBJECTIVES, Artifact, Domain, Kernel, Sample, Trace, WindowTimes
from harness.schema.worker import Scores
from harness.store import Store, manifest, read_run, with_outputs, write_atomically
from harness.suite import as_written
from harness.verify import verify
from tests.factories import COUNTERS, build_record, case, model, record, stored

CELLS = (case("dense"), case("int8"))
COUNTER = COUNTERS[0]
LOADS = tuple(Domain(name=name, sensor="psutil", quantity="load", unit="1") for name in ("cpu_load", "foreign_load"))
DOMAINS = {domain.name: domain for domain in (COUNTER, *LOADS)}
DISTURBED = CELLS[1], 2
"""The launch during which something else ran: line 8 of the records."""
EMPTY = Trace({}, {}), np.zeros((3, 0), dtype=np.int64), np.zeros(0)
SOURCE = "name: digits\nmodels: [digits-cnn]\nmatrices: [{variants: [dense, int8], engines: [litert]}]\nquality: {margin: 0.02}\n"


def header():
    """Header whose environment and suite have the ids that follow from them."""
    base = stored(CELLS, [], tuple(DOMAINS.values())).header
    box = base.environments[0]
    box = box.model_copy(update={"environment_id": identity(box)})
    models = (model("digits-cnn"),)
    suite = base.suite.model_copy(update={"models": models, **as_written(SOURCE, models, base.suite.cases)})
    return base.model_copy(update={"environments": (box,), "suite": suite, "suite_source": SOURCE})


def window(phase, times_s):
    """A window that was polled for ticks at both edges."""
    return WindowTimes(phase=phase, **dict(zip(("begin_s", "open_s", "end_s", "close_s"), times_s.tolist(), strict=True)))


def launch(cell, repetition, watts):
    """A launch that follows from its raw data: a counter of 1 ms ticks under a level load, queries of 1 ms, every second sample right."""
    begin_s = 10.0 * (repetition * len(CELLS) + CELLS.index(cell))
    t_s = np.arange(0, 4, 0.0005)
    slow_s = begin_s + np.arange(0, 4, 0.25)
    other = 0.7 if (cell, repetition) == DISTURBED else 0.0
    samples = {COUNTER.name: Sample(begin_s + t_s, begin_s + t_s, watts * np.floor(t_s / 0.001) * 0.001)}
    samples |= {domain.name: Sample(slow_s, slow_s, np.full(len(slow_s), value)) for domain, value in zip(LOADS, (1.0, other), strict=True)}
    trace = Trace(DOMAINS, samples)
    ends = (begin_s * 1e9 + np.arange(1001, 3500) * 1e6).astype(np.int64)
    completions = np.stack([ends - 1_000_000, ends, np.ones_like(ends)])
    windows = [window("idle", begin_s + np.array([0.1, 0.2, 0.6, 0.7])), window("steady", begin_s + np.array([1.2, 1.3, 3.0, 3.1]))]
    per_sample = np.tile([1.0, 0.0], 180)
    ran = "int8" if cell.variant == "int8" else "float32"
    kernels = (Kernel(op="Conv", kernel="CPU", precision=ran, share=1.0),) if repetition == 0 else ()
    raw = Raw(trace, windows, completions, per_sample, Scores(metric="accuracy", direction="higher"), precision=ran, kernels=kernels)
    setting = Setting(case=cell, requested_precision="int8" if cell.variant == "int8" else None, profiled=repetition == 0)
    now = figures(raw, setting)
    one = record(cell, {}, repetition=repetition, environment_id=header().environments[0].environment_id)
    one = one.model_copy(update={"windows": tuple(windows), "kernels": kernels, "warnings": now.findings, **now.of_record(trace)})
    outputs = np.eye(10, dtype=np.float32)[np.arange(360) % 10] if repetition == 0 else None
    return one, trace, completions, per_sample, outputs


def built(variant):
    """Record of the build of a case: cached, so that it has no trace."""
    made = record(case(variant)).artifact
    return build_record(f"build-{variant}").model_copy(update={"artifact": made, "cached": True, "measurements": (), "phases": ()})


def write_run(results):
    """A run of two cases and three launches with its report and its manifest, as `harness run` leaves it."""
    store = Store.create(results, header())
    for cell in CELLS:
        store.append(built(cell.variant), *EMPTY)
    for repetition in range(3):
        for index, cell in enumerate(CELLS):
            store.append(*launch(cell, repetition, 10.0 + index + 0.1 * repetition))
    draw(store.folder, ended=True)
    return store.folder


def draw(folder, objectives=OBJECTIVES, **ended):
    """Draw the report of a run."""
    run = with_outputs(read_run(folder))
    return write_report(run, frame.tables([run], objectives), objectives, **ended)


def pictures(cases, objectives=OBJECTIVES):
    """Bytes that follow from the table, in place of a plot that takes a second."""
    digest = hashlib.sha256(f"{cases.to_csv()} {objectives}".encode()).hexdigest()
    return {"png": digest.encode(), "svg": f"<svg>{digest}</svg>".encode()}


def reseal(folder):
    """Write the manifest again, so that every checksum fits."""
    (folder / manifest.NAME).unlink()
    write_atomically(folder / manifest.NAME, manifest.seal(folder))


def flip_bit(path, at):
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def replace_text(path, old, new):
    """Replace a text that is in a file."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def change_columns(path, change):
    """Change the columns of a Parquet file."""
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy(zero_copy_only=False).copy() for name in table.column_names}
    change(columns)
    pq.write_table(pa.table(columns), path)


def problems_after(folder, change, at=7, *, report=False):
    """Problems of a run after a change of one record, by default of the disturbed launch; its manifest fits, its report is removed."""
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    one = json.loads(lines[at])
    change(one)
    lines[at] = json.dumps(one)
    path.write_text("\n".join(lines) + "\n")
    if not report:
        shutil.rmtree(folder / "report")
    reseal(folder)
    return verify(folder).problems


def last(one):
    """The package's measurement of `steady` in a record."""
    return one["measurements"][-1]


def assert_problem(problems, words):
    """A problem of the disturbed launch contains the words, and no other launch has one."""
    assert any(words in each and "int8" in each and "repetition 2" in each for each in problems), problems
    assert all("repetition 2" in each or "traces/" in each for each in problems), problems


def cache_artifact(cache, variant, content, started_utc):
    """Put an artifact into the cache."""
    with cache.build_folder() as folder:
        (folder / "model").write_bytes(content)
        made = Artifact(
            build_id=f"build-{variant}", format="tflite", path=str(folder / "model"),
            sha256=hashlib.sha256(content).hexdigest(), bytes=len(content),
        )  # fmt: skip
        cache.keep(folder, built(variant).model_copy(update={"artifact": made, "started_utc": started_utc}))
