"""SIGUSR2, and SIGHUP after the program was replaced: a new process takes over, and no client sees it.
A new process that cannot start changes nothing."""

import os
import pwd
import re
import shutil
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from fixtures.lmtp_client import Client, Gone
from fixtures.messages import message_id
from fixtures.process import open_files, send_signal, wait_until
from fixtures.scratch import free_port, unix_listens

from .daemon import FRONT, Daemon, all_start, message
from .test_signals import Notifications
from .upgrade import Bringer

MESSAGES, CLIENTS, UPGRADES = 5000, 8, 10
TCP = '[listener.tcp]\naddress = inet:127.0.0.1:{port}\n'
OTHER = 'nobody'
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')


@pytest.mark.weight(2)
def test_no_message_is_refused_lost_or_doubled_while_the_daemon_is_upgraded_ten_times(daemon):
  bringers = [Bringer(daemon, MESSAGES // CLIENTS, stays=number % 2 == 0) for number in range(CLIENTS)]

  def accepted() -> int:
    errors = [bringer.error for bringer in bringers if bringer.error]
    assert not errors, errors
    return sum(len(bringer.accepted) for bringer in bringers)

  for bringer in bringers:
    bringer.start()
  former = []
  for upgrade in range(UPGRADES):
    wait_until(lambda: accepted() > MESSAGES * (upgrade + 1) // (UPGRADES + 2), 'messages flow')
    former.append(daemon.process.upgrade())
  wait_until(lambda: accepted() == MESSAGES, 'all messages are accepted')
  assert all(server.child.wait(60) == 0 for server in former), 'they have drained'
  assert max(bringer.connections for bringer in bringers if bringer.stays) <= UPGRADES + 1
  filed = [message_id(raw) for _, raw in daemon.store.filed]
  assert len(filed) == len(set(filed)) == MESSAGES, (len(filed), len(set(filed)))
  assert set(filed) == {one for bringer in bringers for one in bringer.accepted}
  assert len({server.pid for server in former} | {daemon.process.pid}) == UPGRADES + 1
  log = daemon.process.log_text()
  assert 'level=warning' not in log and 'level=error' not in log and 'possible duplicate' not in log


def test_a_message_in_progress_ends_at_the_process_that_has_it(daemon):
  all_start(daemon.deliver_at_once('a', 'b', 'c'), '250')
  daemon.store.filed.clear()
  held = daemon.held('first')
  former = daemon.process.upgrade()
  wait_until(lambda: daemon.store.open == 1, 'the other connections to the store are closed')
  assert former.child.poll() is None, 'it waits for its message'
  daemon.store.hold.set()
  all_start(held.end(), '250')
  assert former.child.wait(60) == 0
  all_start(daemon.deliver('second'), '250')
  assert daemon.store.boxes() == ['first', 'second']


def test_a_client_that_has_connected_and_sent_nothing_may_send_its_message(daemon):
  with Client(f'unix:{daemon.folder}/front', greet=False) as client:
    assert client.reply().startswith('220')
    former = daemon.process.upgrade()
    client.offers = client.ask('LHLO client.test', whole=True).upper().split('\n')
    all_start(client.deliver(message()), '250')
    assert former.child.wait(60) == 0


def inode(path: Path) -> int:
  return path.stat().st_ino


def test_sockets_locks_status_and_metrics_are_those_of_the_new_process(new_daemon):
  port, metrics = free_port(), free_port()
  daemon = new_daemon(f'metrics = 127.0.0.1:{metrics}\n', FRONT + TCP.replace('{port}', str(port)))
  control = daemon.process.folder / 'control'
  names = [daemon.folder / name for name in ('front', 'front.lock')] + [control]
  before = [inode(path) for path in names]
  for _ in range(2):
    assert daemon.process.upgrade().child.wait(60) == 0
  assert [inode(path) for path in names] == before, 'they are the same files'
  assert os.readlink(f'/proc/{daemon.process.pid}/fd/2') == str(daemon.process.output), 'standard error, too'
  all_start(daemon.deliver(), '250')
  with Client(f'inet:127.0.0.1:{port}') as client:
    all_start(client.deliver(message()), '250')
  text = urllib.request.urlopen(f'http://127.0.0.1:{metrics}/metrics', timeout=60).read().decode()
  assert re.search(r'^lmtpq_messages_total 2$', text, re.M), text
  assert daemon.status()['messages'] == 2
  # The lock still refuses a second start, without the socket's help.
  with pytest.raises(AssertionError, match='another program listens there'):
    second = Daemon.__new__(Daemon)
    second.process = type(daemon.process)(daemon.folder / 'second', program=daemon.process.program)
    (daemon.folder / 'front').unlink()
    second.process.write(daemon.filled('destination = {store}\n' + FRONT))
    second.process.start()
  daemon.wait_for_log(f'event=socket-lost socket=unix:{daemon.folder}/front')
  for path in (daemon.folder / 'front', control):
    path.unlink(missing_ok=True)
  wait_until(lambda: unix_listens(daemon.folder / 'front') and unix_listens(control),
             'both are opened again')
  all_start(daemon.deliver(), '250')
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  assert not any(path.exists() for path in [*names, control]), 'the last one removes them'


def replace(program: Path, content: bytes | None, mode: int = 0o755):
  """As a package does: another file gets the name."""
  made = program.with_suffix('.new')
  made.write_bytes(program.read_bytes() if content is None else content)
  made.chmod(mode)
  made.rename(program)


def with_own_program(daemon: Daemon) -> Path:
  """The program of the daemon that will start, which the test may replace."""
  daemon.process.program = daemon.copy_of_program()
  return daemon.process.program.with_name('lmtpq-serve')


@pytest.fixture
def replaceable(new_daemon):
  daemon = new_daemon(start=False)
  program = with_own_program(daemon)
  daemon.process.start()
  return daemon, program


def test_a_reload_upgrades_when_the_program_was_replaced_and_only_then(replaceable):
  daemon, program = replaceable
  pid = daemon.process.pid
  daemon.reload('')
  assert daemon.status()['pid'] == pid
  replace(program, None)
  daemon.configure('', FRONT + FRONT.replace('front', 'second'))
  former = daemon.process.upgrade(signal.SIGHUP)
  assert former.child.wait(60) == 0
  assert os.readlink(f'/proc/{daemon.process.pid}/exe') == str(program), 'not a deleted file'
  all_start(daemon.deliver(name='second'), '250')
  assert 'event=upgrade reason=replaced' in daemon.process.log_text()
  daemon.reload('')
  assert daemon.process.alive(), 'the new one is the program on disk'


def unchanged(daemon: Daemon, word: str):
  """After an upgrade that failed, with `word` in the error."""
  daemon.wait_for_log('event=upgrade-failed')
  [line] = daemon.process.log_lines('event=upgrade-failed')
  assert word in line and 'level=error' in line and 'nothing changed' in line, line
  assert daemon.status()['pid'] == daemon.process.pid
  assert daemon.status()['failed_reloads'] == 1
  all_start(daemon.deliver(), '250')
  (daemon.folder / 'front').unlink()
  daemon.wait_for_log('event=socket-lost')
  all_start(daemon.deliver(), '250')
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  assert not list(daemon.folder.glob('front*')) and not list(daemon.folder.glob('second*'))


REAL_LIBRARY, NO_LIBRARY = b'libnettle.so', b'libnettlx.so'


@pytest.mark.parametrize('content, mode, word', [
    (b'#!/bin/sh\nexit 3\n', 0o755, 'status 3'),
    (b'#!/bin/sh\nkill -11 $$\n', 0o755, 'signal 11'),
    (b'#!/bin/sh\necho something is odd >&2\nexit 1\n', 0o755, 'something is odd'),
    (b'no program at all', 0o755, 'cannot run'),
    (NO_LIBRARY, 0o755, 'libnettlx.so'),
    (b'#!/bin/sh\nexit 0\n', 0o644, 'Permission denied')],
    ids=['ends', 'crashes', 'complains', 'no program', 'no library', 'no right'])
def test_a_program_that_cannot_start_changes_nothing(replaceable, content, mode, word):
  daemon, program = replaceable
  if content == NO_LIBRARY:
    content = program.read_bytes().replace(REAL_LIBRARY, NO_LIBRARY)
  replace(program, content, mode)
  daemon.process.hang_up()
  unchanged(daemon, word)


@pytest.mark.parametrize('settings, listeners, word', [
    ('no-such-thing = 1\n', FRONT, 'lmtpq.conf:4'),
    ('tag-keys = {folder}/none\n', FRONT, 'tag-keys'),
    ('', FRONT.replace('front', 'second') + '[listener.third]\naddress = unix:{folder}/no/place\n',
     '/no/place'),
    ('route-file = /nonexistent/routes\n', FRONT.replace('front', 'second') + FRONT, '/nonexistent'),
    ('metrics = 127.0.0.1:1\n', FRONT.replace('front', 'second'), 'metrics')],
    ids=['option', 'keys', 'socket', 'routes', 'metrics'])
def test_a_broken_configuration_changes_nothing(daemon, settings, listeners, word):
  if 'metrics' in word and os.geteuid() == 0:
    settings = 'metrics = 192.0.2.1:9\n'  # root may have port 1, and nobody this address
  daemon.configure(settings, listeners)
  send_signal(daemon.process.pid, signal.SIGUSR2)
  unchanged(daemon, word)


def test_listeners_that_are_no_longer_configured_end_with_the_upgrade(new_daemon):
  second = FRONT.replace('front', 'second')
  daemon = new_daemon('', FRONT + second)
  daemon.configure('', second + 'listen-mode = 0600\n')
  daemon.process.upgrade()
  wait_until(lambda: not list(daemon.folder.glob('front*')), 'its files are removed')
  with pytest.raises(Gone):
    daemon.dial()
  all_start(daemon.deliver(name='second'), '250')
  daemon.wait_for_log('event=restart-needed option=listen-mode')
  assert daemon.process.count('event=socket-lost') == 0


SLOW = b'#!/bin/sh\ntouch "$0.begun"\nwhile [ ! -e "$0.go" ]; do sleep 0.05; done\nexec "$0.real" "$@"\n'


@pytest.fixture
def slow(replaceable):
  """The program has been replaced by one that waits for a file."""
  daemon, program = replaceable
  shutil.copy(program, f'{program}.real')
  replace(program, SLOW)
  return daemon, lambda: Path(f'{program}.go').touch(), lambda: Path(f'{program}.begun').exists()


def test_a_second_signal_during_an_upgrade_is_ignored_and_a_reload_comes_after_it(slow):
  daemon, go, begun = slow
  former = daemon.process.server
  send_signal(former.pid, signal.SIGUSR2)
  wait_until(begun, 'the new process runs')
  send_signal(former.pid, signal.SIGUSR2)
  daemon.wait_for_log('event=upgrade-ignored')
  all_start(daemon.deliver(), '250')
  daemon.process.hang_up()
  go()
  daemon.process.follow(former)
  daemon.wait_for_log('event=reloaded')
  assert former.child.wait(60) == 0
  assert daemon.process.count('event=upgraded') == 1


def test_sigterm_during_an_upgrade_ends_both(slow):
  daemon, _, begun = slow
  send_signal(daemon.process.pid, signal.SIGUSR2)
  wait_until(begun, 'the new process runs')
  daemon.wait_for_log('event=upgrade ')
  new = int(re.search(r'new-pid=(\d+)', daemon.process.log_text())[1])
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  wait_until(lambda: not Path(f'/proc/{new}').exists(), 'the new process ends')
  assert not list(daemon.folder.glob('front*'))


LEAVES = b'#!/bin/sh\nsleep 1000 &\necho $! >"$0.child"\nexit 3\n'


# trap: upgrade-leaves-a-child
def test_a_program_that_leaves_a_child_has_ended_all_the_same(replaceable):
  daemon, program = replaceable
  real = program.read_bytes()
  replace(program, LEAVES)
  daemon.process.hang_up()
  daemon.wait_for_log('event=upgrade ')
  child = int(wait_until(lambda: Path(f'{program}.child').read_text() if Path(f'{program}.child').exists()
                         else '', 'the child runs'))
  try:
    unchanged(daemon, 'status 3')
    assert Path(f'/proc/{child}').exists(), 'it has what it got'
    replace(program, real)
    daemon.process.start()  # nobody else has the socket's lock
    all_start(daemon.deliver(), '250')
  finally:
    os.kill(child, signal.SIGKILL)


LISTS = b'#!/bin/sh\nls /proc/self/fd >"$0.fds"\nexit 9\n'


def test_the_new_process_inherits_no_descriptor(new_daemon):
  daemon = new_daemon(start=False)
  program = with_own_program(daemon)
  daemon.process.before = ['bash', '-c', 'exec "$@" 9</dev/null', 'bash']  # one that a library might open
  daemon.process.start()
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
    replace(program, LISTS)
    daemon.process.hang_up()
    daemon.wait_for_log('event=upgrade-failed')
    assert Path(f'{program}.fds').read_text().split() == ['0', '1', '2', '3'], '3 is of ls'


def test_descriptors_do_not_become_more(daemon):
  def number() -> int:
    wait_until(lambda: daemon.store.open == 0, 'no connection to the store')
    return len(open_files(daemon.process.pid))
  daemon.process.upgrade().child.wait(60)
  before = number()
  for _ in range(3):
    daemon.process.upgrade().child.wait(60)
  assert number() == before


SMALL = 'upgrade-memory = {size}\nupgrade-memory-time = {time}\n'


def test_a_process_that_keeps_too_much_memory_upgrades_once_an_hour(new_daemon):
  daemon = new_daemon(SMALL.format(size='100k', time='1s'))
  former = daemon.process.server
  daemon.process.follow(former)
  assert former.child.wait(60) == 0
  [line] = daemon.process.log_lines('event=upgrade ')
  figures = {name: int(value) for name, value in re.findall(r' (anonymous|used|limit)=(\d+)', line)}
  assert 'reason=memory' in line and figures['limit'] == 100 * 1024, line
  assert figures['anonymous'] > figures['limit'] + figures['used'], line
  all_start(daemon.deliver(), '250')
  # The next one knows when that was, also after another upgrade.
  assert daemon.process.upgrade().child.wait(60) == 0
  time.sleep(3)
  assert daemon.process.count('reason=memory') == 1


@pytest.mark.parametrize('size, time_above', [('0', '0s'), ('1G', '0s'), ('100k', '1h')],
                         ids=['turned off', 'little memory', 'not for long'])
def test_a_process_does_not_upgrade_for_memory(new_daemon, size, time_above):
  daemon = new_daemon(SMALL.format(size=size, time=time_above))
  time.sleep(2.5)  # it looks each second
  assert daemon.process.count('event=upgrade') == 0


def test_systemd_is_told_the_new_main_process(new_daemon):
  daemon = new_daemon(start=False)
  notified = Notifications(daemon)
  daemon.process.start()
  assert notified.next().strip() == 'READY=1'
  former = daemon.process.server
  send_signal(former.pid, signal.SIGUSR2)
  said = notified.next().strip()
  assert notified.next().strip() == 'READY=1', 'of the new one'
  daemon.process.follow(former)
  assert said == f'MAINPID={daemon.process.pid}'
  assert former.child.wait(60) == 0
  daemon.process.terminate()
  assert notified.next().strip() == 'STOPPING=1', 'the first one says no more'
  notified.socket.close()


def test_sigterm_lets_a_daemon_that_was_upgraded_go_on_draining(daemon):
  """systemd sends it to all processes of the unit."""
  held = daemon.held()
  former = daemon.process.upgrade()
  send_signal(former.pid, signal.SIGTERM)
  time.sleep(0.5)
  assert former.child.poll() is None, 'it waits for its message'
  daemon.store.hold.set()
  all_start(held.end(), '250')
  assert former.child.wait(60) == 0


def test_passed_sockets_are_passed_on_with_their_names(new_daemon, passed):
  """`spare` has no listener at the first upgrade, and gets one by a reload after it."""
  spare = '[listener.spare]\naddress = unix:{folder}/by-name\n'
  daemon = new_daemon('', FRONT + spare, start=False)
  daemon.start_with([passed(daemon.folder / name) for name in ('front', 'other')], 'a:spare')
  daemon.configure('', FRONT)
  for _ in range(2):
    assert daemon.process.upgrade().child.wait(60) == 0
  daemon.wait_for_log('event=socket-unused')
  all_start(daemon.deliver(), '250')
  daemon.reload('', FRONT + spare)
  all_start(daemon.deliver(name='other'), '250')
  assert daemon.process.upgrade().child.wait(60) == 0
  all_start(daemon.deliver(name='other'), '250')
  assert not list(daemon.folder.glob('*.lock'))


@needs_root
@pytest.mark.may_skip('only root')
def test_a_daemon_that_root_started_is_upgraded_by_its_user(new_daemon):
  port = free_port()
  daemon = new_daemon(f'user = {OTHER}\n', FRONT + TCP.replace('{port}', str(port)), start=False)
  with_own_program(daemon)
  for folder in (daemon.folder, daemon.process.folder):
    shutil.chown(folder, OTHER)
  (daemon.folder / 'store').chmod(0o666)
  daemon.process.start()
  (daemon.folder / 'front').chmod(0o660)
  front = inode(daemon.folder / 'front')
  assert daemon.process.upgrade().child.wait(60) == 0
  assert os.stat(f'/proc/{daemon.process.pid}').st_uid in (0, pwd.getpwnam(OTHER).pw_uid)
  status = Path(f'/proc/{daemon.process.pid}/status').read_text()
  assert re.search(rf'^Uid:\t{pwd.getpwnam(OTHER).pw_uid}\t', status, re.M), status
  assert inode(daemon.folder / 'front') == front
  all_start(daemon.deliver(), '250')
  # What only root can read.
  keys = daemon.folder / 'keys'
  keys.touch(mode=0o600)
  keys.write_text('k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n')
  daemon.configure(f'user = {OTHER}\ntag-keys = {keys}\n')
  send_signal(daemon.process.pid, signal.SIGUSR2)
  daemon.wait_for_log('event=upgrade-failed')
  [line] = daemon.process.log_lines('event=upgrade-failed')
  assert f'{keys}' in line and 'Permission denied' in line, line
  all_start(daemon.deliver(), '250')
