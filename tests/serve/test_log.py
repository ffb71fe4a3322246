"""A log that takes no lines stops neither mail nor the end of a process, and says what it lost; and
clients cannot fill the log."""

import os
import re
import resource
import subprocess
import urllib.request

import pytest

from fixtures.process import log_is_written, wait_until
from fixtures.scratch import free_port
from fixtures.syslog import NO_NAMESPACE, Syslog

from .daemon import FRONT, Daemon, all_start
from .fake_store import FakeStore

PATIENT = 'drain-timeout = 10m\n'  # longer than any test may take
in_a_namespace = pytest.mark.may_skip(NO_NAMESPACE)


@pytest.fixture
def new_syslog(scratch):
  """new_syslog(file): a private /dev/log, whose lines go to this file."""
  made: list[Syslog] = []

  def new(file=None) -> Syslog:
    folder = scratch.folder(f'syslog{len(made)}')
    made.append(Syslog(folder, file or folder / 'lines'))
    return made[-1]
  yield new
  for one in made:
    one.close()


@pytest.fixture
def with_syslog(new_daemon, new_syslog):
  """with_syslog(settings, listeners): a daemon that logs to a private /dev/log, and that."""
  def new(settings: str = '', listeners: str = FRONT) -> tuple[Daemon, Syslog]:
    daemon = new_daemon(settings, listeners, start=False)
    syslog = new_syslog(daemon.process.log)
    daemon.process.before = syslog.before
    daemon.process.start('--log=syslog')
    return daemon, syslog
  return new


def dropped(daemon: Daemon) -> int:
  return daemon.status()['log_lines_dropped']


def deliver_many(daemon: Daemon, number: int = 1000) -> list[str]:
  """One message to this many; their names are long, and so are the lines."""
  users = [f'{number:05}{"x" * 180}' for number in range(number)]
  all_start(daemon.deliver(*users), '250')
  return users


def fill_the_log(daemon: Daemon):
  def full() -> bool:
    deliver_many(daemon)
    return dropped(daemon) > 0
  wait_until(full, 'lines are dropped')


def recovered(daemon: Daemon) -> int:
  """The number of lines that the log names as lost; there is one line with it."""
  daemon.wait_for_log('event=log-recovered')
  line, = daemon.process.log_lines('event=log-recovered')
  return int(re.search(r' dropped=(\d+) ', line)[1])


@in_a_namespace
def test_syslog_gets_the_lines(with_syslog):
  daemon, _ = with_syslog()
  all_start(daemon.deliver('alice'), '250')
  daemon.wait_for_log(' to=<alice@store.test>')
  line, = daemon.process.log_lines('event=delivery')
  assert line.startswith(f'lmtpq[{daemon.process.pid}]: event=delivery '), line


@in_a_namespace
def test_a_syslog_that_does_not_read_stops_neither_mail_nor_the_end(with_syslog):
  daemon, syslog = with_syslog(PATIENT)
  syslog.stall()
  for _ in range(20):
    all_start(daemon.deliver('alice', 'bob'), '250')
  assert len(daemon.store.filed) == 40
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'


@in_a_namespace
def test_with_a_stalled_store_too_the_drain_timeout_ends_the_daemon(with_syslog):
  daemon, syslog = with_syslog('drain-timeout = 1s\n')
  syslog.stall()
  held = daemon.held()
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  all_start(held.end(), '451 4.4.2')


@in_a_namespace
@pytest.mark.limit(300)
def test_lines_that_are_lost_are_counted_and_named_when_syslog_reads_again(with_syslog):
  port = free_port()
  daemon, syslog = with_syslog(f'max-rcpts = 2000\nmetrics = 127.0.0.1:{port}\n')
  syslog.stall()
  fill_the_log(daemon)
  lost = dropped(daemon)
  with urllib.request.urlopen(f'http://127.0.0.1:{port}/metrics', timeout=60) as answer:
    assert f'\nlmtpq_log_lines_dropped_total {lost}\n' in answer.read().decode()
  syslog.resume()
  assert recovered(daemon) == lost
  all_start(daemon.deliver('after'), '250')
  daemon.wait_for_log(' to=<after@store.test>')
  order = [int(number) for number in re.findall(r' to=<(\d{5})x+@', daemon.process.log_text())]
  kept = [number % 1000 for number in range(len(order))]
  assert len(order) > 1000 and order == kept, 'in their order, without a gap before the line'
  assert len(daemon.store.filed) == len(order) + lost + 1


@in_a_namespace
def test_lines_reach_a_syslog_that_was_restarted(with_syslog):
  daemon, syslog = with_syslog()
  syslog.restart()
  all_start(daemon.deliver('alice'), '250')
  daemon.wait_for_log(' to=<alice@store.test>')
  syslog.close()
  all_start(daemon.deliver('bob'), '250')
  syslog.listen()
  daemon.wait_for_log(' to=<bob@store.test>')
  assert recovered(daemon) == 0


