"""`longcat contract coverage`: how much of a contract was seen in recorded traffic. Needs the extra `contract`."""

import argparse
from datetime import UTC, datetime, timedelta

from longcat.cli.contract.commands import RECORDINGS, is_terminal, opened, paths_of, print_sentences
from longcat.cli.contract.spec_file import find_spec, with_servers
from longcat.cli.exit_codes import Exit
from longcat.contract.coverage import FORMATS, CoverageContext
from longcat.contract.coverage.collect import Coverage
from longcat.contract.coverage.results import CoverageResult
from longcat.contract.reports.verdict import Tally
from longcat.contract.run import concerned, recorded


def coverage(arguments: argparse.Namespace) -> Exit:
    """Count what of the contract was seen, and write the report."""
    spec_file = with_servers(find_spec(arguments), arguments.server)
    paths = paths_of(arguments.paths or [RECORDINGS])
    seen, tally, started = Coverage(spec_file.spec), Tally(), datetime.now(UTC)
    for observed in concerned(recorded(spec_file.spec, paths), tally):
        for gap in seen.note(observed):
            tally.note(gap)
    days = arguments.stale_after
    context = CoverageContext(
        result=CoverageResult(seen, started - timedelta(days=days) if days is not None else None),
        spec_name=spec_file.name,
        subject=", ".join(map(str, paths)),
        tally=tally,
        started=started,
        fail_under=arguments.fail_under,
        stale_after=days,
        terminal=is_terminal(arguments.output),
    )
    with opened(arguments.output) as write:
        for piece in FORMATS[arguments.format](context):
            write(piece)
    if arguments.format == "json" or arguments.output is not None:
        print_sentences(context.sentences())
    return Exit(context.verdict)
