"""--wire-seeds and --wire-clients: how many runs, and how many clients in each."""

import subprocess
from functools import cache

import pytest


def pytest_addoption(parser):
  parser.addoption('--wire-first', type=int, default=1, help='the first seed (1)')
  parser.addoption('--wire-seeds', type=int, default=4, help='how many seeds (4)')
  parser.addoption('--wire-clients', type=int, default=32, help='clients of each (32)')


@cache
def numbers(first: int, count: int) -> tuple[int, ...]:
  """The same objects for all tests: pytest keeps a world for a seed that *is* the one before."""
  return tuple(range(first, first + count))


def pytest_generate_tests(metafunc):
  if 'seed' in metafunc.fixturenames:
    option = metafunc.config.getoption
    seeds = [pytest.param(seed, marks=pytest.mark.xdist_group(f'seed{seed}'))
             for seed in numbers(option('wire_first'), option('wire_seeds'))]
    metafunc.parametrize('seed', seeds, scope='class')


@pytest.fixture(scope='session')
def key(lmtpq) -> str:
  return subprocess.run([lmtpq, 'keygen'], check=True, capture_output=True, text=True).stdout.strip()
