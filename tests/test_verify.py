"""A run's folder beside its manifest and its own raw data: whatever was changed is found and named, also by one who writes the manifest anew."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness import frame
from harness.analysis.interval import wilson
from harness.artifacts import Cache
from harness.cli import _guarded
from harness.cli.app import keep_report
from harness.energy.codes import finding
from harness.energy.figures import Raw, Setting, figures
from harness.environment import identity
from harness.errors import StoreError
from harness.report import plots
from harness.report.stored import drawn_objectives
from harness.schema import OBJECTIVES, Artifact, Domain, Kernel, Objective, Sample, Trace, WindowTimes
from harness.schema.worker import Scores
from harness.store import Store, manifest, read_objectives, read_run, with_answers, write_atomically
from harness.suite import as_written
from harness.verify import Verification, verify
from harness.verify.files import check_files
from tests.factories import COUNTERS, build_record, case, model, record, stored

CELLS = (case("dense"), case("int8"))
COUNTER = COUNTERS[0]
LOADS = tuple(Domain(name=name, sensor="psutil", quantity="load", unit="1") for name in ("cpu_load", "foreign_load"))
DOMAINS = {domain.name: domain for domain in (COUNTER, *LOADS)}
SPOILT = CELLS[1], 2
"""The launch beside which something else ran."""
EMPTY = Trace({}, {}), np.zeros((3, 0), dtype=np.int64), np.zeros(0)


SOURCE = "name: digits\nmodels: [digits-cnn]\nmatrices: [{variants: [dense, int8], engines: [litert]}]\nquality: {margin: 0.02}\n"


def header():
    """Of the run; its environment has the id that it must have."""
    found = stored(CELLS, [], tuple(DOMAINS.values())).header
    box = found.environments[0]
    box = box.model_copy(update={"environment_id": identity(box)})
    models = (model("digits-cnn"),)
    suite = found.suite.model_copy(update={"models": models, **as_written(SOURCE, models)})
    return found.model_copy(update={"environments": (box,), "suite": suite, "suite_source": SOURCE})


def window(phase, times_s):
    """Polled for ticks at both edges."""
    return WindowTimes(phase=phase, **dict(zip(("begin_s", "open_s", "end_s", "close_s"), times_s.tolist(), strict=True)))


def measured(cell, repetition, watts):
    """A launch that follows from its raw data: a counter of 1 ms ticks under a level load, queries of 1 ms, every second sample right."""
    begin_s = 10.0 * (repetition * len(CELLS) + CELLS.index(cell))
    t_s = np.arange(0, 4, 0.0005)
    slow_s = begin_s + np.arange(0, 4, 0.25)
    other = 0.7 if (cell, repetition) == SPOILT else 0.0
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
    found = figures(raw, setting)
    one = record(cell, {}, repetition=repetition, environment_id=header().environments[0].environment_id)
    one = one.model_copy(update={"windows": tuple(windows), "kernels": kernels, "warnings": found.findings, **found.of_record(trace)})
    outputs = np.eye(10, dtype=np.float32)[np.arange(360) % 10] if repetition == 0 else None
    return one, trace, completions, per_sample, outputs


def built(variant):
    """What made the artifact of a case; cached, so that it has no trace."""
    made = record(case(variant)).artifact
    here = {"artifact": made, "cached": True, "measurements": (), "phases": ()}
    return build_record(f"build-{variant}").model_copy(update=here)


def pictures(cases, objectives=OBJECTIVES):
    """In place of a drawing that takes a second: bytes that follow from the table."""
    digest = hashlib.sha256(f"{cases.to_csv()} {objectives}".encode()).hexdigest()
    return {"png": digest.encode(), "svg": f"<svg>{digest}</svg>".encode()}


@pytest.fixture(scope="module", autouse=True)
def _quick_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "draw", pictures)
        yield


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """A run of two cases and three launches, its report drawn, its manifest written, as `harness run` does."""
    store = Store.create(tmp_path_factory.mktemp("results"), header())
    for cell in CELLS:
        store.append(built(cell.variant), *EMPTY)
    for repetition in range(3):
        for index, cell in enumerate(CELLS):
            store.append(*measured(cell, repetition, 10.0 + index + 0.1 * repetition))
    draw(store.folder, ended=True)
    return store.folder


@pytest.fixture
def folder(sealed, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(sealed, tmp_path / "run")


def draw(folder, objectives=OBJECTIVES, **ended):
    run = with_answers(read_run(folder))
    return keep_report(run, frame.tables([run], objectives), objectives, **ended)


def reseal(folder):
    """As a forger does: the manifest fits whatever is there now."""
    (folder / manifest.NAME).unlink()
    write_atomically(folder / manifest.NAME, manifest.seal(folder))


def test_what_was_written_and_follows_from_its_raw_data_is_right(folder):
    """No word against it, also of a copy; every file and figure of each kind was looked at."""
    found = verify(folder)
    assert found.wrong == []
    assert found.files == len([p for p in folder.rglob("*") if p.is_file()]) - 1
    assert set(found.again) == {
        "energy", "throughput and latency", "quality", "conditions", "findings", "artifacts", "environments", "the suite", "the report",
    }  # fmt: skip
    assert found.figures == sum(found.again.values()) > 500
    assert [line.split()[0] for line in found.lines()] == ["again", "note", "note", "note", "verify:"]


# --- an accident, or a hand: the manifest tells -------------------------------------------------------------------------


def flipped(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


KINDS = ("run.json", "records.jsonl", "traces/*.completions.parquet", "traces/*.quality.parquet", "report/table.csv",
         "report/table.md", "report/index.html", "report/pareto.png", "report/pareto.svg", "manifest.json")  # fmt: skip


@pytest.mark.parametrize("pattern", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.37, 0.999])
def test_one_byte_changed_in_any_file_is_found_and_named(folder, pattern, share):
    """At the beginning, in the middle and at the end of each kind of file."""
    path, found = sorted(folder.glob(pattern))[0], Verification()
    flipped(path, int(share * (path.stat().st_size - 1)))
    check_files(folder, found)  # what a whole verification begins with: the figures need no computing here
    assert any(str(path.relative_to(folder)) in sentence for sentence in found.wrong)


def test_a_trace_that_was_changed_is_named_with_its_row(folder):
    """The file, the case and the repetition."""
    one = read_run(folder).records[5]
    flipped(folder / one.trace, 200)
    said = verify(folder).wrong
    assert any(one.trace in s and f"{one.case_id}, repetition {one.repetition}" in s for s in said)


def test_the_line_of_a_changed_record_is_named(folder):
    """The second case of the first block."""
    path = folder / "records.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[3] = lines[3].replace(b'"accuracy"', b'"accurate"')
    path.write_bytes(b"\n".join(lines))
    assert "records.jsonl was changed: line 4" in verify(folder).wrong


def test_files_that_are_lost_or_added_are_told(folder):
    """Either way; a file that no figure is drawn from is a note."""
    trace = sorted(folder.glob("traces/*.quality.parquet"))[0]
    trace.rename(trace.with_name("stray.parquet"))
    (folder / "notes.txt").write_text("of a stranger")
    said, told = verify(folder).wrong, verify(folder).told
    assert f"{trace.relative_to(folder)} is missing" in " ".join(said)
    assert "traces/stray.parquet is not in the manifest" in said
    assert any(sentence.startswith("notes.txt is not in the manifest") for sentence in told)


def test_without_a_manifest_the_figures_are_still_computed_and_nothing_passes(folder):
    """An interrupted run, or one whose manifest was taken away."""
    (folder / manifest.NAME).unlink()
    found = verify(folder)
    assert len(found.wrong) == 1
    assert "no manifest.json" in found.wrong[0]
    assert found.figures > 500


def torn(folder):
    """As a killed writer leaves it: the raw data, and half of the line."""
    path = folder / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-300])
    return path


def test_a_line_that_a_kill_has_torn_is_found_and_what_was_lost_with_it(folder):
    """The run has not ended: it has no manifest."""
    torn(folder)
    (folder / manifest.NAME).unlink()
    said = " ".join(verify(folder).wrong)
    assert "records.jsonl:8 is torn" in said
    assert "-r2-a1.parquet is of no record" in said


def test_a_torn_line_in_a_run_that_went_on_is_told_and_not_held_against_it(folder):
    """Its launch was lost and done again; the raw data of the torn line gave way to those of the launch that stands for it."""
    (folder / manifest.NAME).unlink()
    torn(folder)
    Store(folder).append(*measured(*SPOILT, 11.2))
    draw(folder, ended=True)
    found = verify(folder)
    assert found.wrong == []
    assert any("records.jsonl:8 is damaged" in sentence for sentence in found.told)


def test_what_a_killed_writer_left_of_a_launch_is_not_taken_for_another_of_its_name(folder):
    """A launch that is lost has its trace alone: completions and answers of the same name go."""
    one, trace, *_ = measured(*SPOILT, 11.2)
    Store(folder).append(one.model_copy(update={"status": "killed"}), trace, *EMPTY[1:])
    assert len(list(folder.glob(f"{one.trace or 'traces/*int8*-r2-a1'}*"))) == 1


def test_a_resumed_run_adds_records_and_blesses_nothing(folder):
    """New lines and files are entered; what was changed before stays wrong, also when the report is drawn again."""
    late = measured(CELLS[0], 3, 10.0)
    Store(folder).append(late[0].model_copy(update={"status": "failed", "quality": None}), *late[1:])
    draw(folder, ended=True)
    assert verify(folder).wrong == []
    path = folder / "run.json"
    path.write_text(path.read_text().replace("abcdef0", "abcdef1"))
    draw(folder, ended=True)
    draw(folder)
    assert any(s.startswith("run.json was changed") for s in verify(folder).wrong)


# --- fronts and drawings ------------------------------------------------------------------------------------------------


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}


def test_a_redraw_needs_no_file_beside_the_run_and_is_right(folder):
    """It draws the same again; other objectives change the report, whose table names them, and it is compared with those."""
    first = contents(folder)
    draw(folder)
    assert contents(folder) == first and not (folder / "fronts.json").exists()
    objectives = (OBJECTIVES[0], Objective(name="memory", column="peak_memory_bytes", direction="min"))
    draw(folder, objectives)
    assert drawn_objectives(folder) == objectives
    assert verify(folder).wrong == []


@pytest.mark.parametrize("objectives", ["energy;memory", "nothing", "", "energy", "energy;quality;latency;=1"])
def test_other_objectives_in_the_table_are_found(folder, objectives):
    """The chances of the front are of those that the records give it, or there are none of such a name."""
    said = rewritten(folder, "table.csv", "energy;quality;latency", objectives)
    assert any("front_objectives" in s for s in said)


def old_report(folder):
    """As an earlier harness left it: other words, a column less, and the objectives in a file of their own."""
    objectives = [{"name": "memory", "column": "peak_memory_bytes", "direction": "min"}, OBJECTIVES[0].model_dump()]
    groups = {"digits-cnn": {"energy_j": {"ideal": 0.0, "reference": 1.0}}}
    (folder / "fronts.json").write_text(json.dumps({"schema_version": 2, "objectives": objectives, "drawn_by": "0.0.9", "groups": groups}))
    path = folder / "report" / "table.csv"
    path.write_text(path.read_text().replace("front_objectives", "other").replace("not_shown", "open").replace("0.5,", "0.6,"))
    reseal(folder)


def test_a_report_of_an_earlier_harness_is_checked_by_its_checksum_alone(folder):
    """With a note; a byte of it that was changed since is found, and redrawn it is compared again."""
    old_report(folder)
    found = verify(folder)
    assert found.wrong == [] and "the report" not in found.again
    assert any("an earlier harness drew the report" in sentence for sentence in found.told)
    flipped(folder / "report" / "table.csv", 40)
    assert verify(folder).wrong == ["report/table.csv was changed"]
    draw(folder)
    assert verify(folder).wrong == [] and verify(folder).again["the report"] > 100


def test_the_objectives_of_an_earlier_run_are_read(folder):
    """For its report to be drawn again with them; its reference points are not; a damaged file is a sentence."""
    old_report(folder)
    assert [each.name for each in drawn_objectives(folder)] == ["memory", "energy"]
    for text in ("{", "[]", '{"objectives": [{"name": 1}]}', '{"groups": {}}'):
        (folder / "fronts.json").write_text(text)
        with pytest.raises(StoreError, match=r"fronts\.json"):
            read_objectives(folder)


@pytest.mark.parametrize("name", ["table.md", "index.html", "pareto.svg", "pareto.png"])
def test_texts_and_pictures_are_checked_by_their_checksum(folder, name):
    """One byte that was changed is found; how a page words what the table holds is not compared."""
    flipped(folder / "report" / name, 30)
    assert verify(folder).wrong == [f"report/{name} was changed"]
    reseal(folder)
    assert verify(folder).wrong == []


# --- a forger: the manifest fits, the raw data do not -------------------------------------------------------------------


def forged(folder, change, at=7, *, report=False):
    """One record changed, of the launch beside which something else ran unless another line is named; the manifest written anew."""
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    one = json.loads(lines[at])
    change(one)
    lines[at] = json.dumps(one)
    path.write_text("\n".join(lines) + "\n")
    if not report:
        shutil.rmtree(folder / "report")
    reseal(folder)
    return verify(folder).wrong


def last(one):
    """The package's measurement of `steady`."""
    return one["measurements"][-1]


