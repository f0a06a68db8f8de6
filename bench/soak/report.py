"""Keeps the last verdict of each row, and writes the table into docs/reliability.md."""

import dataclasses
import json
import os
import platform
import time

import cases
import programs
import world

BEGIN, END = "<!-- rows -->", "<!-- /rows -->"
KEPT = world.WORK / "soak.json"


def keep(verdict, options):
    """Keeps a verdict in place of the one that an earlier run had for the row."""
    verdicts = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    run = f"commit {commit()} on {time.strftime('%Y-%m-%d')} with seed {options.seed}"
    # A smaller run promises less.
    figures = f"(--small) {verdict.figures}" if options.small else verdict.figures
    verdicts[f"{verdict.row} {verdict.store}"] = {**dataclasses.asdict(verdict), "figures": figures, "run": run}
    KEPT.write_text(json.dumps(verdicts, indent=1))


def commit():
    described = world.run("git", "describe", "--always", "--dirty", cwd=world.ROOT).strip()
    # Programs that were built elsewhere may be of another commit.
    return described if programs.PROGRAMS == world.TALLY else f"{described} (programs of {programs.PROGRAMS})"


def machine():
    cpu = next(line for line in open("/proc/cpuinfo") if line.startswith("model name")).partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    postgres = world.run(world.binaries() / "postgres", "--version").split()[2]
    return (f"{os.cpu_count()} cores of an {cpu}, {memory:.0f} GiB, Linux {platform.release()}; PostgreSQL {postgres}, "
            f"Python {platform.python_version()}")


def table(verdicts):
    words = {True: "held", False: "**not held**", None: "not run"}
    rows = [[one["row"], one["what"], one["store"], words[one["held"]], one["figures"].replace("|", "\\|").replace("\n", " ")]
            for one in verdicts]
    head = ["row", "fault", "database", "", "figures"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def write():
    """Replaces what is between the markers, and keeps the text around them."""
    page = world.ROOT / "docs/reliability.md"
    text, verdicts = page.read_text(), json.loads(KEPT.read_text())
    ordered = [verdicts[f"{row.name} {store}"] for row in cases.ROWS.values() for store in row.stores
               if f"{row.name} {store}" in verdicts]
    missing = [f"{row.name} on {store}" for row in cases.ROWS.values() for store in row.stores
               if f"{row.name} {store}" not in verdicts]
    held, failed = (sum(one["held"] is answer for one in ordered) for answer in (True, False))
    parts = [f"On {machine()}.", "Runs: " + "; ".join(sorted({one["run"] for one in ordered})) + ".",
             f"{held} held, {failed} not held, {len(ordered) - held - failed} not run."
             + (f" Missing: {', '.join(missing)}." if missing else ""), table(ordered)]
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(before + BEGIN + "\n" + "\n\n".join(parts) + "\n" + END + after)
