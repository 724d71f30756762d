"""`mgeo match`, in this process and with a real pipeline."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
from functools import partial

import pytest

from cli.event_loop import run
from cli.main import main
from cli.match.run import match_file
from service.errors import ErrorType, ModelPoisoned, StartupError
from service.model.fake import FakeModel
from service.runtime import open_runtime
from service.settings import Settings

MODEL = ["--model", "fake"]


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "var"


def logged(data_dir):
    lines = [json.loads(line) for line in (data_dir / "logs" / "inference.log").read_text().splitlines()]
    return [line for line in lines if line["event"] == "mgeo.inference"]


def stored(data_dir):
    with sqlite3.connect(data_dir / "telemetry.db") as connection:
        count = connection.execute("SELECT count(*) FROM inference").fetchone()[0]
    connection.close()
    return count


def test_one_pair_is_answered_on_the_terminal(capsys, data_dir):
    """The label, the probabilities as bars, the model, and how to look it up; it leaves a log line and a row."""
    assert main(["match", "甲路1号", "甲路1号", *MODEL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "exact_match   similarity 0.970",
        "  not_match      0.010  ▎",
        "  partial_match  0.040  █▎",
        "  exact_match    0.950  ████████████████████████████▌",
    ]
    (line,) = logged(data_dir)
    assert lines[4].endswith(f"model fake 1; mgeo lookup {line['request_id']}")
    assert (line["status"], line["label"], line["function"]) == ("success", "exact_match", "match")
    assert stored(data_dir) == 1


def test_a_cut_address_is_said(capsys):
    """As `truncated` says it in the API."""
    assert main(["match", "甲" * 101, "乙", *MODEL]) == 0
    assert "an address was cut before the model saw it" in capsys.readouterr().out


def test_one_pair_as_json_is_what_the_api_answers(capsys):
    """The same members."""
    assert main(["match", "甲", "乙", *MODEL, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        "request_id", "trace_id", "label", "probabilities", "similarity", "model", "truncated", "latency_ms", "timings_ms",
    }  # fmt: skip
    assert (answer["label"], answer["model"]) == ("not_match", {"name": "fake", "version": "1"})


def test_a_refused_pair_is_exit_code_1_with_the_reason(capsys, data_dir):
    """It is an inference too."""
    assert main(["match", "甲", " ", *MODEL]) == 1
    captured = capsys.readouterr()
    (line,) = logged(data_dir)
    assert captured.out == ""
    assert captured.err == f"invalid: address2 has no visible character (mgeo lookup {line['request_id']})\n"


def test_a_refused_pair_as_json_is_a_problem_document(capsys):
    """As the API would answer."""
    assert main(["match", "甲", "", *MODEL, "--json"]) == 1
    problem = json.loads(capsys.readouterr().out)
    assert (problem["error_type"], problem["status"], problem["field"]) == ("empty_address", 422, "address2")


def test_a_file_is_answered_row_by_row(tmp_path, capsys, data_dir):
    """All columns are kept and in order; every row left its log line and its row in the store; invalid rows are no failure."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id,address1,address2\n1,甲,甲\n2,甲1,甲2\n3,,乙\n4,丙\n5,丙,丁\n", encoding="utf-8")
    assert main(["match", "--input", str(source), "--output", str(target), *MODEL]) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert [(row["id"], row["label"], row["error_type"]) for row in rows] == [
        ("1", "exact_match", ""),
        ("2", "partial_match", ""),
        ("3", "", "empty_address"),
        ("4", "", "missing_field"),
        ("5", "not_match", ""),
    ]
    assert (rows[0]["similarity"], rows[0]["p_exact_match"]) == ("0.970000", "0.950000")
    assert captured.out == ""
    assert captured.err.startswith("5 rows in ")
    assert "end at lines 5\n" in captured.err
    lines = logged(data_dir)
    run = lines[0]["request_id"].partition(":")[0]
    assert {line["request_id"] for line in lines} == {f"{run}:{index}" for index in range(5)}
    assert f"mgeo lookup {run}:ROW" in captured.err
    assert stored(data_dir) == 5