FORGERIES = {
    "gross_j": lambda one: last(one).update(gross_j=last(one)["gross_j"] * 0.9),
    "idle_w": lambda one: last(one).update(idle_w=1.0),
    "net_j": lambda one: last(one).update(net_j=None),
    "edge_j": lambda one: last(one).update(edge_j=0.0),
    "kind": lambda one: last(one).update(kind="sampled"),
    "sensor": lambda one: last(one).update(sensor="wattmeter"),
    "gain": lambda one: last(one).update(gain=0.001),
    "package has no measurement of idle": lambda one: one["measurements"].pop(0),
    "no such domain was sampled": lambda one: one["measurements"].append({**last(one), "domain": "dram"}),
    "the start of steady": lambda one: one["phases"][1].update(start_s=one["phases"][1]["start_s"] + 0.05),
    "the profile quick takes 1.5 s": lambda one: (one["phases"][1].update(end_s=52.5), last(one).update(end_s=52.5)),
    "inferences": lambda one: one.update(inferences=one["inferences"] * 2),
    "throughput_per_s": lambda one: one.update(throughput_per_s=9e9),
    "latency p99_s": lambda one: one["latency"].update(p99_s=1e-6),
    "latency queries": lambda one: one.update(latency=None),
    "quality value": lambda one: one["quality"].update(value=0.99),
    "quality low": lambda one: one["quality"].update(low=0.49),
    "quality samples": lambda one: one["quality"].update(samples=10_000),
    "it has no quality": lambda one: one.update(quality=None),
    "cpu_load": lambda one: one["conditions"].update(cpu_load=0.1),
    "the finding foreign_load": lambda one: one.update(warnings=[]),
    "the finding throttled is stored": lambda one: one["warnings"].append(finding("throttled", device="gpu:0", how="always").model_dump()),
    "its trace is named traces/x.parquet": lambda one: one.update(trace="traces/x.parquet"),
    "it has measurements and no trace": lambda one: one.update(trace=None),
    "it is of the run other": lambda one: one.update(run_id="other"),
    "its environment other is not in run.json": lambda one: one.update(environment_id="other"),
    "its artifact is not the one": lambda one: one["artifact"].update(bytes=1),
    "quoted from the cache": lambda one: (one.update(cached=True), last(one).update(gross_j=1e-3)),
    "its quality is accuracy, lower is better": lambda one: one["quality"].update(direction="lower"),
    "it ran the build other": lambda one: (one["artifact"].update(build_id="other"), one["artifact"]["facts"].update(macs=1)),
    "its quality is f1": lambda one: one["quality"].update(metric="f1"),
    "its artifact is not": lambda one: one["artifact"]["facts"].update(macs=1),
}


