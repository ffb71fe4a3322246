"""A second start harms nobody, and the daemon's sockets stay its own: locks, stale files, files that
were removed or replaced, and sockets that systemd passed."""

import fcntl
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from fixtures.lmtp_client import Client
from fixtures.process import wait_until
from fixtures.scratch import free_port, unix_listens

from .daemon import FRONT, Daemon, all_start, message

BUSY = 'another program listens there; stop it first'
KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
TWO = FRONT + FRONT.replace('front', 'back')
OTHER = 'nobody'

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')


def second_start(daemon: Daemon, program: Path | None = None, **how) -> str:
  """What another start with the same file is refused with."""
  ran = subprocess.run([program or daemon.process.program, 'serve', '--config', daemon.process.config],
                       capture_output=True, timeout=60, text=True, **how)
  assert ran.returncode == 78, ran
  return ran.stderr


def as_other_user() -> dict:
  entry = pwd.getpwnam(OTHER)
  return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': []}


def files(daemon: Daemon) -> set[str]:
  return {path.name for path in daemon.folder.iterdir() if path.name.startswith(('front', 'back'))}


def of_other_user(new_daemon) -> tuple[Daemon, Path]:
  """A daemon that has not been started, in the other user's folder, and a program in reach of that user."""
  daemon = new_daemon(start=False)
  program = daemon.copy_of_program()
  shutil.chown(daemon.folder, OTHER, pwd.getpwnam(OTHER).pw_gid)
  return daemon, program


# trap: second-start-takes-the-socket
@pytest.mark.may_skip('only root')
@needs_root
def test_a_second_start_of_the_user_who_owns_the_folder_leaves_roots_daemon_alone(new_daemon):
  daemon, program = of_other_user(new_daemon)
  daemon.process.start()
  said = second_start(daemon, program, **as_other_user())
  assert BUSY in said, said
  # Nor without the lock: EACCES does not mean that nobody listens.
  (daemon.folder / 'front.lock').unlink()
  said = second_start(daemon, program, **as_other_user())
  assert 'another program may listen there (connect: Permission denied)' in said, said
  all_start(daemon.deliver(), '250')


def test_a_second_start_leaves_all_listeners_alone(new_daemon):
  daemon = new_daemon('', TWO)
  (daemon.folder / 'back').unlink()
  (daemon.folder / 'back.lock').unlink()
  wait_until(lambda: unix_listens(daemon.folder / 'back'), 'it is opened again')
  assert BUSY in second_start(daemon)
  for name in ('front', 'back'):
    all_start(daemon.deliver(name=name), '250')


@pytest.mark.may_skip('only root')
@needs_root
def test_a_start_without_threads_is_tried_again(new_daemon):
  daemon, program = of_other_user(new_daemon)
  ran = subprocess.run(['prlimit', '--nproc=1:1', program, 'serve', '--config', daemon.process.config],
                       capture_output=True, timeout=60, text=True, **as_other_user())
  assert ran.returncode == 75, ran
  assert 'cannot start a thread' in ran.stderr and 'TasksMax=' in ran.stderr, ran


def test_a_start_reads_keys_before_it_touches_a_socket(new_daemon):
  daemon = new_daemon()
  daemon.process.kill()
  before = (daemon.folder / 'front').stat().st_ino
  (daemon.folder / 'keys').write_text(KEY + '\n')
  (daemon.folder / 'keys').chmod(0o644)
  daemon.configure('', FRONT + f'tag-keys = {daemon.folder}/keys\n')
  assert 'others may read' in second_start(daemon)
  assert (daemon.folder / 'front').stat().st_ino == before, 'the stale file is untouched'


def test_a_start_that_fails_after_its_sockets_are_open_leaves_no_file(new_daemon):
  daemon = new_daemon(start=False)
  daemon.configure('route-file = /nonexistent/routes\n')
  assert '/nonexistent/routes' in second_start(daemon)
  assert files(daemon) == set()


