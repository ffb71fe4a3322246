"""A milter without free descriptors waits, uses no CPU time for it, and goes on."""

import os
import socket
import time
from pathlib import Path

import pytest

from fixtures.process import wait_until
from peers.mta.session import Message

from .asking import Asking, to_us
from ..private_milter import Milter

LIMIT = 64
MANY = 50  # sessions: more than the limit allows, fewer than the socket's queue holds besides


def cpu_seconds(pid: int) -> float:
  fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class TestDescriptors(Asking):
  @pytest.fixture(scope='class')
  def private_milter(self, scratch, lmtpq_milter):
    """With few descriptors."""
    program = scratch.path / 'narrow'
    program.write_text(f'#!/bin/sh\nulimit -n {LIMIT}\nexec {lmtpq_milter} "$@"\n')
    program.chmod(0o755)
    made = Milter(program, scratch.path / 'milter')
    made.start()
    yield made
    made.stop()

  def test_sessions_beyond_the_limit_wait_and_are_served_later(self):
    pid = self.milter.process.pid
    waiting = [self.dial() for _ in range(MANY)]
    wait_until(lambda: 'event=descriptors-short' in self.milter.said(), 'it says so')
    assert f' limit={LIMIT} ' in self.milter.said()
    before, began = cpu_seconds(pid), time.monotonic()
    # libmilter by itself would give up after fifteen seconds, and a loop would take them all.
    time.sleep(2)
    used = cpu_seconds(pid) - before
    assert used < 0.2 * (time.monotonic() - began), f'{used} s of CPU time'
    assert len(os.listdir(f'/proc/{pid}/fd')) <= LIMIT - 10, 'a reserve is free'
    self.milter.hang_up()
    wait_until(lambda: 'event=reloaded' in self.milter.said(), 'a reload has its descriptors')
    for one in waiting:
      one.close()
    answer = self.connect().ask(Message('later', 'x@example.org', to_us('bob@store.test')))
    self.assert_tagged(answer, 'later')
    assert self.milter.said().count('event=descriptors-short') == 1, 'one line a minute'

  def test_it_stops_while_sessions_wait(self):
    waiting = [self.dial() for _ in range(MANY)]
    self.stops_cleanly()
    for one in waiting:
      one.close()

  def dial(self) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(self.milter.socket))
    return made