@pytest.mark.parametrize("told", FORGERIES)
def test_a_figure_that_does_not_follow_from_the_raw_data_is_named_with_its_row(folder, told):
    """Also where the manifest was written anew to hide it."""
    said = forged(folder, FORGERIES[told])
    assert any(told in s and "int8" in s and "repetition 2" in s for s in said), said
    assert all("repetition 2" in s or "traces/" in s for s in said), said


def test_how_far_off_a_forged_energy_is_and_nothing_of_the_report_that_was_drawn_before(folder):
    """The report is compared with what the traces give, so it is still right."""
    said = forged(folder, FORGERIES["gross_j"], report=True)
    assert len(said) == 1
    assert "gross_j" in said[0]
    assert "-0.1 relative" in said[0]


def test_precision_that_the_kernels_do_not_show_is_named(folder):
    """Of the launch that was profiled."""
    said = forged(folder, lambda one: one.update(precision_ran="float16"), at=3)
    assert any("repetition 0" in s and "precision_ran is stored as 'float16', the raw data give 'int8'" in s for s in said)


def test_an_energy_that_was_taken_out_is_found_where_no_tick_is_needed(folder):
    """A counter between ticks that nobody waited for is computed again, whatever was stored."""
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"quantity": "energy"', '"quantity": "power"').replace('"unit": "J"', '"unit": "W"'))
    said = forged(folder, lambda one: last(one).update(gross_j=None, kind="absent"))
    assert any("gross_j is stored as nothing, the raw data give" in s for s in said)


