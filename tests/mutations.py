"""Would the tests notice? Changes the program in one place at a time, and runs them.

python -m tests.mutations --count 160 --seed 0

The places are drawn evenly from all modules, and a copy of the tree is changed, never the checkout.
A change is tried on the tests that run its line, quickest first, up to the first that fails. Texts
stay as they are, since tests pin no wording; so do annotations and decorators such as
dataclass(frozen=True), which are for programmers.
"""

import ast
import copy
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Annotated, TextIO

import matplotlib.figure  # noqa: F401 - imported once, before all the forks
import pytest
import scipy.special  # noqa: F401
import torchinfo  # noqa: F401
import torchvision  # noqa: F401
import typer
from rich.console import Console

ROOT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "*.safetensors")
STARTS = re.compile(r"subprocess|\bstart\(|run_process\(")  # what such a test runs has no coverage
MOST_SECONDS = 90  # of tests for one mutation: some lines are run by all of them
SUITE_SECONDS = 900  # all tests take 130, with coverage
LIMIT = ("-o", "faulthandler_timeout=60", "-o", "faulthandler_exit_on_timeout=true")
DURATION = re.compile(r"^([\d.]+)s (?:call|setup) +(\S+?)(?:\[|$)", re.MULTILINE)
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div,
    ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.USub: ast.UAdd,
}  # fmt: skip
UNSEEN = {"annotation", "returns", "decorator_list"}
DROPPED = (ast.AugAssign, ast.Raise, ast.Continue, ast.Break)


@dataclass(frozen=True)
class Mutation:
    """`old`, a part of `statement`, becomes `new`."""

    old: ast.AST
    new: ast.AST
    statement: ast.stmt
    in_function: bool

    def __str__(self) -> str:
        old, new = (ast.unparse(node).partition("\n")[0] for node in (self.old, self.new))
        place = self.old if isinstance(self.old, ast.stmt | ast.expr) else self.statement
        return f"{place.lineno}:{place.col_offset + 1}: {old}  becomes  {new}"

    @property
    def lines(self) -> range:
        """Those of the statement, or of its head if it is one that holds others."""
        body = getattr(self.statement, "body", None)
        end = body[0].lineno if body else (self.statement.end_lineno or 0) + 1
        return range(self.statement.lineno, end)


