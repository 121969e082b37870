"""YAML files as plain values with their line numbers."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from harness import userfiles
from harness.errors import SuiteError

MAX_NODES = 20_000
MAX_DEPTH = 40
MAX_SENTENCE = 600

Place = tuple[str | int, ...]


class DocumentKind(NamedTuple):
    """A kind of file that a user writes.

    Attributes:
        noun: Name of the kind in a sentence.
        consequence: What did not happen because of an error in the file.
        help: Where its fields are documented.
    """

    noun: str
    consequence: str
    help: str


SUITE = DocumentKind("suite", "nothing was built", "`harness schema` prints the grammar of suite files, for completion in an editor")


@dataclass
class Document:
    """The values of a file and their lines.

    Attributes:
        path: The file.
        text: Its content.
        values: Plain lists, mappings and scalars.
        lines: Line of each place, from 1.
        problems: Errors found so far, as `file:line: sentence`.
        kind: Kind of the file.
    """

    path: Path
    text: str
    values: Any
    lines: dict[Place, int]
    problems: list[str] = field(default_factory=list)
    kind: DocumentKind = SUITE

    def add_problem(self, place: Sequence[str | int], sentence: str) -> None:
        """Add an error at a place, or at the nearest place above it that is in the file."""
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        if len(sentence) > MAX_SENTENCE:  # it quotes the file
            sentence = f"{sentence[: MAX_SENTENCE // 2]} ... {sentence[-MAX_SENTENCE // 2 :]}"
        self.problems.append(f"{self.path}:{self.lines.get(known, 1)}: {sentence}")

    def check(self) -> None:
        """Raise the errors found so far, if any.

        Raises:
            SuiteError: All errors in the order of their lines.
        """
        if self.problems:
            problems = sorted(dict.fromkeys(self.problems), key=lambda text: int(text.removeprefix(f"{self.path}:").split(":")[0]))
            lines = problems[:20] + ([f"... and {len(problems) - 20} more"] if len(problems) > 20 else [])
            raise SuiteError("\n".join(lines), f"{self.kind.consequence}; {self.kind.help}")


def nearest(name: object, names: Iterable[str]) -> str:
    """The nearest name as `; did you mean ...?`, or else all names."""
    names = list(names)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; available: {', '.join(sorted(names))}" if names else ""


def wrong_value(name: str, problem: Mapping[str, Any], unit: str = "") -> str:
    """One of pydantic's errors in plain words."""
    kind, given, value = problem["type"], problem.get("input"), format_value(problem.get("input"))
    field = f"each of {name!r}" if isinstance(problem["loc"][-1], int) else repr(name)
    if kind == "missing":
        return f"the field {name!r} is missing"
    if kind == "too_short" and not given:
        return f"{field} is empty: at least one is needed"
    if kind in ("list_type", "tuple_type"):
        return f"{field} must be a list" + (f": write [{given}]" if isinstance(given, str | int | float) else f", not {value}")
    if kind in ("model_type", "dict_type"):
        return f"{field} must be a mapping, not {value}"
    if kind in ("float_type", "int_type"):
        return f"{field} must be a {'plain' if kind == 'float_type' else 'whole'} number{unit}, not {'the text ' if isinstance(given, str) else ''}{value}"
    if kind == "bool_type":
        return f"{field} must be true or false, not {'the text ' if isinstance(given, str) else ''}{value}"
    if kind == "string_type":
        return f"{field} must be text, not {value}" + ("" if isinstance(given, dict | list | None) else ": put it in quotes")
    if kind == "string_pattern_mismatch":  # that of `grammar.Name`
        return f"{field} must be text without control characters or '/', not {value}"
    message = re.sub("^(Input|String) should", "must", problem["msg"]).replace("Value error, ", "")
    return f"{field} {message[0].lower()}{message[1:]}, not {value}"


