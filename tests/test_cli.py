"""The command line: a sentence and the documented exit code for every mistake, clean data on stdout."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from rich.cells import cell_len
from rich.table import Table

from harness.cli.app import app
from harness.cli.console import print_line, print_table
from tests import factories, tiny

HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]


def is_a_sentence(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """No traceback, nothing on stdout, the words, the code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_an_answer_goes_on_below_where_its_text_begins(monkeypatch, capsys):
    """On a terminal no word is torn, a mark begins each line, and control characters are gone; a pipe gets the line whole."""
    line = "choice     dense \x1b[31m is better than " + "others " * 10
    print_line(line)
    assert capsys.readouterr().out == line.replace("\x1b", " ") + "\n"
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_line(line, prefix="[X] ")
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("[X] choice     dense") and len(others) > 2
    assert all(len(each) <= 40 and each.startswith("[X]" + " " * 12) and each[15] != " " for each in others)
    for line in ("/a/path/" + "that/is/longer/" * 5, "  case   " + "a/long/name/" * 5):
        print_line(line)
        assert capsys.readouterr().out == f"{line}\n"
    print_line("note   [bold]1,2[/] :smile: " + "模型" * 3 + " 模型" * 30)  # no markup, no emoji; two columns a character
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("note   [bold]1,2[/] :smile: ") and len(others) > 2
    assert all(cell_len(each) <= 40 and each.startswith(" " * 7 + "模") for each in others)
    for line in ("", "  ", "label  ", "word", " " * 60):
        print_line(line, prefix="[X] ")
        assert capsys.readouterr().out.rstrip() == f"[X] {line}".rstrip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "none.yaml"], ["no suite none.yaml"]),
        (["run"], ["no suite given"]),
        (["run", "suite.yaml", "--profile", "quik"], ["did you mean 'quick'"]),
        (["run", "suite.yaml", "--window", "0"], ["--window 0 is out of range"]),
        (["run", "suite.yaml", "--window", "nan"], ["--window nan is out of range"]),
        (["run", "suite.yaml", "--device", "gpuu"], ["did you mean 'gpu'"]),
        (["run", "suite.yaml", "--results", "suite.yaml/x"], ["cannot be written", "--results"]),
        (["run", "suite.yaml", "--country", "Atlantis"], ["ATLANTIS", "ISO 3166"]),
        (["run", "--resume", "none"], ["no run 'none'"]),
        (["plan", "bad.yaml"], ["bad.yaml:3", "variannts"]),
        (["plan"], ["SUITE"]),
        (["report", "none"], ["no run 'none'"]),
        (["export", "none"], ["no run 'none'"]),
        (["exprt"], ["exprt"]),
        (["plan", "--nope"], ["--nope"]),
    ],
)
def test_a_mistake_is_a_sentence(harness, tmp_path, arguments, words):
    """Exit code 2, what is wrong, and what was meant."""
    tiny.write(tmp_path)
    (tmp_path / "bad.yaml").write_text("name: x\nmodels: [digits-cnn]\nvariannts: []\nmatrices: [{engines: [litert]}]\n")
    is_a_sentence(harness(*arguments), 2, *words)


def test_a_suite_that_can_be_read_once_is_not_run(harness, tmp_path):
    """The run would not keep its text."""
    os.mkfifo(tmp_path / "piped.yaml")
    is_a_sentence(harness("run", "piped.yaml"), 2, "is a pipe", "save the suite")


def test_an_interruption_while_nothing_is_measured_is_told(harness, monkeypatch):
    """Exit code 130, and no traceback."""

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.plugins.catalogue", stop)
    done = harness("schema")
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted: stored data are intact")


