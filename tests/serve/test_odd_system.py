"""What the daemon waits for does not answer: the DNS, a disk, the service manager, a store that it
dials. Signals have their effect all the same."""

import contextlib
import signal
import socket
import subprocess

import pytest

from fixtures.odd_system import OddSystem
from fixtures.paths import is_sanitized
from fixtures.process import send_signal, wait_until

from .daemon import FRONT, Daemon, Stopwatch, all_start, send
from .test_signals import Notifications

PATIENT = 'drain-timeout = 10m\n'
NAMED = '[listener.named]\naddress = unix:{folder}/named\ndestination = inet:localhost:9\n'
SILENT = '[listener.silent]\naddress = inet:silent.test:2424\n'


@pytest.fixture
def odd(new_daemon, lmtpq):
  """A daemon that does not run yet, and its system."""
  if is_sanitized(lmtpq):
    pytest.skip('a sanitizer wants to be the first library')
  daemon = new_daemon(PATIENT, start=False)
  system = OddSystem(daemon.folder)
  daemon.process.environment |= system.environment
  yield daemon, system
  for name in ('dns', 'disk'):
    with contextlib.suppress(FileNotFoundError):
      system.end(name)


pytestmark = pytest.mark.may_skip('a sanitizer')


def reload_that_waits(daemon: Daemon, system: OddSystem):
  system.begin('dns')
  daemon.configure(PATIENT, FRONT + SILENT)
  daemon.process.hang_up()
  wait_until(system.was_asked, 'the reload waits for the DNS')


def test_while_a_reload_waits_mail_flows_and_the_watchdog_is_fed(odd):
  daemon, system = odd
  notified = Notifications(daemon)
  daemon.process.start()
  reload_that_waits(daemon, system)
  while not notified.next().startswith('RELOADING=1'):
    pass
  for _ in range(3):
    assert notified.socket.recv(4096).decode().endswith('WATCHDOG=1')
  all_start(daemon.deliver(), '250')
  system.end('dns')
  daemon.wait_for_log('previous configuration kept')
  assert 'silent.test' in daemon.process.log_lines('event=reload-failed')[0]


def test_a_sigterm_does_not_wait_for_a_reload(odd):
  daemon, system = odd
  daemon.process.start()
  with daemon.dial() as idle:
    held = daemon.held()
    reload_that_waits(daemon, system)
    daemon.process.terminate()
    assert idle.line().startswith(b'421 4.3.2 ')
    daemon.store.hold.set()
    all_start(held.end(), '250')
    assert daemon.process.wait() == 0
  assert 'event=end-forced' not in daemon.process.log_text()
  assert not list(daemon.folder.glob('front*')), 'its files are removed'


def test_signals_that_come_during_a_reload_are_handled_after_it(odd):
  daemon, system = odd
  daemon.process.start()
  reload_that_waits(daemon, system)
  daemon.configure(PATIENT)
  daemon.process.hang_up()
  send_signal(daemon.process.pid, signal.SIGUSR2)
  former = daemon.process.server
  system.end('dns')
  daemon.process.follow(former)
  events = [line.split('event=')[1].split()[0] for line in daemon.process.log_lines('event=')]
  assert [event for event in events if event.startswith(('reload', 'upgrade'))] == [
      'reload-failed', 'reloaded', 'upgrade', 'upgraded'], events
  all_start(daemon.deliver(), '250')


# trap: reload-without-end
def test_a_reload_that_does_not_end_is_given_up_and_others_have_their_effect(odd):
  daemon, system = odd
  daemon.process.start()
  watch = Stopwatch()
  reload_that_waits(daemon, system)
  if daemon.process.count('event=reload-slow'):
    watch.at_least(10, 'until it is slow')
  daemon.configure(PATIENT)
  daemon.process.hang_up()
  daemon.wait_for_log('event=reloaded')
  watch.at_least(30, 'until it was given up')
  [slow], [failed] = (daemon.process.log_lines(f'event=reload-{word}') for word in ('slow', 'failed'))
  assert 'level=warning event=reload-slow effect="previous configuration in use; another SIGHUP or SIGUSR2 waits"' in slow
  assert 'not ready after 30 s' in failed
  assert daemon.process.log_text().index(slow) < daemon.process.log_text().index(failed)
  daemon.process.upgrade()
  all_start(daemon.deliver(), '250')