def test_an_environment_that_is_not_its_id_is_named(folder):
    """A faster processor."""
    path = folder / "run.json"
    path.write_text(path.read_text().replace("AMD EPYC 7763", "AMD EPYC 9965"))
    reseal(folder)
    assert any("run.json, environment of box-1: its id" in s for s in verify(folder).wrong)


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ('"quality_margin": 0.02', '"quality_margin": 0.2', "quality_margin of the suite is stored as 0.2, the raw data give 0.02"),
        ('"domains": null', '"domains": ["dram"]', "domains of the suite"),
        ("margin: 0.02", "margin: 0.2", "sha256 of the suite"),
        ('"format": "workload"', '"format": "onnx"', "sha256 of the suite"),
    ],
)
def test_a_suite_that_is_not_its_source_is_named(folder, was, now, told):
    """A wider margin, other domains, another source, another model: of its fields, and of its hash."""
    path = folder / "run.json"
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    reseal(folder)
    assert any(told in s for s in verify(folder).wrong)


def test_a_source_that_cannot_be_read_is_told(folder):
    """An older harness had another grammar: no forgery, and no comparison."""
    path = folder / "run.json"
    path.write_text(path.read_text().replace("matrices: [", "matrix: ["))
    shutil.rmtree(folder / "report")
    reseal(folder)
    found = verify(folder)
    assert found.wrong == [] and any("the suite was not compared with its source" in s for s in found.told)


