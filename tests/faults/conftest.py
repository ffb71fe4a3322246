"""Options of the faults under load, and a line of figures for each run.

--messages, --rate, --seconds: how many messages a run delivers, how fast, and how long it may take.
Each run is a load for the whole machine: they need `-n 0`.
"""

import os
import tempfile
from types import SimpleNamespace

import pytest

from .scene import FIGURES


def pytest_addoption(parser):
  parser.addoption('--messages', type=int, default=5000, help='of each run (5000)')
  parser.addoption('--rate', type=float, default=1000, help='messages a second, at most (1000)')
  parser.addoption('--seconds', type=float, default=240, help='for each run to end (240)')


class Figures:
  """A comment for each run at the end of the report."""

  def __init__(self):
    self.lines: list[str] = []

  def pytest_runtest_logreport(self, report):
    if report.when == 'call':
      self.lines += [text for name, text in report.user_properties if name == FIGURES]

  def pytest_terminal_summary(self, terminalreporter):
    for line in self.lines:
      terminalreporter.write_line(f'# {line}')


def pytest_configure(config):
  if not hasattr(config, 'workerinput'):
    config.pluginmanager.register(Figures())


@pytest.fixture(scope='session')
def wanted(request, lmtpq) -> SimpleNamespace:
  option = request.config.getoption
  return SimpleNamespace(messages=option('messages'), rate=option('rate'),
                         seconds=option('seconds'), lmtpq=lmtpq)


@pytest.fixture(scope='session', autouse=True)
def folders_in_memory():
  """The store must be faster than the daemon, which is tested."""
  former = tempfile.tempdir
  if os.access('/dev/shm', os.W_OK):
    tempfile.tempdir = '/dev/shm'
  yield
  tempfile.tempdir = former
