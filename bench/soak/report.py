"""Writes the table of a run into docs/reliability.md."""

import os
import platform
import time

import world

BEGIN, END = "<!-- rows -->", "<!-- /rows -->"


def machine():
    cpu = next(line for line in open("/proc/cpuinfo") if line.startswith("model name")).partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    postgres = world.run(world.binaries() / "postgres", "--version").split()[2]
    return (f"{os.cpu_count()} cores of an {cpu}, {memory:.0f} GiB, Linux {platform.release()}; PostgreSQL {postgres}, "
            f"Python {platform.python_version()}")


def table(verdicts):
    words = {True: "held", False: "**not held**", None: "not run"}
    rows = [[one.row, one.what, one.store, words[one.held], one.figures.replace("|", "\\|")] for one in verdicts]
    head = ["row", "fault", "database", "", "figures"]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def write(verdicts, options):
    """Replaces what is between the markers and keeps the text around them."""
    page = world.ROOT / "docs/reliability.md"
    text = page.read_text()
    commit = world.run("git", "describe", "--always", "--dirty", cwd=world.ROOT).strip()
    held, failed = (sum(one.held is answer for one in verdicts) for answer in (True, False))
    origin = (f"Run on {time.strftime('%Y-%m-%d')} at commit {commit} with seed {options.seed} and {options.kills} kills, on "
              f"{machine()}. {held} rows held, {failed} not held, {len(verdicts) - held - failed} not run.")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{origin}\n\n{table(verdicts)}\n{END}{after}")
