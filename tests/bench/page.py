"""The figures of the last run in docs/PERFORMANCE.md, between two marks, and the plot beside it.

What it does not know: what stands around the marks; that is written by hand.
Failure: ValueError when the page has no marks.
"""

import re
import subprocess
from pathlib import Path

from figures import ROW_HEAD, Grid, Row, markdown_table, row_lines
from plot import plot

BEGIN, END = '<!-- figures: written by make bench -->', '<!-- end of the figures -->'


PACKAGES = {'sendmail-bin': 'Sendmail', 'cyrus-imapd': 'Cyrus', 'dovecot-lmtpd': 'Dovecot',
            'haproxy': 'HAProxy'}


def measured_on() -> str:
  lines = Path('/proc/cpuinfo').read_text().splitlines()
  models = [line.partition(': ')[2] for line in lines if line.startswith('model name')]
  said = subprocess.run(['dpkg-query', '-W', '-f', '${Package} ${Version}\\n', *PACKAGES],
                        capture_output=True, text=True).stdout
  # Without the epoch and what Debian adds to it.
  versions = {name: re.match(r'(?:\d+:)?([\d.]+)', version).group(1)
              for name, version in map(str.split, said.splitlines())}
  programs = ', '.join(f'{label} {versions[name]}' for name, label in PACKAGES.items()
                       if name in versions)
  return f'Measured on {len(models)} processors ({models[0] if models else "unknown"}); {programs}.'


def write_page(docs: Path, rows: list[Row], grid: Grid):
  page = docs / 'PERFORMANCE.md'
  before, begin, rest = page.read_text().partition(BEGIN)
  _, end, after = rest.partition(END)
  if not begin or not end:
    raise ValueError(f'{page} has no marks')
  block = [measured_on(), '', markdown_table(ROW_HEAD, row_lines(rows)), '']
  if grid.cells:
    (docs / 'performance.svg').write_text(plot(grid))
    block += ['From `smtp-source` through a program to the store, medians; the plot has the same:', '',
              markdown_table(Grid.HEAD, grid.lines()), '',
              '![messages a second and CPU a message](performance.svg)', '']
  page.write_text('\n'.join([before + BEGIN, '', *block, END + after]))
