"""A task by threshold: `sbp >= 140 or dbp >= 90`.

A rule is comparisons of names and numbers joined by and, or, not and parentheses, as in Python and with its precedence,
and nothing else: it is read with Python's own grammar, checked node by node, and never handed to the interpreter.
Where an input is absent, three-valued logic decides (Kleene): true or absent is true, false and absent is false.
Preparation labels by it, scoring tells by it what follows from known values.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from sepl.tasks import TaskTable

MOST_CHARACTERS = 1000
"""A rule is a line; Python's reader is not asked to nest deeper than this many parentheses could."""

_COMPARISONS: Mapping[type[ast.cmpop], Callable[..., NDArray[np.bool_]]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_GRAMMAR = "comparisons (< <= > >= == !=) of names and numbers, joined by and, or, not and parentheses"

Values = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Rule:
    """A checked rule."""

    text: str
    names: tuple[str, ...]
    """What it compares, each once."""
    _root: ast.expr

    def evaluate(self, values: Values) -> NDArray[np.float64]:
        """1 where the rule holds, 0 where it does not, NaN where the absent values leave it open (N,)."""
        return _logic(self._root, values)


@lru_cache(maxsize=256)
def parse_rule(text: str) -> Rule:
    """The rule that a text spells. Raises ValueError saying what a rule is made of."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"a rule should have at most {MOST_CHARACTERS} characters, had {len(text)}")
    try:
        root = ast.parse(text.strip(), mode="eval").body
        _check_logic(root)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"a rule should be made of {_GRAMMAR}, was {text!r}") from None
    names = dict.fromkeys(node.id for node in ast.walk(root) if isinstance(node, ast.Name))
    if not names:
        raise ValueError(f"a rule should compare at least one task, was {text!r}")
    return Rule(text.strip(), tuple(names), root)


def _as_text(text: str) -> str:
    return parse_rule(text).text


RuleTexts = dict[str, Annotated[str, AfterValidator(_as_text)]]
"""By binary task, the rule that decides it from other tasks, as a manifest keeps it."""


def check_rules(rules: Mapping[str, str], tasks: TaskTable) -> None:
    """Raises ValueError for a rule of no binary task, or on what is no task."""
    for name, text in rules.items():
        if name not in tasks.names or tasks[name].kind != "binary":
            raise ValueError(f"rules should be of binary tasks, had one of {name}")
        for other in parse_rule(text).names:
            if other not in tasks.names:
                raise ValueError(f"rule of {name} should compare {', '.join(tasks.names)}, was {text!r}")


def rules_among(rules: Mapping[str, str], tasks: TaskTable) -> dict[str, str]:
    """Those that compare tasks alone, so that values of tasks decide them."""
    return {name: text for name, text in rules.items() if set(parse_rule(text).names) <= set(tasks.names)}


def _check_logic(node: ast.expr) -> None:
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                _check_logic(part)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            _check_logic(part)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
            for operand in (left, *others):
                _check_operand(operand)
        case _:
            raise ValueError("no comparison")


def _check_operand(node: ast.expr) -> None:
    match node:
        case ast.Name():
            return
        case ast.Constant(value=bool()):
            raise ValueError("no number")
        case ast.Constant(value=int() | float()):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant() as number):
            _check_operand(number)
        case _:
            raise ValueError("neither name nor number")


def _logic(node: ast.expr, values: Values) -> NDArray[np.float64]:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return _all([_logic(part, values) for part in parts])
        case ast.BoolOp(values=parts):
            return _not(_all([_not(_logic(part, values)) for part in parts]))
        case ast.UnaryOp(operand=part):
            return _not(_logic(part, values))
        case ast.Compare(left=left, ops=ops, comparators=others):
            operands = [_operand(operand, values) for operand in (left, *others)]
            pairs = zip(ops, operands[:-1], operands[1:], strict=True)
            return _all([_compare(op, first, second) for op, first, second in pairs])
    raise AssertionError("checked when parsed")


def _operand(node: ast.expr, values: Values) -> NDArray[np.float64]:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=number):
            return -_operand(number, values)
        case ast.UnaryOp(operand=number):
            return _operand(number, values)
        case ast.Constant(value=int() | float() as number):
            return np.asarray(number, np.float64)
    raise AssertionError("checked when parsed")


def _compare(op: ast.cmpop, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    holds = _COMPARISONS[type(op)](first, second).astype(np.float64)
    return np.where(np.isnan(first) | np.isnan(second), np.nan, holds)


def _not(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1.0 - truth


def _all(truths: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """0 where one is false, else NaN where one is open, else 1."""
    stacked = np.stack(np.broadcast_arrays(*truths))
    is_false = (stacked == 0.0).any(axis=0)
    return np.where(is_false, 0.0, np.where(np.isnan(stacked).any(axis=0), np.nan, 1.0))
