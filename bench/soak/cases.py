"""Rows of the matrix: how they are registered, run and judged."""

import dataclasses
import pathlib
import random
import time
import traceback

ROWS = {}


class NotRun(Exception):
    """The machine lacks what the row needs; the text says what."""


class Broken(Exception):
    """The row cannot go on; the text says why. It is not held."""


@dataclasses.dataclass
class Row:
    name: str
    what: str
    stores: tuple
    run: object


@dataclasses.dataclass
class Verdict:
    """The result of a row on one database. `held` is None if it was not run; `figures` then says why."""

    row: str
    what: str
    store: str
    held: bool | None
    figures: str
    seconds: float = 0.0

    def __str__(self):
        word = {True: "held", False: "NOT HELD", None: "not run"}[self.held]
        return f"{word:8}  {self.row:12} {self.store:10}  {self.what}: {self.figures}"


def row(name, what, stores=("SQLite", "PostgreSQL")):
    """Registers a function that tests one row of the matrix on one database."""

    def register(run):
        ROWS[name] = Row(name, what, stores, run)
        return run

    return register


class Case:
    """One run of a row on one database: what the row may use, and what it has found."""

    def __init__(self, name, store, folder, options):
        self.name, self.store, self.folder, self.options = name, store, folder, options
        # Each row has its own sequence, so that a single row repeats what it did among all others.
        self.random = random.Random(f"{options.seed} {name} {store.NAME}")
        self.figures, self.breaches = [], []

    def note(self, figure):
        self.figures.append(figure)

    def expect(self, holds, breach):
        """Keeps the row from being held, unless this holds; the row goes on."""
        if not holds:
            self.breaches.append(breach)
        return holds

    def verdict(self, row, seconds):
        shown = self.figures + [f"**{breach}**" for breach in distinct(self.breaches)]
        return Verdict(row.name, row.what, self.store.NAME, not self.breaches, "; ".join(shown), seconds)


def first_words(error):
    """The code and message of a call's error; of any other its first line."""
    if hasattr(error, "code"):
        return f"{error.code().name} {error.details()}"
    return (str(error).splitlines() or [""])[0][:200]


def distinct(breaches, most=6):
    """The first breaches, each once and with its number."""
    counted = {breach: breaches.count(breach) for breach in breaches}
    texts = [text if count == 1 else f"{text} ({count} times)" for text, count in counted.items()]
    return texts[:most] + ([f"and {len(texts) - most} more"] if len(texts) > most else [])


def run(row, store, folder: pathlib.Path, options):
    """Runs a row on one database. What it raises is a breach, too."""
    case = Case(row.name, store, folder, options)
    begin = time.monotonic()
    try:
        row.run(case)
    except NotRun as reason:
        return Verdict(row.name, row.what, store.NAME, None, str(reason))
    except Broken as reason:
        case.expect(False, str(reason))
    except Exception as error:
        traceback.print_exc()
        case.expect(False, f"ended by {type(error).__name__}: {first_words(error)}")
    for log in folder.glob("*.log"):
        case.expect("panicked" not in log.read_text(errors="replace"), f"a program panicked ({log.name})")
    return case.verdict(row, time.monotonic() - begin)
