"""Print every table of `docs/trust.md`, or write them into it.

    OMP_NUM_THREADS=1 python benchmarks/trust/run_all.py [--write docs/trust.md] [--only noise] [--jobs 2] [--quick]

`--write` replaces what stands between the markers of each section and leaves the text around them alone. The same
tables come out every time. Ends with status 1 if a planted leak went unnoticed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import interval_coverage
import planted_leaks
import pure_noise
from tables import Table

SECTIONS = ("leaks", "noise", "coverage")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute the sections asked for; 1 if a leak went unnoticed."""
    parser = interval_coverage.options(__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="page with markers to put the tables between")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections to compute")
    given = parser.parse_args(arguments)
    unnoticed = False
    for section in given.only:
        if section == "leaks":
            rows = planted_leaks.rows()
            unnoticed = not all(row.dealt_with for row in rows)
            tables = [leaks_table(rows)]
        elif section == "noise":
            tables = pure_noise.tables(given.quick, given.jobs)
        else:
            tables = interval_coverage.tables(interval_coverage.effort_of(given.quick, given.jobs))
        text = "\n\n".join(table.markdown() for table in tables)
        print(text, end="\n\n", flush=True)
        if given.write is not None:
            given.write.write_text(replaced(given.write.read_text(encoding="utf-8"), section, text), encoding="utf-8")
    return int(unnoticed)


def leaks_table(rows: Sequence[planted_leaks.Row]) -> Table:
    """Return the planted leaks as a table."""
    cells = [(row.leak, row.answer, row.evidence) for row in rows]
    note = f"{sum(row.dealt_with for row in rows)} of {len(rows)} dealt with; simulated patients throughout."
    return Table("Planted leaks", ("leak", "caught by / harmless", "evidence"), cells, note)


def replaced(page: str, section: str, text: str) -> str:
    """Return the page with the text between the section's markers replaced.

    Raises:
        SystemExit: the page lacks a marker.
    """
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    if begin not in page or end not in page:
        raise SystemExit(f"the page lacks '{begin}' or '{end}'; put both on lines of their own where the tables belong")
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}"


if __name__ == "__main__":
    sys.exit(main())
