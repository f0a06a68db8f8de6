"""Tests the rows of the fault matrix (docs/reliability.md), prints one line a row, and writes the table of a whole run.

Every random choice follows from the seed, which is printed; when faults strike depends on the machine as well."""

import argparse
import contextlib
import pathlib
import random
import shutil
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))

import world  # noqa: E402

import cases  # noqa: E402
import databases  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402

GROUPS = ["kills", "kills_models", "kills_insight", "ingest", "faults", "disk", "memory", "hostile", "overload", "rolling"]


def arguments():
    names = "\n".join(f"  {row.name:12} {row.what}" for row in cases.ROWS.values())
    parser = argparse.ArgumentParser(prog="./soak", description=__doc__, epilog=f"rows:\n{names}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="the seed of all random choices [default: a new one]")
    parser.add_argument("--kills", type=int, default=50, help="kills in each row of kills (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=1, help="length of the rows of load (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="a tenth of the kills, data and time")
    parser.add_argument("--store", choices=["sqlite", "postgres"], help="only this database")
    parser.add_argument("--no-build", action="store_true", help="use the programs as last built")
    parser.add_argument("--report", action="store_true", help="only write docs/reliability.md from the last verdict of each row")
    parser.add_argument("row", nargs="*", help="the rows to test; a prefix of a name is enough [default: all]")
    options = parser.parse_args()
    if options.small:
        options.kills, options.minutes = max(3, options.kills // 10), options.minutes / 10
    return options


def chosen(options):
    rows = [row for row in cases.ROWS.values() if not options.row or row.name.startswith(tuple(options.row))]
    if not rows:
        raise SystemExit(f"no row begins with {' or '.join(options.row)}; ./soak --help lists them")
    return rows


def main():
    # Exit normally on SIGTERM, so that the servers started here are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    for group in GROUPS:
        __import__(group)
    options = arguments()
    rows = chosen(options)
    if options.report:
        return report.write()
    options.seed = options.seed if options.seed is not None else random.randrange(1, 1_000_000)
    work = world.WORK / "soak"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    programs.generate_stubs(work / "stubs")
    print(f"seed {options.seed}; programs of {programs.PROGRAMS}; logs and ledgers in {work}", flush=True)
    verdicts = test(rows, work, options)
    held, failed = (sum(verdict.held is answer for verdict in verdicts) for answer in (True, False))
    print(f"seed {options.seed}: {held} held, {failed} not held, {len(verdicts) - held - failed} not run")
    if not (options.row or options.small or options.store):
        report.write()
    sys.exit(1 if failed else 0)


def test(rows, work, options):
    verdicts = []
    with contextlib.ExitStack() as stack:
        stores = {}
        if options.store != "postgres":
            stores["SQLite"] = databases.Sqlite(work)
        if options.store != "sqlite" and any("PostgreSQL" in row.stores for row in rows):
            stores["PostgreSQL"] = stack.enter_context(databases.postgres(work))
        for row in rows:
            for name in row.stores:
                if name not in stores:
                    continue
                folder = work / f"{row.name}-{name}"
                folder.mkdir()
                world.say(f"{row.name} {name}")
                verdict = cases.run(row, stores[name], folder, options)
                verdicts.append(verdict)
                report.keep(verdict, options)
                print(f"{verdict} ({verdict.seconds:.0f} s)", flush=True)
    return verdicts


if __name__ == "__main__":
    main()
