"""Measures, keeps the figures and prints the table. Without a section, all are run and the figures also go
into docs/performance.md."""

import argparse
import dataclasses
import json
import os
import platform
import signal
import sys
import time

import world
from measure import Line, table
from sections import SECTIONS, Scale


def main():
    # Exit normally on SIGTERM, so that the servers started here are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    names = "\n".join(f"  {name:16} {what}" for name, (_, what) in SECTIONS.items())
    arguments = argparse.ArgumentParser(
        prog="bench/run", description=__doc__, epilog=f"sections:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--small", action="store_true", help="a tenth of the data, shorter runs")
    arguments.add_argument("--no-build", action="store_true", help="use the programs as last built")
    arguments.add_argument("--report", action="store_true", help="write docs/performance.md from the kept figures")
    arguments.add_argument("section", nargs="*", help="what to measure; a prefix of a name is enough")
    arguments = arguments.parse_args()
    chosen = [name for name in SECTIONS if not arguments.section or name.startswith(tuple(arguments.section))]
    if not chosen:
        raise SystemExit(f"no section starts with {' or '.join(arguments.section)}; the sections are\n{names}")
    kept = world.WORK / ("figures-small.json" if arguments.small else "figures.json")
    figures = json.loads(kept.read_text()) if kept.exists() else {}
    if not arguments.report:
        scale = Scale(arguments.small)
        for name in chosen:
            world.say(name)
            lines = []
            for line in SECTIONS[name][0](scale):
                world.say(f"{line.what}: {line.ours}, {line.peer}, {line.ratio} {line.goal} {line.met}")
                lines.append(dataclasses.asdict(line))
            figures[name] = {"commit": commit(), "when": time.strftime("%Y-%m-%d"), "lines": lines}
            kept.write_text(json.dumps(figures, indent=1))
        print("\n" + table([Line(**line) for name in chosen for line in figures[name]["lines"]]))
    if arguments.report or not (arguments.section or arguments.small):
        write(figures, arguments.small)


def commit():
    return world.run("git", "describe", "--always", "--dirty", cwd=world.ROOT).strip()


def machine():
    cpu = next(line for line in open("/proc/cpuinfo") if line.startswith("model name")).partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    postgres = world.run(world.binaries() / "postgres", "--version").split()[2]
    return (f"{os.cpu_count()} cores of an {cpu}, {memory:.0f} GiB, Linux {platform.release()}; PostgreSQL {postgres}, "
            f"{world.run('rustc', '--version').strip().partition(' (')[0]}, Python {platform.python_version()}")


def write(figures, small):
    """Writes the figures between the markers in docs/performance.md and keeps the text around them."""
    begin, end = "<!-- figures -->", "<!-- /figures -->"
    page = world.ROOT / "docs/performance.md"
    text = page.read_text()
    present = [(name, figures[name]) for name in SECTIONS if name in figures]
    lines = [Line(**line) for _, section in present for line in section["lines"]]
    origin = sorted({f"{section['commit']} ({section['when']})" for _, section in present})
    missing = [name for name in SECTIONS if name not in figures]
    parts = [
        f"Measured on {machine()}.", f"Commits: {', '.join(origin)}.",
        *([f"Not measured: {', '.join(missing)}."] if missing else []), table(lines),
    ]
    before, after = text.partition(begin)[0], text.partition(end)[2]
    page.write_text(before + begin + "\n" + "\n\n".join(parts) + "\n" + end + after)


main()