@pytest.mark.limit(300)
def test_a_full_disk_stops_no_mail_and_the_next_file_says_what_was_lost(new_daemon):
  daemon = new_daemon('max-rcpts = 2000\n')
  log = daemon.process.log
  log.rename(log.with_suffix('.old'))
  log.symlink_to('/dev/full')
  daemon.process.hang_up()
  fill_the_log(daemon)
  log.unlink()
  log.touch()
  lost = dropped(daemon)
  daemon.process.hang_up()
  assert lost <= recovered(daemon) <= lost + 1, 'the line on the reload may be one of them'
  line, = daemon.process.log_lines('event=log-recovered')
  assert line.endswith(' error="No space left on device"'), line
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'


def test_lines_that_a_full_disk_held_up_are_written_at_the_end_if_it_has_room_then(new_daemon):
  daemon = new_daemon()
  pid = daemon.process.pid
  before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
  resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
  all_start(daemon.deliver('alice'), '250')
  log_is_written(pid)  # it has failed
  assert not daemon.process.log_lines('event=delivery')
  resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  assert len(daemon.process.log_lines(' to=<alice@store.test>')) == 1


def test_a_pipe_that_is_not_read_stops_neither_mail_nor_the_end(new_daemon):
  daemon = new_daemon(PATIENT)
  log = daemon.process.log
  log.unlink()
  os.mkfifo(log)
  reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
  daemon.process.hang_up()
  wait_until(lambda: daemon.status()['reloads'] == 1, 'it has reloaded')
  for _ in range(2):
    deliver_many(daemon, 500)
  daemon.process.log = daemon.folder / 'none'  # nobody reads the pipe
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  os.close(reader)


@in_a_namespace
def test_deliver_does_not_wait_for_syslog(new_syslog, scratch, lmtpq):
  syslog = new_syslog()
  store = FakeStore(scratch.folder('deliver') / 'store')
  syslog.stall()
  users = [f'user{number}' for number in range(500)]
  ran = subprocess.run([*syslog.before, lmtpq, 'deliver', '--config=/dev/null', '--tag-keys=none', '-d',
                        store.address, '-f', 'a@b', *users], input=b'Subject: x\r\n\r\nx\r\n',
                       capture_output=True, timeout=90)
  assert ran.returncode == 0, ran.stderr
  assert sorted(store.boxes()) == sorted(users)
  store.stop()


@in_a_namespace
def test_relay_does_not_wait_for_syslog(new_syslog, scratch, lmtpq):
  syslog = new_syslog()
  store = FakeStore(scratch.folder('relay') / 'store')
  syslog.stall()
  dialogue = b'LHLO x\r\n' + b'MAIL FROM:<a@b>\r\nRCPT TO:<alice>\r\nDATA\r\nx\r\n.\r\n' * 300 + b'QUIT\r\n'
  ran = subprocess.run([*syslog.before, lmtpq, 'relay', '--config=/dev/null', '--tag-keys=none',
                        store.address], input=dialogue, capture_output=True, timeout=90)
  assert ran.returncode == 0, ran.stderr
  assert len(store.filed) == 300
  assert ran.stdout.splitlines()[-1].startswith(b'221 '), 'all replies came'
  store.stop()


def test_a_flood_of_refused_clients_is_one_line_and_a_count(new_daemon):
  daemon = new_daemon('', FRONT + 'clients = uid:4242\n')
  number = 1000
  for _ in range(number):
    with daemon.dial(greet=False) as client:
      assert client.reply().startswith('421 4.7.1 ')
  line, = daemon.process.log_lines('event=client-refused')
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  line, = daemon.process.log_lines('event=lines-left-out')
  assert line.endswith(f' of=client-refused by=uid:{os.geteuid()} lines={number - 1}'), line


def test_clients_that_leave_in_a_message_are_one_line_and_a_count(new_daemon):
  daemon = new_daemon()
  number = 300
  for _ in range(number):
    with daemon.dial() as client:
      assert client.ask('MAIL FROM:<s@x>').startswith('250')
  wait_until(lambda: daemon.status()['clients'] == 0, 'all have left')
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  assert len(daemon.process.log_lines('event=client-lost')) == 1
  line, = daemon.process.log_lines('event=lines-left-out')
  assert line.endswith(f' of=client-lost by=uid:{os.geteuid()} lines={number - 1}'), line


def test_a_transcript_has_the_size_of_the_message_and_not_its_text(new_daemon):
  daemon = new_daemon('debug-peer = all\n')
  all_start(daemon.deliver(body=100_000 * b'secret.\r\n'), '250')
  lines = daemon.process.log_lines('event=transcript-line')
  sizes = [int(size) for size in re.findall(r'line="C: \(message, (\d+) bytes\)"', '\n'.join(lines))]
  assert len(sizes) == 1 and 900_000 < sizes[0] < 901_000, lines
  assert 'secret' not in daemon.process.log_text()
