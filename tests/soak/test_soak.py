"""A soak in short: each fault once, and its end by SIGINT."""

import re
import signal
import subprocess
from pathlib import Path

import pytest

from .scene import FAULTS
from .verdict import Verdict

RUN = Path(__file__).with_name('run')
SEED, MESSAGES = 1, 600

pytestmark = pytest.mark.limit(300)


@pytest.fixture(scope='module')
def short(tmp_path_factory, build) -> tuple[subprocess.CompletedProcess, Path]:
  """What it printed, and its records."""
  records = tmp_path_factory.mktemp('soak') / 'records'
  ran = subprocess.run([RUN, '--messages', str(MESSAGES), '--seed', str(SEED), '--rate', '75',
                        '--build', build, '--records', records], capture_output=True, text=True,
                       timeout=240)
  return ran, records


def test_nothing_is_lost_changed_or_doubled_without_a_reason(short):
  ran, _ = short
  assert ran.returncode == 0 and ran.stdout.endswith('GOOD\n'), ran.stdout + ran.stderr


def test_every_fault_happened(short):
  faults = re.search(r'^faults: (.*)', short[0].stdout, re.M)[1].split(', ')
  assert sorted(faults) == sorted(f'{name} 1' for name in FAULTS)


def test_the_faults_had_an_effect(short):
  last = re.search(r'100%  600 messages, .* ([\d,]+) answers 4xx, ([\d,]+) connections lost',
                   short[0].stdout)
  assert '0' not in last.groups()


def test_every_percent_has_its_memory(short):
  rows = re.findall(r'^ +\d+% ((?: +\d+\.\d){10})$', short[0].stdout, re.M)
  assert len(rows) == 10
  assert all(float(sample) > 1 for row in rows for sample in row.split())


def test_its_records_without_one_line_are_not_good(short):
  _, records = short
  verdict = Verdict(records, SEED, MESSAGES)
  assert verdict.good and verdict.sent == MESSAGES
  path = records / 'store0'
  first, rest = path.read_text().split('\n', 1)
  path.write_text(''.join(line for line in rest.splitlines(True)
                          if line.split()[:2] != first.split()[:2]))
  assert Verdict(records, SEED, MESSAGES).lost == 1


def test_sigint_ends_it_with_a_report(build):
  with subprocess.Popen([RUN, '--messages', '10000', '--rate', '200', '--build', build],
                        stdout=subprocess.PIPE, text=True) as soak:
    assert re.match(r' +\d+%', soak.stdout.readline())
    soak.send_signal(signal.SIGINT)
    said, _ = soak.communicate(timeout=240)
  assert soak.returncode == 0, said
  assert re.search(r'^seed 1, 10,000 messages, interrupted: \d+ done', said, re.M)
  assert re.search(r'^lost +0$', said, re.M)
