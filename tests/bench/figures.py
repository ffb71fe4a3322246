"""What was measured: rows with their bounds, and tables of cells.

What it is: Row, one figure and whether it keeps its bound; Grid, the same few figures of several
  programs under several loads; both as text for the terminal and as Markdown for the page.
What it does not know: how anything is measured.
Failure: Failed, for what could not be measured, or not as it should have been.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

RATIO = '(median of the ratios {:.2f})'


class Failed(Exception):
  pass


@dataclass
class Row:
  what: str
  figure: str
  bound: str = ''
  met: bool | None = None  # None: no bound was set

  @property
  def verdict(self) -> str:
    return '' if self.met is None else 'met' if self.met else 'MISSED'


def at_most(what: str, figure: str, value: float, bound: float, unit: str = '') -> Row:
  return Row(what, figure, f'at most {bound:g}{unit}', value <= bound)


def at_least(what: str, figure: str, value: float, bound: float, unit: str = '') -> Row:
  return Row(what, figure, f'at least {bound:g}{unit}', value >= bound)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
  """Of the medians."""
  return statistics.median(ours) / statistics.median(theirs)


def against(ours: Sequence[float], theirs: Sequence[float], form: str, scale: float = 1) -> str:
  """`A against B: **ratio** (...)`; form tells one of them, such as '{:.3f} s'."""
  pairs = statistics.median(one / other for one, other in zip(ours, theirs))
  return (f'{form.format(statistics.median(ours) * scale)} against '
          f'{form.format(statistics.median(theirs) * scale)}: **{ratio(ours, theirs):.2f}** '
          + RATIO.format(pairs))


@dataclass
class Cell:
  """One program under one load; a list has one entry for each round."""
  seconds: list[float] = field(default_factory=list)
  cpu: list[float] = field(default_factory=list)  # seconds of the program itself
  peak: int = 0  # bytes resident, summed over its processes
  opened: int = 0  # connections to the store, in all rounds
  messages: int = 0  # in one round

  def rates(self) -> list[float]:
    return [self.messages / seconds for seconds in self.seconds]

  def cpu_each(self) -> list[float]:
    return [cpu / self.messages for cpu in self.cpu]


@dataclass
class Grid:
  title: str
  cells: dict[tuple[str, str], Cell] = field(default_factory=dict)  # (load, program)

  HEAD = ('load', 'through', 'messages/s', 'CPU a message', 'peak memory', 'connections opened')

  def lines(self) -> list[tuple[str, ...]]:
    found = []
    for (load, program), cell in self.cells.items():
      # What is only the client and the store has no middle to be measured.
      own = ('', '', '') if not any(cell.cpu) else (
          f'{statistics.median(cell.cpu_each()) * 1e6:,.0f} us', f'{cell.peak / 1e6:.1f} MB',
          f'{cell.opened:,} for {cell.messages * len(cell.seconds):,}')
      rate = statistics.median(cell.rates())
      found.append((load, program, f'{rate:,.0f}' if rate >= 100 else f'{rate:.1f}', *own))
    return found


def text_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
  lines = [head, *lines]
  widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
  return '\n'.join('  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
                   for line in lines)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
  rows = [head, ['---'] * len(head), *lines]
  return '\n'.join('| ' + ' | '.join(cell.replace('|', '\\|') for cell in row) + ' |' for row in rows)


def text_of(rows: Sequence[Row]) -> str:
  """For a terminal: what was measured is too long for a column."""
  lines = []
  for row in rows:
    bound = f'   [{row.bound}]' if row.bound else ''
    lines.append(f'{row.verdict or "-":6}  {row.what}\n        {row.figure}{bound}'.replace('**', ''))
  return '\n'.join(lines)


ROW_HEAD = ('what', 'figure', 'bound', '')


def row_lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
  return [(row.what, row.figure, row.bound, row.verdict) for row in rows]