class Replacing(ast.NodeTransformer):
    """Puts `new` where `old` is."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().generic_visit(node)


def mutations(
    node: ast.AST, statement: ast.stmt | None = None, *, in_function: bool = False
) -> Iterator[Mutation]:
    """Every change to `node` and to what it consists of that a test may notice."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    statement = node if isinstance(node, ast.stmt) else statement
    if statement:
        for new in changes(node):
            yield Mutation(node, new, statement, in_function)
    for field, value in ast.iter_fields(node):
        inside = in_function or (isinstance(node, ast.FunctionDef) and field == "body")
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in UNSEEN:
                yield from mutations(child, statement, in_function=inside)


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of `node`."""

    def but(**fields: object) -> ast.AST:
        new = copy.copy(node)
        for name, value in fields.items():
            setattr(new, name, value)
        return new

    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            yield but(op=SWAPS[type(op)]())
        case ast.Compare(ops=[op, *more]):
            yield but(ops=[SWAPS[type(op)](), *more])
        case ast.UnaryOp(op=ast.USub()):
            yield but(op=ast.UAdd())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool(truth)):
            yield but(value=not truth)
        case ast.Constant(value=int(number) | float(number)):
            yield but(value=number + 1)
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            yield but(test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[_, *more]):
            yield but(ifs=more)
        case ast.Return(value=ast.AST() as value) if ast.unparse(value) != "None":
            yield but(value=ast.Constant(None))
        case ast.Call(args=[first, second, *more]) if ast.unparse(first) != ast.unparse(second):
            yield but(args=[second, first, *more])
    call = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant | ast.Yield)
    if call or isinstance(node, DROPPED):
        yield ast.Pass()


def drawn(folder: Path, count: int, seed: int) -> Iterator[tuple[Path, str, Mutation]]:
    """`count` mutations with their files and the text of these: a round of all files, and again."""
    chance = random.Random(seed)
    waiting = []
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text())
        found = list(mutations(tree))
        chance.shuffle(found)
        waiting.append((path, tree, found))
    while count and any(found for _, _, found in waiting):
        chance.shuffle(waiting)
        for path, tree, found in waiting:
            if found and count:
                count -= 1
                mutation = found.pop()
                Replacing(mutation.old, mutation.new).visit(tree)
                yield path, ast.unparse(tree), mutation
                Replacing(mutation.new, mutation.old).visit(tree)


class Tests:
    """The tests of a copy of the tree: which of them run a line, and how long they take.

    They run in forks of a process that has imported torch: starting another takes longer than most.
    """

    def __init__(self, copied: Path) -> None:
        self.package = copied / "mnist_cli"
        self._folder = copied
        coverage = ("--cov=mnist_cli", "--cov-context=test", "--cov-report=")
        code, out = self._run("-vv", "--durations=0", *coverage)
        if code != 0:  # None where they did not end in time
            raise SystemExit(f"tests fail or hang without a mutation:\n{out[-3000:]}")
        contexts = [sys.executable, "-m", "coverage", "json", "--show-contexts", "-q"]
        subprocess.run(contexts, cwd=copied, check=True)
        report = json.loads((copied / "coverage.json").read_text())["files"]
        self.contexts = {copied / name: file["contexts"] for name, file in report.items()}
        if not any(self._covering(path, None) for path in self.contexts):
            raise SystemExit("the coverage does not tell which test runs a line")
        self.seconds: defaultdict[str, float] = defaultdict(float)
        for seconds, name in DURATION.findall(out):
            self.seconds[name] += float(seconds)
        self.processes = {
            name
            for name in self.seconds
            if STARTS.search((copied / name.partition("::")[0]).read_text())
        }

    def of(self, path: Path, mutation: Mutation) -> list[str]:
        """Those that run its line, quickest first, and those that may do so unseen.

        A line that runs at import is run by all.
        """
        first = self._covering(path, mutation.lines if mutation.in_function else None)
        then = self.processes if mutation.in_function else self.seconds.keys()
        chosen = [
            name
            for group in (first, then - first)
            for name in sorted(group, key=lambda name: (self.seconds[name], name))
        ]
        so_far = accumulate(self.seconds[name] for name in chosen)
        return [name for name, end in zip(chosen, so_far, strict=True) if end < MOST_SECONDS]

    def notice(self, path: Path, text: str, mutation: Mutation) -> bool:
        """Whether a test fails while `path` has this `text`."""
        before = path.read_text()
        path.write_text(text)
        try:
            return self._run("-x", *self.of(path, mutation))[0] != 0
        finally:
            path.write_text(before)

    def _covering(self, path: Path, lines: range | None) -> set[str]:
        """The tests that run one of `lines`; None stands for all lines."""
        contexts = self.contexts.get(path, {})
        shown = contexts.values() if lines is None else (contexts.get(str(n), ()) for n in lines)
        return {re.split(r"[|\[]", name)[0] for names in shown for name in names if name}

    def _run(self, *arguments: str) -> tuple[int | None, str]:
        """Run pytest: its exit code and output. Whatever it started is ended with it."""
        with TemporaryFile("w+") as output:
            child = get_context("fork").Process(target=self._pytest, args=(arguments, output))
            child.start()
            try:
                child.join(SUITE_SECONDS)
                code = child.exitcode  # None where it did not end
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid or 0, signal.SIGKILL)
                child.join()
            output.seek(0)
            return code, output.read()

    def _pytest(self, arguments: tuple[str, ...], output: TextIO) -> None:
        os.setsid()
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
        os.chdir(self._folder)
        paths = filter(None, (str(self._folder), os.environ.get("PYTHONPATH")))
        os.environ |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        sys.path.insert(0, str(self._folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]  # those of the checkout
        code = 1
        try:
            code = pytest.main(["-n0", "--dist=no", "-p", "no:cacheprovider", *LIMIT, *arguments])
            sys.stdout.flush()
        finally:  # a process that a test forks must not go on with the work of this one either
            os._exit(code)


def main(
    count: Annotated[int, typer.Option(help="How many mutations.")] = 160,
    seed: Annotated[int, typer.Option(help="Which they are.")] = 0,
) -> None:
    """Print the mutations that no test notices, and the share of those that one does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.nice(10)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        copied = Path(shutil.copytree(ROOT, Path(folder) / "copy", ignore=NOT_COPIED))
        tests = Tests(copied)
        for path, text, mutation in drawn(tests.package, count, seed):
            room = path.relative_to(tests.package).parts[0]
            made[room] += 1
            if tests.notice(path, text, mutation):
                caught[room] += 1
            else:
                console.print(f"{path.relative_to(copied)}:{mutation}")
    for room in sorted(made):
        console.print(f"{room}: {caught[room]} of {made[room]} caught")
    share = caught.total() / made.total()
    console.print(f"all: {caught.total()} of {made.total()} caught, {share:.1%}")


if __name__ == "__main__":
    typer.run(main)
