"""Small messages while others keep the daemon busy. The limits are far above what is measured, and
far below what it took when one client could keep the thread to itself."""

import pytest

from fixtures.paths import is_sanitized
from fixtures.process import wait_until

from .crowd import Crowd, bulk, flood, slow_disk, slow_reader, slowest
from .daemon import Daemon

SOME = 20  # small messages
LONG = 2.0  # seconds for one of them


def served_in_time(daemon: Daemon, number: int, work, rounds: int):
  with Crowd(daemon, number, work) as crowd:
    wait_until(lambda: crowd.rounds >= rounds, 'they keep it busy')
    median, longest = slowest(daemon, SOME)
    print(f'{number} {work.__name__}: median {median * 1000:.1f} ms, longest {longest * 1000:.1f} ms')
  assert longest < LONG, f'{longest:.2f} s, the median {median:.3f} s'
  assert daemon.store.boxes().count('small') == SOME


def test_a_slow_disk_delays_only_messages_that_are_spooled(new_daemon, lmtpq):
  daemon = new_daemon('spool-dir = {folder}\n', start=False)
  if not is_sanitized(lmtpq):  # those want to be the first library
    daemon.process.environment |= slow_disk(daemon.folder)
  daemon.process.start()
  served_in_time(daemon, 40, bulk, 40)


def test_floods_of_recipients_delay_nobody(new_daemon):
  daemon = new_daemon('max-idle-commands = 0\n')
  served_in_time(daemon, 10, flood, 10)


@pytest.mark.parametrize('number', [200])
def test_slow_readers_delay_nobody(new_daemon, number):
  daemon = new_daemon('max-idle-commands = 0\n')
  served_in_time(daemon, number, slow_reader, number)