def test_a_reader_that_has_had_enough_is_no_error_and_no_pass(environment):
    """`harness schema | head -1` says nothing, and exits as SIGPIPE would end it: a check that was cut short has not passed."""
    with subprocess.Popen([*HARNESS, "schema"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_table_into_a_pipe_that_was_closed_is_no_pass_either(monkeypatch):
    """`print_table` raises BrokenPipeError, which the command turns into SIGPIPE's exit code; Rich by itself would exit with 1."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError), os.fdopen(writer, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        print_table(lambda width: Table(title="x" * width))
        stdout.flush()


def test_a_table_is_as_wide_as_its_reader(monkeypatch, capsys):
    """140 columns in a pipe, those of the terminal otherwise."""
    widths = []
    monkeypatch.setenv("COLUMNS", "40")
    for terminal in (False, True):
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal)
        print_table(lambda width: widths.append(width) or Table("heading"))
        assert "heading" in capsys.readouterr().out
    assert widths == [140, 40]


def test_streams_that_are_closed_or_lack_a_letter_end_nothing(monkeypatch):
    """What was measured for hours is still told, as far as it can be."""
    from harness.cli.entry import prepare_streams

    written = io.BytesIO()
    monkeypatch.setattr("sys.stderr", None)
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_streams()
    print("20 µJ", flush=True)
    print("lost", file=sys.stderr)
    sys.stderr.close()
    assert written.getvalue() == b"20 \\xb5J\n"


def test_plan_lists_cases_builds_and_minutes(harness, tmp_path):
    """Before anything is built."""
    done = harness("plan", tiny.write(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "product/dense/onnxruntime/cpu/b4/t1/single_stream" in done.stdout
    assert all(f"{profile}: about" in done.stdout for profile in ("quick", "standard", "publish"))


def test_schema_is_json(harness):
    """For editors."""
    assert json.loads(harness("schema").stdout)["properties"]["matrices"]


def test_doctor_has_an_answer_on_any_machine(harness):
    """As text and as JSON."""
    assert harness("doctor").stdout
    assert json.loads(harness("doctor", "--json").stdout)["findings"]


def test_export_and_report_of_a_stored_run(harness, tmp_path):
    """Clean data on stdout, files in the run's folder; an unknown table or format names what there is."""
    from harness.store import Store

    run = factories.digits()
    store = Store.create(tmp_path / "results", run.header)
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in run.records))
    done = harness("export", run.header.run_id, "--format", "csv")
    assert done.stdout.startswith("schema_version,run_id,case_id")
    is_a_sentence(harness("export", run.header.run_id, "--format", "xls"), 2, "csv")
    is_a_sentence(harness("export", run.header.run_id, "--table", "case"), 2, "did you mean 'cases'")
    is_a_sentence(harness("export", run.header.run_id, "--columns", "variant,enrgy_j"), 2, "did you mean 'energy_j'")
    is_a_sentence(harness("export", run.header.run_id, "--units", "mj"), 2, "did you mean 'mJ'")
    assert harness("export", run.header.run_id, "--format", "parquet", "--output", tmp_path / "x.parquet").stdout == ""
    assert (tmp_path / "x.parquet").read_bytes().startswith(b"PAR1")
    assert harness("report", store.folder).returncode == 0
    assert {p.name for p in (store.folder / "report").iterdir()} == {"table.md", "table.csv", "pareto.png", "pareto.svg", "index.html"}


OLD = Path(__file__).parent / "runs" / "schema-1"
ASKED = [
    ("report", ()), ("export", ("--table", "builds")), ("history", ("dense",)), ("select", ("--min-quality", "0.5")),
    ("gate", ("--against", "old")), ("compare", ("old", "--anyway")), ("verify", ()),
]  # fmt: skip


@pytest.mark.parametrize(("command", "more"), ASKED, ids=[command for command, _ in ASKED])
def test_a_run_of_the_first_version_has_an_answer_from_every_command(harness, tmp_path, command, more):
    """Never a traceback, whatever its records lack."""
    shutil.copytree(OLD, tmp_path / "old")
    first, rest = (("dense",), ("old",)) if command == "history" else (("old",), more)
    done = harness(command, *first, *rest)
    assert done.returncode in (0, 1), done.stderr
    assert "bug of the harness" not in done.stderr
    assert done.stdout


def test_the_cache_is_shown_trimmed_and_cleared(harness, environment):
    """What is kept, how large it may be; clearing asks, or wants to be told."""
    from pathlib import Path

    from harness.artifacts import Cache
    from tests.test_artifacts import keep

    folder = Path(environment["HARNESS_CACHE"])
    cache = Cache(folder)
    for name in "ab":
        keep(cache, name, b"x" * 2000)
    shown = harness("cache").stdout
    assert str(folder) in shown and "2 artifacts" in shown and "of at most 21.5 GB" in shown
    assert "400 J, modelled" in shown
    is_a_sentence(harness("cache", "--clear"), 2, "needs a confirmation", "--yes")
    with cache.use(["a"]):
        done = harness("cache", "--clear", "--yes")
    assert done.returncode == 0 and "freed" in done.stdout and "1 artifacts" in done.stdout and "1 in use" in done.stdout
    assert cache.find("a") and not cache.find("b")
    environment["HARNESS_CACHE_LIMIT_BYTES"] = "1"
    assert "0 artifacts" in harness("cache", "--trim").stdout
    environment["HARNESS_CACHE_LIMIT_BYTES"] = "much"
    is_a_sentence(harness("cache"), 2, "HARNESS_CACHE_LIMIT_BYTES")


