"""``amm500 report``: a run's tearsheet again, from the files of a finished run or from the journal of one that was killed."""

import argparse
import shutil
from pathlib import Path

from amm500_catalog.errors import InputError
from amm500_nautilus.report.buffers import PARTIAL
from amm500_nautilus.report.files import read_summary
from amm500_nautilus.report.tearsheet import write_tearsheet
from amm500_nautilus.report.terminal import print_summary
from amm500_nautilus.runtime.exits import DONE
from amm500_nautilus.runtime.operate.journal_read import WHAT
from amm500_nautilus.runtime.operate.journal_read import find_journal
from amm500_nautilus.runtime.operate.rebuild import read_back
from amm500_nautilus.runtime.operate.rebuild import write_run
from amm500_nautilus.runtime.rundir import RunDirectory


def report_again(args: argparse.Namespace) -> int:
    """Print a run's report and write its tearsheet; what is rebuilt from a journal goes into a folder of its own."""
    path: Path = args.run
    if (path / "summary.json").is_file() and args.number is None:
        if args.out is not None:
            raise InputError(
                "--out is not for a finished run",
                str(path),
                "its tearsheet is in its own folder; leave --out away",
            )
        summary = read_summary(path)
        write_tearsheet(path, summary)
        print_summary(summary, path)
        return DONE
    journal = find_journal(path)
    if journal is None:
        raise InputError("has neither a summary nor a journal", str(path), WHAT)
    partial = path if path.is_dir() else path.with_name(path.name + PARTIAL)
    told = read_back(journal, run=args.number, run_dir=partial if args.number is None else None)
    out = args.out or place_for(partial, journal, int(told.about["id"]))
    directory = RunDirectory(out)
    try:
        summary = write_run(told, directory.path, orders=partial / ("orders.csv" + PARTIAL))
        write_tearsheet(directory.path, summary)
    except InputError:
        # what the journal holds was not enough for a report
        shutil.rmtree(directory.path)
        raise
    if (partial / "config.yaml").is_file():
        (directory.path / "config.yaml").write_bytes((partial / "config.yaml").read_bytes())
    print_summary(summary, directory.finish())
    return DONE


def place_for(path: Path, journal: Path, run: int) -> Path:
    """Return where a rebuilt report goes: beside a run directory under its name, or into the journal's own folder."""
    if path.is_dir() and (path / "config.yaml").is_file():
        return path.with_name(path.name.removesuffix(PARTIAL) + "-rebuilt")
    return journal.parent / f"report-run{run}"