def test_a_start_after_kill_9_replaces_what_is_stale(new_daemon):
  daemon = new_daemon()
  daemon.process.kill()
  assert files(daemon) == {'front', 'front.lock'}
  daemon.process.start()
  all_start(daemon.deliver(), '250')
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  assert files(daemon) == set()


def test_a_start_is_refused_where_the_lock_cannot_be_made(new_daemon):
  daemon = new_daemon(start=False)
  (daemon.folder / 'front.lock').mkdir()
  said = second_start(daemon)
  assert f'"{daemon.folder}/front.lock": Is a directory' in said, said
  assert files(daemon) == {'front.lock'}


def far_from_3(one) -> socket.socket:
  """A copy of the descriptor, as start_with() wants it; it is closed with the test's process."""
  return SimpleNamespace(fileno=lambda number=fcntl.fcntl(one.fileno(), fcntl.F_DUPFD_CLOEXEC, 100): number)


def lost(daemon: Daemon, path: Path, change: str) -> str:
  return f'level=warning event=socket-lost socket=unix:{path} change={change} effect="opened again"'


# trap: socket-file-removed
def test_a_socket_that_was_removed_or_replaced_is_opened_again(daemon):
  front = daemon.folder / 'front'
  before = daemon.dial()
  for number, change in enumerate(('removed', 'replaced', 'removed'), 1):
    front.unlink()
    if change == 'replaced':
      with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(front))
    wait_until(lambda: daemon.process.count('event=socket-lost') == number, 'the loss is logged')
    assert lost(daemon, front, change) in daemon.process.log_lines('event=socket-lost')[-1]
    all_start(daemon.deliver(), '250')
  all_start(before.deliver(message()), '250')
  before.close()


def test_the_socket_of_the_status_is_opened_again(daemon):
  control = daemon.process.folder / 'control'
  control.unlink()
  daemon.wait_for_log(lost(daemon, control, 'removed'))
  assert daemon.status()['stores']


def test_the_socket_of_the_metrics_is_opened_again(new_daemon):
  daemon = new_daemon('metrics = unix:{folder}/front.metrics\n')
  metrics = daemon.folder / 'front.metrics'
  for number in (1, 2):
    metrics.unlink()
    wait_until(lambda: daemon.process.count('event=socket-lost') == number, 'the loss is logged')
    assert lost(daemon, metrics, 'removed') in daemon.process.log_lines('event=socket-lost')[-1]
    with socket.socket(socket.AF_UNIX) as client:
      client.settimeout(60)
      client.connect(str(metrics))
      client.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
      assert client.recv(100).startswith(b'HTTP/1.1 200 OK'), 'it is answered'
  daemon.process.terminate()
  assert daemon.process.wait() == 0
  assert files(daemon) == set()


@pytest.mark.may_skip('only root')
@needs_root
def test_the_default_socket_of_the_status_is_opened_as_soon_as_it_can_be(new_daemon):
  daemon = new_daemon(start=False)
  daemon.process.config.write_text(daemon.process.config.read_text().replace('control = ', '# '))
  daemon.process.before = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /run && exec "$@"', 'sh']
  daemon.process.start()
  daemon.wait_for_log('level=warning event=control-socket-failed')
  inside = ['nsenter', '-m', '-t', str(daemon.process.pid)]
  subprocess.run([*inside, 'mkdir', '/run/lmtpq'], check=True)
  daemon.wait_for_log('event=control-socket-opened socket=/run/lmtpq/control '
                      'effect="serve --status is available"')
  shown = subprocess.run([*inside, daemon.process.program, 'serve', '--config', '/dev/null', '--status'],
                         capture_output=True, timeout=60, text=True)
  assert shown.returncode == 0 and f'pid {daemon.process.pid} ' in shown.stdout, shown
  assert daemon.process.count('event=control-socket-failed') == 1


