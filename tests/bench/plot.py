"""A grid of cells as SVG, drawn by gnuplot: for each load, bars of messages a second and of CPU a message.

Failure: FileNotFoundError without gnuplot, CalledProcessError with what it objects to.
"""

import statistics
import subprocess

from figures import Cell, Grid

WIDTH, LEFT, MIDDLE, RIGHT = 860, 215, 540, 800  # in pixels; the bars end at MIDDLE - 70 and RIGHT
BAR, HEAD, GAP = 14, 28, 18
COLOURS = ('0x9a9a9a', '0xd08c3c', '0xe0bb83', '0x6f8fb5', '0x2d7d4f', '0x7bb894', '0xb05f6d')

PANEL = '''
set lmargin at screen {left}
set rmargin at screen {right}
set tmargin at screen {top}
set bmargin at screen {bottom}
set xrange [0:{most}]
set yrange [{bars}-0.5:-0.5]
{labels}
plot $figures{block} using {column}:0:(0):{column}:($0-0.4):($0+0.4):4{names} with boxxyerror lc rgb variable, \\
  '' using {column}:0:{words} with labels left offset 0.3,0
'''


def rate(cell: Cell) -> float:
  return statistics.median(cell.rates())


def cpu(cell: Cell) -> float:
  return statistics.median(cell.cpu_each()) * 1e6


def number(value: float) -> str:
  return f'{value:,.0f}' if value >= 100 else f'{value:.1f}'


def lines_of(cells: dict[str, Cell], colours: dict[str, str]) -> list[str]:
  """A line for each program: its name, rate, CPU, colour, and rate and CPU in words."""
  found = []
  for program, cell in cells.items():
    measured = any(cell.cpu)
    found.append(f'"{program}" {rate(cell)} {cpu(cell) if measured else 0} {colours[program]} '
                 f'"{number(rate(cell))}" "{number(cpu(cell)) if measured else ""}"')
  return found


def script_of(grid: Grid) -> str:
  loads = list(dict.fromkeys(load for load, _ in grid.cells))
  programs = list(dict.fromkeys(program for _, program in grid.cells))
  colours = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(programs)}
  height = HEAD + sum(HEAD + GAP for _ in loads) + BAR * len(grid.cells)

  def down(pixels: float) -> float:
    return 1 - pixels / height
  script = [f'set terminal svg size {WIDTH},{height} font "sans-serif,11" background "white"',
            'set multiplot', 'set style fill solid noborder', 'set border 0', 'unset key',
            'unset xtics',
            f'set label 1 "messages a second (more is better)" at screen {LEFT / WIDTH},{down(14)}',
            'set label 2 "CPU a message, us (less is better)" '
            f'at screen {MIDDLE / WIDTH},{down(14)}']
  y = HEAD
  for block, load in enumerate(loads):
    cells = {program: cell for (its, program), cell in grid.cells.items() if its == load}
    script += [f'$figures{block} << END', *lines_of(cells, colours), 'END']
    top = y + HEAD - 6
    common = {'block': block, 'bars': len(cells), 'top': down(top),
              'bottom': down(top + BAR * len(cells))}
    script += [f'set label 3 "{load}" at screen 0.01,{down(y + 8)} font "sans-serif:Bold,11"',
               PANEL.format(**common, left=LEFT / WIDTH, right=(MIDDLE - 70) / WIDTH, column=2,
                            words=5, names=':ytic(1)', most=max(map(rate, cells.values())),
                            labels='set ytics nomirror scale 0'),
               'unset label 3',
               PANEL.format(**common, left=MIDDLE / WIDTH, right=RIGHT / WIDTH, column=3, words=6,
                            names='', most=max(map(cpu, cells.values())) or 1,
                            labels='unset ytics'),
               'unset label 1', 'unset label 2']
    y += HEAD + BAR * len(cells) + GAP
  return '\n'.join(script)


def plot(grid: Grid) -> str:
  return subprocess.run(['gnuplot'], input=script_of(grid), text=True, check=True, timeout=60,
                        stdout=subprocess.PIPE).stdout