def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path, environment, harness):
    """Exit 130, no orphan, and the rest is done by --resume; then the run is complete, and right."""
    suite = tiny.write(tmp_path, tiny.SUITE.replace("[1, 4]", "[1]"))
    process = subprocess.Popen(
        [*HARNESS, "run", str(suite), "--window", "0.2"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    records = None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (records and records.read_bytes().count(b"\n") >= 1):
        records = next(iter(Path(environment["HARNESS_RESULTS"]).glob("*/records.jsonl")), None)
        time.sleep(0.05)
    time.sleep(1.0)
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"--resume {records.parent}".encode() in err
    assert b"Traceback" not in err
    assert err.count(b"interrupted: ") == 1
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    before = records.read_bytes()
    done = subprocess.run([*HARNESS, "run", "--resume", str(records.parent)], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "product" in done.stdout or "dense" in done.stdout
    assert "modelled" in done.stdout
    assert records.read_bytes().startswith(before)
    good = [json.loads(line) for line in records.read_text().splitlines()]
    keys = [(r["case_id"], r["repetition"]) for r in good if r["status"] == "ok" and r["case_id"]]
    assert sorted(keys) == sorted(set(keys))
    assert len(keys) == 3
    assert not (records.parent / "fronts.json").exists()
    done = harness("verify", records.parent)
    assert done.returncode == 0, done.stdout
    assert "all as it was written and measured" in done.stdout.splitlines()[-1]


def test_what_a_simulator_measured_is_not_published_by_mistake(harness, tmp_path):
    """Markdown and LaTeX refuse it unless told; raw data carry the kind."""
    from harness.store import Store

    run = factories.digits()
    store = Store.create(tmp_path / "results", run.header)
    records = [
        r.model_copy(update={"measurements": tuple(m.model_copy(update={"kind": "simulated"}) for m in r.measurements)})
        for r in run.records
    ]
    (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in records))
    for format_ in ("md", "tex", "html"):
        is_a_sentence(harness("export", store.folder, "--format", format_), 2, "simulator", "--allow-simulated")
    is_a_sentence(harness("export", store.folder, "--format", "csv", "--columns", "case_id,energy_j"), 2, "energy_kind")
    is_a_sentence(harness("history", "dense", store.folder), 2, "contain 'dense'")
    is_a_sentence(harness("history", run.records[0].case_id, store.folder), 2, "simulator")
    assert "simulated" in harness("export", store.folder, "--allow-simulated").stdout
    assert "simulated" in harness("export", store.folder, "--format", "csv").stdout


def test_the_history_of_a_case_over_runs(harness, tmp_path):
    """A row a run in the order of time, with what changed; without names every run of the folder; a run without the case is told."""
    from harness.store import Store

    run = factories.digits()
    for number, version in enumerate(("1.22.0", "1.23.0")):
        box = run.header.environments[0].model_copy(update={"versions": {"onnxruntime": version}})
        changes = {"run_id": f"run-{number}", "started_utc": f"2026-01-0{2 - number}T10:00:00+00:00", "environments": (box,)}
        store = Store.create(tmp_path / "results", run.header.model_copy(update=changes))
        (store.folder / "records.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in run.records))
    rows = [line for line in harness("history", run.records[0].case_id).stdout.splitlines() if line.startswith("|")]
    assert "energy_uJ" in rows[0]
    assert ["run-1" in rows[2], "run-0" in rows[3]] == [True, True]
    assert "onnxruntime 1.23.0 -&gt; 1.22.0" in rows[3] and "onnxruntime" not in rows[2]
    lost = Store.create(tmp_path / "results", run.header.model_copy(update={"run_id": "empty"}))
    done = harness("history", run.records[0].case_id, "run-0", lost.folder)
    assert done.returncode == 0 and "is not in empty" in done.stderr
    is_a_sentence(harness("history", "dens/litert", "run-0"), 2, "no case")


def test_a_run_may_require_a_measurement(harness, tmp_path):
    """Exit 3 after everything is stored, where every joule is a model's or a simulator's."""
    done = harness(
        "run",
        "--window",
        "0.1",
        tiny.write(tmp_path, tiny.SUITE.replace("[onnxruntime]", '["null"]').replace("[1, 4]", "[1]")),
        "--require-measured",
    )
    assert done.returncode == 3
    assert "not measured by a sensor" in done.stderr
    assert "report:" in done.stdout


def test_the_help_shows_each_line_whole(harness, monkeypatch):
    """In 80 columns, the description of a command under 60 characters, and no option or description in the words that the glossary bans."""
    monkeypatch.setenv("COLUMNS", "80")
    done = harness("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) > 20 and max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")]
    commands = typer.main.get_command(app).commands
    assert not [name for name, command in commands.items() if len((command.help or "").split("\n")[0]) >= 60]
    texts = [
        text for command in commands.values() for text in (command.help, command.epilog, *(getattr(p, "help", "") for p in command.params))
    ]
    banned = re.compile(r"\b(told|tells?|said|says?|anew|mends?|flips?|forbids?|redraws)\b")
    assert not [text for text in texts if text and banned.search(text)]
