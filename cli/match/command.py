"""`mgeo match`: answers in this process, for one pair or for a file of pairs."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.settings import Settings


def match(
    address1: Annotated[str | None, typer.Argument(help="The first address.", show_default=False)] = None,
    address2: Annotated[str | None, typer.Argument(help="The second address.", show_default=False)] = None,
    input_file: Annotated[Path | None, typer.Option("--input", help="CSV file with the columns address1 and address2.")] = None,
    output_file: Annotated[Path | None, typer.Option("--output", help="CSV file for the same rows with their answers.")] = None,
    encoding: Annotated[str, typer.Option(help="Of both files; gb18030 reads GBK too.")] = "utf-8",
    force: Annotated[bool, typer.Option("--force", help="Replace the output file when it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer to one pair as the HTTP API would.")] = False,
    model: Annotated[str | None, typer.Option(help="`embedded`, `fake`, or a checkpoint's folder.", show_default="embedded")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of log and store.", show_default="var")] = None,
) -> None:
    """Decide whether two addresses are the same place, without a server.

    Every pair leaves a span, metrics, a log line and a row in the store, as it would in the service.

    \b
    Examples:
      mgeo match 北京市海淀区中关村大街27号 海淀区中关村大街27号中关村大厦
      mgeo match --json 杭州市文三路478号 杭州文三路四百七十八号
      mgeo match --input pairs.csv --output answers.csv
      mgeo match --input pairs.csv --output answers.csv --encoding gb18030 --force

    The output keeps every column and adds label, similarity, p_not_match, p_partial_match, p_exact_match and, for
    rows without an answer, error_type. It appears when it is complete. Files of any size are read in bounded memory.

    Exit code 1 when a pair was refused, or when a row of a file failed for a reason that is not its own.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from service.settings import Settings

    pair_given = address1 is not None and address2 is not None
    files_given = input_file is not None and output_file is not None
    if pair_given == files_given or (address1 is None) != (address2 is None) or (input_file is None) != (output_file is None):
        raise typer.BadParameter("give either two addresses, or --input and --output")
    settings = Settings.load(model=model, data_dir=data_dir)
    if address1 is not None and address2 is not None:
        raise typer.Exit(_match_pair(settings, address1, address2, as_json=as_json))
    assert input_file is not None
    assert output_file is not None
    if output_file.exists() and not force:
        raise typer.BadParameter(f"{output_file} is there already; add --force to replace it")
    raise typer.Exit(_match_file(settings, input_file, output_file, encoding))


def _match_pair(settings: Settings, address1: str, address2: str, *, as_json: bool) -> int:
    from cli.event_loop import run
    from cli.match.answer import answer_text
    from cli.match.run import infer_pair
    from service.api.inference import answer_of
    from service.api.problem import problem_of
    from service.errors import InferenceRefused
    from service.telemetry.ids import new_request_id, trace_id_of

    request_id = new_request_id()
    try:
        event = run(infer_pair(settings, request_id, address1, address2))
    except InferenceRefused as refusal:
        if as_json:
            problem = problem_of(refusal, inference=True)
            print(json.dumps(problem.document(request_id=request_id, trace_id=trace_id_of(request_id))))
        else:
            print(f"{refusal.error_type.outcome}: {refusal.detail} (mgeo lookup {request_id})", file=sys.stderr)
        return 1
    print(json.dumps(answer_of(event, event.trace_id)) if as_json else answer_text(event), end="\n" if as_json else "")
    return 0


def _match_file(settings: Settings, input_file: Path, output_file: Path, encoding: str) -> int:
    from cli.event_loop import run
    from cli.match.input import UnusableInput
    from cli.match.output import UnusableOutput
    from cli.match.run import match_file

    try:
        summary = run(match_file(settings, input_file, output_file, encoding, sys.stderr))
    except UnusableInput as error:
        raise typer.BadParameter(str(error)) from error
    except UnusableOutput as error:
        print(f"mgeo: {error}", file=sys.stderr)
        return 1
    print(summary.text(), end="", file=sys.stderr)
    return 1 if summary.failed else 0