def test_many_rows_keep_their_order_and_lose_no_event(tmp_path, data_dir):
    """As many answers, log lines and rows in the store as there were pairs."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    with source.open("w", encoding="utf-8") as file:
        file.write("address1,address2\n")
        file.writelines(f"北京市{number}号,北京市{number}号\n" for number in range(1_000))
    assert main(["match", "--input", str(source), "--output", str(target), *MODEL]) == 0
    rows = target.read_text(encoding="utf-8").splitlines()
    assert len(rows) == 1_001
    assert all(row.startswith(f"北京市{number}号,") for number, row in enumerate(rows[1:]))
    assert len(logged(data_dir)) == stored(data_dir) == 1_000


def test_an_output_that_is_there_is_not_replaced_unasked(tmp_path, capsys):
    """Only with --force."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("address1,address2\na,b\n")
    target.write_text("precious")
    arguments = ["match", "--input", str(source), "--output", str(target), *MODEL]
    assert main(arguments) == 2
    assert "add --force to replace it" in " ".join(capsys.readouterr().err.split())
    assert target.read_text() == "precious"
    assert main([*arguments, "--force"]) == 0
    assert target.read_text().startswith("address1,")


@pytest.mark.parametrize(
    "arguments",
    [[], ["a"], ["a", "b", "--input", "x", "--output", "y"], ["--input", "x"], ["--output", "y"], ["a", "--input", "x", "--output", "y"]],
)
def test_either_two_addresses_or_two_files(arguments, capsys):
    """Anything else is a wrong usage."""
    assert main(["match", *arguments]) == 2
    assert "either two addresses, or --input and --output" in " ".join(capsys.readouterr().err.split())


def test_an_input_that_is_no_file_of_pairs_is_a_wrong_usage(tmp_path, capsys):
    """Exit code 2, and no output appears."""
    (tmp_path / "in.csv").write_text("a,b\n")
    assert main(["match", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv"), *MODEL]) == 2
    assert "must have the columns" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out.csv").exists()


def test_an_output_that_cannot_be_written_is_exit_code_1(tmp_path, capsys):
    """With the reason."""
    (tmp_path / "in.csv").write_text("address1,address2\na,b\n")
    assert main(["match", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "no" / "out.csv"), *MODEL]) == 1
    assert "out.csv cannot be written (No such file or directory)" in capsys.readouterr().err


def test_a_row_that_fails_through_no_fault_of_its_own_is_exit_code_1(tmp_path, capsys, monkeypatch):
    """Its reason stands in its row."""
    monkeypatch.setenv("MGEO_DEADLINE", "1e-9")
    (tmp_path / "in.csv").write_text("address1,address2\na,b\n")
    assert main(["match", "--input", str(tmp_path / "in.csv"), "--output", str(tmp_path / "out.csv"), *MODEL]) == 1
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "a,b,,,,,,deadline_exceeded"
    assert "  1 deadline_exceeded: no answer within the deadline" in capsys.readouterr().err


def matching(tmp_path, model):
    """The work of `mgeo match` on a hundred thousand rows, with a model of the test's own."""
    (tmp_path / "in.csv").write_text("address1,address2\n" + "a,b\n" * 100_000)
    return match_file(
        Settings.load(),
        tmp_path / "in.csv",
        tmp_path / "out.csv",
        "utf-8",
        io.StringIO(),
        open_runtime=partial(open_runtime, model=model),
    )


def test_ctrl_c_leaves_no_output_and_closes_every_event(tmp_path, data_dir):
    """Rows that were in work are cancelled, none is left open."""
    signals = iter([signal.SIGINT])

    def interrupt_once():
        for number in signals:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        run(matching(tmp_path, FakeModel(wait=interrupt_once)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "var"]
    assert len(logged(data_dir)) == stored(data_dir) > 0
    assert "cancelled" in {line["status"] for line in logged(data_dir)}


def test_a_model_that_is_beyond_repair_ends_the_file(tmp_path):
    """With its reason and exit code, and without an output."""
    with pytest.raises(StartupError, match=r"out\.csv was left as it was") as raised:
        run(matching(tmp_path, FakeModel(error=ModelPoisoned(ErrorType.DEVICE_FAILED))))
    assert raised.value.exit_code not in {0, 1, 2, 78, 130}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "var"]


def test_a_model_that_does_not_warm_up_is_said_before_any_row(tmp_path):
    """As the service would not start with it."""
    with pytest.raises(StartupError):
        run(matching(tmp_path, FakeModel(warmup_error=ModelPoisoned(ErrorType.DEVICE_FAILED))))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "var"]
