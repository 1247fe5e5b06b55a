"""A comparison as a LaTeX table."""

import re
from collections.abc import Iterable

from mnist_cli.report import phrases
from mnist_cli.report.conclusion import conclusion
from mnist_cli.report.rows import rows
from mnist_cli.schema.comparison import CompareResult
from mnist_cli.system.streams import visible

FIRST_LINE = "% A comparison by mnist-cli. It needs \\usepackage{booktabs}."
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # \textquotedbl is not in every font encoding
    "[": "{[}",  # at the start of a row, it would be an option of the line break before it
    "±": r"$\pm$",
    **{char: f"\\{char}" for char in "{}$&#_%"},
}


def to_latex(result: CompareResult) -> str:
    """A table of the networks for the booktabs package; the findings are comments."""
    table = rows(result)
    headline = "; ".join(phrases.headline(result))
    lines = [
        FIRST_LINE,
        *[f"% {visible(line)}" for line in (conclusion(result), *phrases.findings(result))],
        r"\begin{table}",
        r"  \centering",
        f"  \\caption{{{_escape(headline)}. {_escape(phrases.legend(result))}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(table[0]) - 1)}}}",
        r"    \toprule",
        f"    {_render_row(table[0])}",
        r"    \midrule",
        *[f"    {_render_row(row.values())}" for row in table],
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _render_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(map(_escape, cells))} \\\\"


def _escape(text: str) -> str:
    return re.sub("|".join(map(re.escape, SPECIAL)), lambda m: SPECIAL[m[0]], visible(text))