@pytest.mark.parametrize("with_its_traces", [True, False])
def test_a_launch_that_was_taken_out_is_missed(folder, with_its_traces):
    """The plan asks for it; and its raw data, where they stayed, are of no record."""
    path = folder / "records.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    if with_its_traces:
        for trace in folder.glob("traces/*int8*-r2-a1*"):
            trace.unlink()
    reseal(folder)
    said = verify(folder).wrong
    assert f"{CELLS[1].case_id}, repetition 2: the plan asks for it, and it has no record" in said
    assert any("is of no record" in s for s in said) is not with_its_traces


def test_a_launch_that_stands_for_another_is_found(folder):
    """The best of three put in the place of the worst, with all its raw data."""
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    lines[7] = lines[3].replace('"repetition":0', '"repetition":2').replace("-r0-a1", "-r2-a1")
    path.write_text("\n".join(lines) + "\n")
    for trace in folder.glob("traces/*int8*-r0-a1*"):
        shutil.copyfile(trace, trace.with_name(trace.name.replace("-r0-", "-r2-")))
    reseal(folder)
    assert any("repetition 2" in s and "it was measured at the same time as" in s for s in verify(folder).wrong)


def changed(path, change):
    """A Parquet file with its columns changed."""
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy(zero_copy_only=False).copy() for name in table.column_names}
    change(columns)
    pq.write_table(pa.table(columns), path)