@pytest.mark.may_skip('only root')
@needs_root
def test_without_proc_the_reason_is_told(new_daemon):
  ran = subprocess.run(['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh',
                        new_daemon(start=False).process.program, 'serve', '--version'],
                       capture_output=True, timeout=60, text=True)
  assert ran.returncode == 72, ran
  assert ran.stderr == ('lmtpq: cannot find lmtpq-serve: /proc/self/exe: No such file or directory; '
                        'mount /proc\n')


# trap: link-on-the-way
@pytest.mark.may_skip('only root')
@needs_root
def test_root_follows_no_link_of_its_service_s_user(new_daemon):
  daemon = new_daemon(f'user = {OTHER}\n', '[listener.l]\naddress = unix:{folder}/run/sub/s\n', start=False)
  for name, mode in (('run', 0o755), ('private', 0o700)):
    (daemon.folder / name).mkdir(mode=mode)
  link = daemon.folder / 'run/sub'
  link.symlink_to(daemon.folder / 'private')
  for path in (daemon.folder / 'run', link):
    os.lchown(path, pwd.getpwnam(OTHER).pw_uid, -1)
  said = second_start(daemon)
  assert f'listener unix:{link}/s: "{link}/s.lock": Too many levels of symbolic links; the path leads ' \
         'over a symbolic link of another user' in said, said
  assert not list((daemon.folder / 'private').iterdir())


def test_a_socket_of_another_program_is_left_to_it(daemon):
  front = daemon.folder / 'front'
  front.unlink()
  with socket.socket(socket.AF_UNIX) as other:
    other.bind(str(front))
    other.listen()
    inode = front.stat().st_ino
    daemon.wait_for_log(f'level=error event=socket-lost socket=unix:{front} change=replaced '
                        f'error="{BUSY}" effect="clients cannot connect"')
    daemon.process.terminate()
    assert daemon.process.wait() == 0
    assert front.stat().st_ino == inode and unix_listens(front), 'only what is ours is removed'


def test_a_socket_comes_back_with_its_folder(new_daemon):
  """As systemd removes a RuntimeDirectory= that two services share, and makes it again."""
  daemon = new_daemon('', '[listener.run]\naddress = unix:{folder}/run/front\n', start=False)
  (daemon.folder / 'run').mkdir()
  daemon.process.start()
  shutil.rmtree(daemon.folder / 'run')
  daemon.wait_for_log('event=socket-lost')
  assert 'No such file or directory' in daemon.process.log_lines('event=socket-lost')[0]
  (daemon.folder / 'run').mkdir()
  daemon.wait_for_log('effect="opened again"')
  all_start(daemon.deliver(name='run/front'), '250')
  assert daemon.process.count('event=socket-lost') == 2


def test_a_socket_is_not_what_a_reload_removes_or_adds(new_daemon):
  daemon = new_daemon('', TWO)
  assert files(daemon) == {'front', 'front.lock', 'back', 'back.lock'}
  daemon.reload('', FRONT)
  assert files(daemon) == {'front', 'front.lock'}
  daemon.reload('', TWO)
  all_start(daemon.deliver(name='back'), '250')
  assert daemon.process.count('event=socket-lost') == 0


# trap: activated-by-port
@pytest.mark.parametrize('order', [(1, 2), (2, 1)])
def test_a_passed_socket_goes_to_the_listener_of_the_same_address(new_daemon, passed, order):
  """Two listeners of one port: each has its own rights."""
  port = free_port()
  daemon = new_daemon('ignore-quota = never\n', f"""[listener.a]
address = inet:127.0.0.1:{port}
[listener.b]
address = inet:127.0.0.2:{port}
ignore-quota = always
""", start=False)
  daemon.start_with([passed((f'127.0.0.{last}', port)) for last in order], 'lmtpq.socket:lmtpq.socket')
  for host, ignored in (('127.0.0.1', False), ('127.0.0.2', True)):
    with Client(f'inet:{host}:{port}') as client:
      all_start(client.deliver(message()), '250')
    rcpt = daemon.store.connections[-1].said('RCPT')[-1]
    assert rcpt.endswith(' IGNOREQUOTA') == ignored, (host, rcpt)


