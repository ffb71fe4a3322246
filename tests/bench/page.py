"""The figures of the last run in docs/PERFORMANCE.md, between two marks, and the plot beside it.

What it does not know: what stands around the marks; that is written by hand.
Failure: ValueError when the page has no marks.
"""

from pathlib import Path

from figures import ROW_HEAD, Grid, Row, markdown_table, row_lines
from plot import plot

BEGIN, END = '<!-- figures: written by make bench -->', '<!-- end of the figures -->'


def machine() -> str:
  lines = Path('/proc/cpuinfo').read_text().splitlines()
  models = [line.partition(': ')[2] for line in lines if line.startswith('model name')]
  return f'{len(models)} processors ({models[0] if models else "unknown"})'


def write_page(docs: Path, rows: list[Row], grid: Grid):
  page = docs / 'PERFORMANCE.md'
  before, begin, rest = page.read_text().partition(BEGIN)
  _, end, after = rest.partition(END)
  if not begin or not end:
    raise ValueError(f'{page} has no marks')
  block = [f'Measured on {machine()}:', '', markdown_table(ROW_HEAD, row_lines(rows)), '']
  if grid.cells:
    (docs / 'performance.svg').write_text(plot(grid))
    block += ['From `smtp-source` through a program to the store, medians; the plot has the same:', '',
              markdown_table(Grid.HEAD, grid.lines()), '',
              '![messages a second and CPU a message](performance.svg)', '']
  page.write_text('\n'.join([before + BEGIN, '', *block]) + END + after)