def halve(columns):
    """What the counter showed, from half of its time on."""
    of_counter = columns["domain"] == COUNTER.name
    columns["value"][of_counter] = np.minimum(columns["value"][of_counter], 18.0)


RAW = {
    ("", "gross_j"): halve,
    ("", "times that are no numbers"): lambda columns: (
        columns["start_s"].__setitem__(3, -np.inf),
        columns["end_s"].__setitem__(3, np.inf),
    ),
    ("", "cpu_load"): lambda columns: columns["value"].__setitem__(columns["domain"] == "cpu_load", 0.5),
    (".completions", "latency p50_s"): lambda columns: columns["start_ns"].__iadd__(500_000),
    (".completions", "inferences"): lambda columns: columns["queries"].__iadd__(1),
    (".quality", "quality value"): lambda columns: columns["value"].__setitem__(1, 1.0),
}


@pytest.mark.parametrize(("kind", "told"), RAW)
def test_raw_data_that_were_changed_do_not_give_the_figures(folder, kind, told):
    """With the row and the figure, though every checksum fits."""
    (path,) = folder.glob(f"traces/*int8*-r2-a1{kind}.parquet")
    changed(path, RAW[kind, told])
    reseal(folder)
    said = verify(folder).wrong
    assert any("int8" in s and "repetition 2" in s and told in s for s in said), said


@pytest.mark.parametrize("kind", ["", ".completions", ".quality", ".outputs"])
@pytest.mark.parametrize("values", [["a"], [None], []])
def test_raw_data_that_hold_something_else_are_a_sentence(folder, kind, values):
    """Words, nothing, or no column at all: never a traceback."""
    (path,) = folder.glob(f"traces/*int8*-r0-a1{kind}.parquet")
    pq.write_table(pa.table({"domain": values, "value": values, "queries": values, "output": values} if values else {"other": [1]}), path)
    reseal(folder)
    assert any("cannot be read" in s for s in verify(folder).wrong)


@pytest.mark.parametrize(("kind", "told"), [("", "cannot be read"), (".completions", "inferences"), (".quality", "quality value")])
@pytest.mark.parametrize("cut", [True, False])
def test_raw_data_that_are_gone_or_cut_are_missed(folder, kind, told, cut):
    """With the row."""
    (path,) = folder.glob(f"traces/*int8*-r2-a1{kind}.parquet")
    path.write_bytes(path.read_bytes()[:-10]) if cut else path.unlink()
    reseal(folder)
    assert any("int8" in s and "repetition 2" in s and ("cannot be read" if cut else told) in s for s in verify(folder).wrong)