def test_a_passed_socket_that_no_listener_has_is_an_error_at_start(new_daemon, passed):
  daemon = new_daemon(start=False)
  with pytest.raises(AssertionError):
    daemon.start_with([passed(daemon.folder / 'stray')], 'stray')
  said = daemon.process.output.read_text()
  assert (f'lmtpq: systemd passed sockets that no listener has: stray (unix:{daemon.folder}/stray); '
          'add a [listener.NAME] with this address') in said, said
  assert files(daemon) == set()


@pytest.mark.parametrize('kind, why', [
    ('datagram', 'a datagram socket'), ('packets', 'a socket of sequential packets'),
    ('accepted', 'the connection of one client'), ('silent', 'a socket that does not listen'),
    ('pipe', 'no socket')])
def test_a_passed_descriptor_at_which_nobody_can_be_accepted_is_an_error(new_daemon, kind, why):
  daemon = new_daemon(start=False)
  path = str(daemon.folder / 'front')
  types = {'datagram': socket.SOCK_DGRAM, 'packets': socket.SOCK_SEQPACKET}
  made = socket.socket(socket.AF_UNIX, types.get(kind, socket.SOCK_STREAM))
  made.bind(path)
  others = []
  if kind in ('packets', 'accepted'):
    made.listen()
  if kind == 'accepted':
    others = [made, socket.socket(socket.AF_UNIX)]
    others[1].connect(path)
    made = made.accept()[0]
  if kind == 'pipe':
    others = [made, *map(open, os.pipe())]
    made = others[1]
  with pytest.raises(AssertionError, match='ended with status 78'):
    daemon.start_with([far_from_3(made)], 'some.socket')
  said = daemon.process.output.read_text()
  assert 'LISTEN_FDS: systemd passed some.socket (' in said, said
  assert f', which is {why}; use ListenStream= and Accept=no in its unit' in said, said
  for one in (made, *others):
    one.close()


def test_a_passed_socket_whose_file_is_lost_is_logged_with_the_remedy(new_daemon, passed):
  daemon = new_daemon('', TWO, start=False)
  daemon.start_with([passed(daemon.folder / name) for name in ('front', 'back')], 'a:b')
  (daemon.folder / 'front').unlink()
  (daemon.folder / 'back').unlink()
  (daemon.folder / 'back').touch()
  for name, change in (('front', 'removed'), ('back', 'replaced')):
    daemon.wait_for_log(f'level=error event=socket-lost socket=unix:{daemon.folder}/{name} change={change} '
                        'effect="clients cannot connect" remedy="systemd made it: stop lmtpq.socket '
                        'and lmtpq.service, then start both"')
  daemon.reload('', TWO)
  assert daemon.process.count('event=socket-lost') == 2


# trap: passed-socket-closed-by-a-reload
def test_a_passed_socket_survives_a_failed_reload_and_the_removal_of_its_listener(new_daemon, passed):
  daemon = new_daemon('', TWO, start=False)
  daemon.start_with([passed(daemon.folder / name) for name in ('front', 'back')], 'a:b')
  inode = (daemon.folder / 'back').stat().st_ino
  daemon.reload('', FRONT)
  daemon.wait_for_log(f'event=socket-unused socket="b (unix:{daemon.folder}/back)" '
                      'effect="clients that connect to it wait"')
  daemon.reload('', TWO + '[listener.no]\naddress = unix:{folder}/none/here\n', 'event=reload-failed')
  daemon.reload('', TWO)
  all_start(daemon.deliver(name='back'), '250')
  assert (daemon.folder / 'back').stat().st_ino == inode, 'it is the same socket'
  assert files(daemon) == {'front', 'back'}, 'without locks'