def format_value(value: Any) -> str:
    """A value as YAML writes it, truncated to 80 characters."""
    text = {None: "nothing", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def read(path: Path, kind: DocumentKind = SUITE) -> Document:
    """Read a suite or another YAML file that a user writes.

    Raises:
        SuiteError: The file cannot be read, is not YAML, has a key twice, or its aliases explode.
    """
    return of_text(path, _text(path, kind.noun), kind)


def of_text(path: Path, text: str, kind: DocumentKind = SUITE) -> Document:
    """The document of a text, as if read from a path.

    Raises:
        SuiteError: As for `read`.
    """
    tree = _parse(path, text, kind)
    document = Document(path, text, None, {}, kind=kind)
    document.values = _Walk(document).value(tree, (), 0)
    document.check()
    return document


def _text(path: Path, noun: str) -> str:
    try:
        return userfiles.read_text(path, noun, limit_bytes=userfiles.DOCUMENT_BYTES, error=SuiteError)
    except SuiteError as error:
        if os.path.isdir(path):  # noqa: PTH112 -- does not raise for an impossible path
            raise SuiteError(error.what, _nearby(path / "x")) from None
        if error.what.startswith("there is no"):
            raise SuiteError(error.what, _nearby(path)) from None
        raise


def _nearby(path: Path) -> str:
    folder = path.parent if path.parent.is_dir() else Path("suites")
    files = sorted(str(p) for p in folder.glob("*.yaml"))
    close = difflib.get_close_matches(str(path), files, n=1, cutoff=0.7)
    if close:
        return f"did you mean {close[0]}?"
    return f"available: {', '.join(files[:5])}" if files else "give the path of a YAML file"


def _parse(path: Path, text: str, kind: DocumentKind) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        line = at.line + 1 if at else 1
        raise SuiteError(
            f"{path}:{line}: not valid YAML: {str(error.problem or error.context).splitlines()[0]}", f"fix that line; {kind.consequence}"
        ) from None
    except KeyError:  # ruamel has rules for these versions only
        raise SuiteError(f"{path}:1: not valid YAML: its version is neither 1.1 nor 1.2", "leave out the line `%YAML`") from None
    except (YAMLError, ValueError, RecursionError, AttributeError, TypeError) as error:
        sentence = "nested too deeply" if isinstance(error, RecursionError) else next(iter(str(error).splitlines()), type(error).__name__)
        raise SuiteError(f"{path}:1: not valid YAML: {sentence}", f"fix the file; {kind.consequence}") from None


class _Walk:
    """Converts ruamel's values into plain ones, and counts them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def value(self, node: Any, place: Place, depth: int) -> Any:
        """The plain value of a node."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise SuiteError(
                f"{self.document.path}: its aliases expand to more than {MAX_NODES} values",
                "write the values out instead of nesting aliases",
            )
        if depth > MAX_DEPTH:
            raise SuiteError(
                f"{self.document.path}: nested more than {MAX_DEPTH} levels deep, or an alias contains itself", "reduce the nesting"
            )
        if isinstance(node, dict):
            return self._mapping(node, place, depth)
        if isinstance(node, list):
            return [self._child(node, index, item, place, depth) for index, item in enumerate(node)]
        return self._scalar(node)

    def _mapping(self, node: Any, place: Place, depth: int) -> dict[str, Any]:
        plain = {}
        for key, item in node.items():
            if not isinstance(key, str):
                self.document.lines.setdefault((*place, str(key)), self._line(node, key))
                self.document.add_problem(
                    (*place, str(key)), f"the field name {key!r} is not text: put it in quotes, or check the indentation"
                )
                continue
            plain[str(key)] = self._child(node, key, item, place, depth)
        return plain

    def _child(self, node: Any, key: str | int, item: Any, place: Place, depth: int) -> Any:
        here = (*place, key if isinstance(key, int) else str(key))
        self.document.lines.setdefault(here, self._line(node, key))
        return self.value(item, here, depth + 1)

    @staticmethod
    def _line(node: Any, key: Any) -> int:
        try:
            return int(node.lc.data[key][0]) + 1
        except (AttributeError, KeyError, TypeError):
            return 1

    @staticmethod
    def _scalar(node: Any) -> Any:
        for plain in (bool, int, float, str):
            if isinstance(node, plain):
                return plain(node)
        return node if node is None else _Other(node)


class _Other:
    """A YAML scalar that no field accepts, such as a date; shown as written."""

    def __init__(self, node: Any) -> None:
        self._text = str(getattr(node, "value", node))

    def __repr__(self) -> str:
        return self._text