def begun(daemon: Daemon, system: OddSystem) -> subprocess.Popen:
  """A start that waits for the DNS, after its first socket is open."""
  system.begin('dns')
  daemon.configure(PATIENT, FRONT + SILENT)
  child = subprocess.Popen([daemon.process.program, 'serve', '--config', daemon.process.config],
                           env=daemon.process.environment, stderr=subprocess.PIPE, text=True)
  wait_until(system.was_asked, 'the start waits for the DNS')
  return child


# trap: shortage-at-a-start
def test_a_start_without_room_for_its_lock_is_tried_again(odd):
  daemon, system = odd
  system.begin('full')
  ran = subprocess.run([daemon.process.program, 'serve', '--config', daemon.process.config],
                       env=daemon.process.environment, capture_output=True, text=True, timeout=60)
  assert ran.returncode == 75, ran
  assert f'{daemon.folder}/front.lock": No space left on device; make room there' in ran.stderr, ran


def test_a_sigterm_ends_a_start_and_nothing_is_left(odd):
  daemon, system = odd
  child = begun(daemon, system)
  child.terminate()
  assert child.wait(60) == 0, child.stderr.read()
  assert not list(daemon.folder.glob('front*')), 'its files are removed'


def test_no_other_signal_ends_a_start(odd):
  daemon, system = odd
  child = begun(daemon, system)
  for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
    child.send_signal(number)
  system.end('dns')  # which then says that it cannot look up the name
  assert child.wait(60) == 75
  said = child.stderr.read()
  assert 'silent.test' in said and 'see whether the DNS answers' in said, said


def test_a_sigusr1_is_ignored(odd):
  daemon, _ = odd
  daemon.process.start()
  send_signal(daemon.process.pid, signal.SIGUSR1)
  all_start(daemon.deliver(), '250')


def test_sigterm_ends_a_daemon_whose_main_thread_is_blocked(odd):
  daemon, system = odd
  daemon.configure('drain-timeout = 1s\n')
  daemon.process.start()
  held = daemon.held()
  system.begin('disk')
  wait_until(system.was_asked, 'the main thread looks at the socket, as each second')
  watch = Stopwatch()
  daemon.process.terminate()
  assert daemon.process.wait() == 75, 'status'
  watch.at_least(1, 'the end')
  daemon.wait_for_log('event=end-forced')
  held.end()


def test_a_service_manager_that_does_not_read_delays_nothing(new_daemon):
  daemon = new_daemon(PATIENT, start=False)
  notified = Notifications(daemon)
  with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
    filler.setblocking(False)
    filler.connect(str(daemon.folder / 'notify'))
    with contextlib.suppress(BlockingIOError):
      while True:
        filler.send(b'STATUS=')
  daemon.process.start()
  daemon.reload('ignore-quota = always\n' + PATIENT)
  all_start(daemon.deliver(), '250')
  assert notified.next().strip() == 'READY=1', 'it was kept'
  assert notified.next().startswith('RELOADING=1'), 'that too, in order'
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  notified.socket.close()


def test_a_dial_is_cut_at_the_end_of_the_drain(new_daemon):
  """As of a store with all its processes in use: it takes the connection, and says nothing."""
  with socket.create_server(('127.0.0.1', 0)) as store:
    daemon = new_daemon('drain-timeout = 1s\n', f'{FRONT}destination = '
                        f'inet:127.0.0.1:{store.getsockname()[1]}\n')
    with daemon.dial() as client:
      send(client, 'alice')
      taken, _ = store.accept()
      daemon.process.terminate()
      assert client.line().startswith(b'451 4.4.2 Connection to the store lost: lmtpq is stopping')
      assert daemon.process.wait() == 0, 'status'
    taken.close()
  for odd_word in ('possible duplicate', 'reply-lost', 'event=store-down'):
    assert odd_word not in daemon.process.log_text(), odd_word


def test_without_a_further_thread_a_large_message_and_a_name_are_served(odd):
  """The disk and the look-up have no thread: the others wait, and nothing is lost."""
  daemon, system = odd
  daemon.configure(PATIENT, FRONT + NAMED)
  daemon.process.start()
  system.begin('threads')
  body = 1000 * (b'y' * 998 + b'\r\n')
  all_start(daemon.deliver(body=body), '250')
  assert daemon.store.filed[0][1].endswith(body)
  all_start(daemon.deliver(name='named'), '451')
  all_start(daemon.deliver(), '250')


def test_up_does_not_follow_the_wall_clock(odd):
  daemon, system = odd
  daemon.process.start()
  system.begin('clock')
  assert daemon.status()['uptime'] < 12 * 60 * 60