def test_answers_that_were_changed_change_the_verdicts_of_the_table(folder):
    """Two samples exchanged: the accuracy is what it was, the comparison with dense on the same samples is not. So with the outputs."""
    path = next(folder.glob("traces/*int8*-r0-a1.quality.parquet"))
    changed(path, lambda columns: columns["value"].__setitem__([0, 1], [0.0, 1.0]))
    reseal(folder)
    assert any(f"report/table.csv, {CELLS[1].case_id}: quality_diff_low" in s for s in verify(folder).wrong)
    next(folder.glob("traces/*int8*-r0-a1.outputs.parquet")).unlink()
    reseal(folder)
    assert any(f"report/table.csv, {CELLS[1].case_id}: agreement" in s for s in verify(folder).wrong)


# --- a forged report ----------------------------------------------------------------------------------------------------


def rewritten(folder, name, was, now):
    path = folder / "report" / name
    text = path.read_text()
    assert was in text
    path.write_text(text.replace(was, now, 1))
    reseal(folder)
    return [s for s in verify(folder).wrong if s.startswith("report/")]


def test_a_cell_of_the_table_that_the_records_do_not_give_is_told(folder):
    """With the row and the column; a number that is none too."""
    energy_j = repr(float(frame.cases([with_answers(read_run(folder))])["energy_j"].iloc[0]))
    assert any("report/table.csv, digits-cnn dense" in s and "energy_j" in s for s in rewritten(folder, "table.csv", energy_j, "1e-9"))
    assert any("energy_j is stored as 'low'" in s for s in rewritten(folder, "table.csv", "1e-9", "low"))


def test_rows_that_are_gone_or_added_are_told(folder):
    """Of the table."""
    said = rewritten(folder, "table.csv", CELLS[1].case_id, "another")
    assert f"report/table.csv lacks the row {CELLS[1].case_id}" in said
    assert "report/table.csv has a row that the run does not give: another" in said


@pytest.mark.parametrize("name", ["table.csv", "table.md", "index.html", "pareto.svg"])
def test_a_report_is_whole(folder, name):
    """What was taken out of it, and what was put into it."""
    (folder / "report" / name).rename(folder / "report" / "better.csv")
    reseal(folder)
    said = verify(folder).wrong
    assert f"report/{name} is not there, and a report is drawn whole" in said
    assert "report/better.csv is no file of a report" in said


# --- artifacts ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def cached(folder, tmp_path):
    """The run with its artifacts in the cache."""
    cache, path = Cache(tmp_path / "cache"), folder / "records.jsonl"
    lines = path.read_text().splitlines()
    for variant in ("dense", "int8"):
        keep(cache, variant, variant.encode(), built(variant).started_utc)
        kept = cache.find(f"build-{variant}")[0]
        lines = [_with_artifact(line, kept) for line in lines]
    path.write_text("\n".join(lines) + "\n")
    draw(folder)
    reseal(folder)
    return cache


def keep(cache, variant, content, started_utc):
    with cache.build_folder() as workshop:
        (workshop / "model").write_bytes(content)
        made = Artifact(
            build_id=f"build-{variant}", format="tflite", path=str(workshop / "model"),
            sha256=hashlib.sha256(content).hexdigest(), bytes=len(content),
        )  # fmt: skip
        cache.keep(workshop, built(variant).model_copy(update={"artifact": made, "started_utc": started_utc}))


def _with_artifact(line, kept):
    one = json.loads(line)
    if one["artifact"]["build_id"] == kept.build_id:
        one["artifact"] = kept.model_dump()
    return json.dumps(one)


def test_artifacts_are_compared_with_those_in_the_cache(folder, cached):
    """Size, hash and counts of each; without a cache that is said."""
    assert verify(folder, cache=cached).wrong == []
    assert not any("artifacts" in s for s in verify(folder, cache=cached).told)
    assert any("2 of 2 artifacts are not in the cache" in s for s in verify(folder).told)


