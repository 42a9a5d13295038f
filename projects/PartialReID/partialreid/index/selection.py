"""Which images of an index a search is about: conditions on what is known of them.

A condition is a name, an operator and a value: `camera=3`, `time>=2024-05-01`. It holds for images
that have the name. All conditions must hold. Numbers are compared as numbers, everything else
letter by letter, which puts times in order that are written as ISO 8601 has them.
"""

from __future__ import annotations

import itertools
import numbers
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from .database import Database
from .errors import damaged

Value: TypeAlias = "str | int | float"
Where: TypeAlias = "Mapping[str, Value | Sequence[Value]] | Sequence[str]"
"""Values by names, of which one must be equal where there are several; or conditions as text."""

IDENTITY = "identity"  # the name of whom an image shows

CONDITION = re.compile(
    r"\s*(?P<name>[^<>=]*[^<>=!\s])\s*(?P<operator><=|>=|=|<|>)\s*(?P<value>(?![<>=]+[^<>=]).*?)\s*"
)
# Not 0012, which is the name of somebody, nor nan or inf, nor what takes more than 64 bits.
NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?")


class Condition(NamedTuple):
    """What must hold for an image.

    Attributes:
        name: of what is known.
        operator: one of = < <= > >=.
        values: any of them will do.
    """

    name: str
    operator: str
    values: Sequence[Value]


def number_or_text(text: str) -> Value:
    """A number where a text is one as one writes it, else the text."""
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip("-").isdigit() else float(text)


def conditions(where: Where) -> list[Condition]:
    """The conditions that `where` states.

    Raises:
        ValueError: a text is no condition, or a value is neither text nor a number of 64 bits.
    """
    if isinstance(where, Mapping):
        return [Condition(name, "=", _values(name, value)) for name, value in where.items()]
    found = []
    for text in [where] if isinstance(where, str) else where:
        parts = CONDITION.fullmatch(text)
        if parts is None:
            raise ValueError(
                f'"{text}" is no condition: write NAME=VALUE, or < <= > >= for =, which are all '
                "that there is."
            )
        found.append(Condition(parts["name"], parts["operator"], [parts["value"]]))
    return found


def _values(name: str, value: Any) -> list[Value]:
    """One value or several as plain Python's, which is all that SQLite compares."""
    several = isinstance(value, Iterable) and not isinstance(value, (str, bytes))
    values = list(value) if several else [value]
    plain: list[Value] = []
    for one in values:
        if isinstance(one, str):
            plain.append(one)
        elif isinstance(one, numbers.Integral) and not -(2**63) <= int(one) < 2**63:
            raise ValueError(f'"{name}" is to be {one}, and no image has a number of over 64 bits.')
        elif isinstance(one, numbers.Real):
            # Those of numpy and pandas, too.
            plain.append(int(one) if isinstance(one, numbers.Integral) else float(one))
        else:
            raise ValueError(
                f'"{name}" is to be {one!r}, which is neither text nor a number: give one of '
                "these, or a list of them."
            )
    return plain


def selected(database: Database, where: Where) -> set[int]:
    """The ids of the images for which all conditions hold.

    Raises:
        ValueError: no image has anything of such a name, or a text is no condition.
    """
    wanted = conditions(where)
    known = {name for (name,) in database.rows("SELECT DISTINCT name FROM metadata")}
    if not all(isinstance(name, str) for name in known):
        raise damaged(database.path, "the names of its metadata")
    every = {identifier for (identifier,) in database.rows("SELECT id FROM images")}
    for condition in wanted:
        if condition.name not in known:
            raise ValueError(
                f'no image of the index "{database.path}" has "{condition.name}": known is '
                f"{', '.join(sorted(known)) or 'nothing'}."
            )
        found = [_matching(database, condition, value) for value in condition.values]
        every &= set(itertools.chain.from_iterable(found))
    return every


def _matching(database: Database, condition: Condition, value: Value) -> Iterator[int]:
    # What a command line gives is text, and may mean a number. To SQLite any number is less than
    # any text, so that each is compared with its kind alone.
    number = number_or_text(value) if isinstance(value, str) else value
    forms: list[tuple[str, Value]] = []
    if isinstance(value, str):
        forms = [("'text'", value)]
    elif condition.name == IDENTITY:
        # Tables give it as text even where it looks like a number.
        forms = [("'text'", str(value))]
    if not isinstance(number, str):
        forms.append(("'integer', 'real'", number))
    for kinds, form in forms:
        # The operator is one of five; whatever else was given goes in as a parameter.
        statement = (
            f"SELECT id FROM metadata WHERE name = ? AND value {condition.operator} ? "
            f"AND typeof(value) IN ({kinds})"
        )
        for (identifier,) in database.rows(statement, (condition.name, form)):
            yield identifier
