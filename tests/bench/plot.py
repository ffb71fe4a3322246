"""A grid of cells as SVG: for each load, bars of messages a second and of CPU a message.

What it is: text, without a library; colours that print.
What it does not know: what is good.
"""

import statistics
from html import escape

from figures import Cell, Grid

WIDTH, LEFT, BAR, GAP, HEAD = 860, 200, 14, 22, 24
HALF = (WIDTH - LEFT) // 2
ROOM = 70  # for the number behind a bar
COLOURS = ('#9a9a9a', '#d08c3c', '#e0bb83', '#6f8fb5', '#2d7d4f', '#7bb894')


def rate(cell: Cell) -> float:
  return statistics.median(cell.rates())


def cpu(cell: Cell) -> float:
  return statistics.median(cell.cpu_each()) * 1e6


def number(value: float) -> str:
  return f'{value:,.0f}' if value >= 100 else f'{value:.1f}'


def text(x: float, y: float, words: str, more: str = '') -> str:
  return f'<text x="{x:.0f}" y="{y:.0f}"{more}>{escape(words)}</text>'


def bar(x: int, y: int, value: float, most: float, colour: str) -> list[str]:
  length = (HALF - ROOM) * value / most if most else 0
  return [f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>',
          text(x + length + 4, y + BAR - 5, number(value))]


def group(y: int, load: str, cells: dict[str, Cell], colours: dict[str, str]) -> tuple[list[str], int]:
  """One load; answers where the next begins."""
  drawn = [text(8, y + 12, load, ' font-weight="bold"')]
  y += HEAD
  most_rate, most_cpu = (max(map(of, cells.values())) for of in (rate, cpu))
  for program, cell in cells.items():
    drawn += [text(LEFT - 8, y + BAR - 5, program, ' text-anchor="end"')]
    drawn += bar(LEFT, y, rate(cell), most_rate, colours[program])
    if any(cell.cpu):
      drawn += bar(LEFT + HALF, y, cpu(cell), most_cpu, colours[program])
    y += BAR
  return drawn, y + GAP


def plot(grid: Grid) -> str:
  loads = list(dict.fromkeys(load for load, _ in grid.cells))
  programs = list(dict.fromkeys(program for _, program in grid.cells))
  colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(programs)}
  drawn = [text(LEFT, 18, 'messages a second (more is better)'),
           text(LEFT + HALF, 18, 'CPU a message of what is in between, us (less is better)')]
  y = 34
  for load in loads:
    of_load = {program: cell for (its, program), cell in grid.cells.items() if its == load}
    lines, y = group(y, load, of_load, colours)
    drawn += lines
  return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
          f'height="{y}" font-family="sans-serif" font-size="11">\n'
          f'<rect width="{WIDTH}" height="{y}" fill="white"/>\n' + '\n'.join(drawn) + '\n</svg>\n')