@pytest.mark.parametrize(("name", "value"), [("bytes", 1), ("sha256", "0" * 64), ("facts", {"parameters": 7})])
def test_an_artifact_that_is_not_what_lies_in_the_cache_is_named(folder, cached, name, value):
    """Though build and cases agree on it."""
    path = folder / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for one in lines:
        one["artifact"][name] = value if one["artifact"]["build_id"] == "build-int8" else one["artifact"][name]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    reseal(folder)
    said = verify(folder, cache=cached).wrong
    assert any("build build-int8" in s and f"artifact {name}" in s for s in said)


def test_what_a_build_cost_is_quoted_as_it_was_measured(folder, cached):
    """A build that another run measured has no traces here: its record lies beside its artifact."""
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0].replace('"peak_memory_bytes": 40000000', '"peak_memory_bytes": 1'), *lines[1:]]) + "\n")
    reseal(folder)
    (said,) = verify(folder, cache=cached).wrong
    assert "build build-dense" in said
    assert "peak_memory_bytes, quoted from the build's own record, is stored as 1" in said


def test_an_artifact_that_was_built_anew_since_is_no_reproach(folder, cached):
    """The run is what it was; the cache is told to hold another."""
    keep(cached, "int8", b"another training", "2026-02-01T10:00:00.000+00:00")
    found = verify(folder, cache=cached)
    assert found.wrong == []
    assert any("1 of 2 artifacts are not in the cache, or were built anew since" in s for s in found.told)


def test_the_interval_of_a_quality_is_the_one_that_wilson_gives(folder):
    """The fixture's own."""
    one = read_run(folder).records[-1].quality
    assert (one.value, one.low, one.high) == wilson(180, 360)


def test_a_folder_without_a_run_is_a_sentence(tmp_path):
    """And what is no JSON."""
    (tmp_path / "run.json").write_text("{")
    assert any("cannot be read" in s for s in verify(Path(tmp_path)).wrong)


# --- an imported meter --------------------------------------------------------------------------------------------------


@pytest.fixture(params=[0.05, 0.6], ids=["quick", "slow"])
def metered(request, folder, tmp_path):
    """The run beside which a meter's log was imported; a slow meter has fewer readings in a window than a sensor would need."""
    run = read_run(folder)
    ahead_s = run.records[-1].utc_minus_monotonic_s
    t_s = np.arange(-1.0, 60.0, request.param)
    rows = "".join(f"{ahead_s + t:.3f},{100 + (t % 10 > 1):.1f}\n" for t in t_s)
    (tmp_path / "wall.csv").write_text("timestamp,power_w\n" + rows)
    assert _guarded(["import-meter", str(folder), str(tmp_path / "wall.csv")], debug=True) == 0
    return folder


def test_a_meter_is_entered_drawn_and_computed_again(metered):
    """The report is drawn anew with it, so that the run is still right."""
    found = verify(metered)
    assert found.wrong == []
    assert any("the domain wall was imported from wall.csv" in sentence for sentence in found.told)


def test_the_energy_of_a_meter_that_its_log_does_not_give_is_named(metered):
    """Though its checksum fits."""
    path = metered / "meters" / "wall.json"
    log = json.loads(path.read_text())
    log["readings"][-1]["measurements"][-1]["gross_j"] *= 0.5
    path.write_text(json.dumps(log))
    reseal(metered)
    assert any("repetition 2" in s and "wall steady: gross_j" in s and "-0.5 relative" in s for s in verify(metered).wrong)


def test_a_run_of_an_earlier_version_is_computed_again_as_it_was_measured(tmp_path):
    """Its ticks lie between the middles of two reads, as they did then; its findings were made by other rules and are not compared."""
    shutil.copytree(Path(__file__).parent / "runs" / "schema-2", tmp_path / "run")
    found = verify(tmp_path / "run")
    assert found.wrong == []
    assert found.again["energy"] > 1000
    assert any("older schema" in sentence for sentence in found.told)
