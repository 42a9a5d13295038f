#!/usr/bin/env python3
"""Does an index lose anything when its writer is killed? SIGKILL at random moments, 100 times.

    python -m benchmarks.index_kills

A process adds, replaces, removes and notes without pause, and says through a pipe what it begins
and what has returned. It is killed. The index is then opened, checked, and compared, bit by bit,
with what was acknowledged: it must be that, or that and the one change that was going on, whole.
The next process goes on from there. A power cut is another matter: it tries the disk as well.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from benchmarks.bench import report
from partialreid.index.gallery import Index
from partialreid.index.record import Record
from tests.index.made_up import COARSE, record

NAMES = 60
# Seconds to the end of a process; for one in five from its start, which is while it opens what the
# one before has left, for the others from when it has opened it.
LEAST, MOST, IN_OPENING = 0.001, 1.0, 5
SECONDS_TO_OPEN = 60
State = dict[int, tuple[int, int]]
"""Which version of which image an index holds, and what is noted of it."""
Change = tuple[str, State]
"""What is done, with the images that it is done with and what they are afterwards."""


def version(number: int, seed: int, note: int) -> Record:
    """An image, with metadata that tell its versions apart."""
    return record(number, seed)._replace(metadata={"version": seed, "note": note})


def drawn_change(state: State, turn: int, random_numbers: random.Random) -> Change:
    """Something that can be done to an index in some state."""
    kind = random_numbers.choice(["put", "put", "remove", "metadata"])
    known = [number for number in range(NAMES) if number in state]
    if kind == "put" or not known:
        numbers = random_numbers.sample(range(NAMES), random_numbers.randint(1, 12))
        return "put", dict.fromkeys(numbers, (turn, turn))
    numbers = random_numbers.sample(known, min(len(known), random_numbers.randint(1, 9)))
    return kind, {number: (state[number][0], turn) for number in numbers}


def after(state: State, change: Change) -> State:
    """The state that a change leads to."""
    kind, numbers = change
    if kind == "remove":
        return {number: held for number, held in state.items() if number not in numbers}
    return {**state, **numbers}


def carry_out(index: Index, change: Change) -> None:
    kind, numbers = change
    some = [version(number, *held) for number, held in numbers.items()]
    if kind == "put":
        index.put(some)
    elif kind == "remove":
        index.remove([record.name for record in some])
    else:
        index.set_metadata({record.name: record.metadata or {} for record in some})


def write(path: str, state: State, turn: int, seed: int, said: Connection) -> None:
    """The process that is killed."""
    torch.set_num_threads(1)  # those of the parent are not there
    random_numbers = random.Random(seed)
    with Index.open(path, write=True) as index:
        said.send(("open", None))
        while True:
            change = drawn_change(state, turn, random_numbers)
            said.send(("begun", change))
            carry_out(index, change)
            said.send(("done", change))
            state, turn = after(state, change), turn + 1


def held(path: str) -> tuple[State, list[str]]:
    """What an index holds after all, and what is wrong with it."""
    with Index.open(path) as index:
        problems = index.check()
        images = index.images(range(len(index)))
        state: State = {}
        for place, (name, known) in enumerate(zip(index.names, index.metadata)):
            number, seed, note = int(name[2:5]), int(known["version"]), int(known["note"])
            wanted = version(number, seed, note)
            parts = [
                (images.features[place], wanted.feature),
                (images.columns[place], wanted.columns),
                (images.weights[place], wanted.weights),
            ]
            if not all(torch.equal(found, part) for found, part in parts):
                problems.append(f'"{name}" is not what was put in')
            state[number] = seed, note
    return state, problems


def killed(
    path: str, state: State, turn: int, seed: int
) -> tuple[list[Change], Change | None, bool]:
    """Have a process write, and kill it.

    Returns:
        What it has acknowledged, what it had begun, and whether it had opened the index.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=write, args=(path, state, turn, seed, there))
    delay = LEAST * (MOST / LEAST) ** random.Random(seed).random()
    process.start()
    there.close()
    if seed % IN_OPENING:
        here.poll(SECONDS_TO_OPEN)
    time.sleep(delay)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    done: list[Change] = []
    begun: Change | None = None
    opened = False
    try:
        while here.poll():
            word, change = here.recv()
            begun, opened = (change if word == "begun" else None), True
            done += [change] if word == "done" else []
    except EOFError:  # all has been read
        pass
    return done, begun, opened


def run(kills: int, path: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Kill so many processes, one after the other, and count what came of it."""
    Index.create(path, "made up", coarse=COARSE)
    state: State = {}
    turn, counts = 1, Counter[str]()
    problems: list[str] = []
    for kill in range(kills):
        done, begun, opened = killed(path, state, turn, kill)
        for change in done:
            state, turn = after(state, change), turn + 1
            counts["acknowledged changes"] += 1
        found, wrong = held(path)
        problems += [f"after kill {kill}: {problem}" for problem in wrong]
        whole = after(state, begun) if begun else state
        counts[f"killed in: {begun[0] if begun else 'between' if opened else 'opening'}"] += 1
        if begun and found == whole != state:
            counts["of these committed"] += 1
        if found not in (state, whole):
            problems.append(f"after kill {kill}: {found} is neither {state} nor {whole}")
        # What was begun counts as a turn, so that no two versions are alike.
        state, turn = found, turn + 1
        if problems:
            break
        say(f"{kill + 1} kills, {len(state)} images")
    return {
        "kills": kills,
        **dict(sorted(counts.items())),
        "images left": len(state),
        "lost or damaged": problems,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        row = run(
            args.kills, os.path.join(folder, "crops.index"), lambda text: print(text, flush=True)
        )
    problems = row.pop("lost or damaged")
    report("index_kills", "small images", [{**row, "lost or damaged": len(problems)}])
    if problems:
        raise SystemExit(json.dumps(problems[:5], indent=1))


if __name__ == "__main__":
    main()
