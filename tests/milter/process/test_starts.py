"""How the milter starts and ends: background, pid file, socket, identity, signals."""

import ctypes
import grp
import os
import platform
import pwd
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from fixtures.odd_system import OddSystem
from fixtures.paths import VERSION, is_sanitized
from fixtures.process import log_is_written, wait_until
from fixtures.scratch import free_port, unix_listens
from peers.mta.session import Session

from .milter_process import (CLIENT, EX_CONFIG, EX_SOFTWARE, EX_TEMPFAIL, IGNORE, IS_ROOT, OTHER_USER, Process,
                             needs_root)


def as_other_user() -> dict:
  """How to start a program as a user other than root."""
  entry = pwd.getpwnam(OTHER_USER)
  return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': []} if IS_ROOT else {}


def soft_limit(name: int, most: int):
  resource.setrlimit(name, (most, resource.getrlimit(name)[1]))


def killed_at_ftruncate():
  """From now on that system call kills this process: a seccomp filter of four instructions."""
  number = {'x86_64': 77, 'aarch64': 46}[platform.machine()]
  load, if_equal, give = 0x20, 0x15, 0x06
  kill, allow = 0x80000000, 0x7fff0000
  code = b''.join(struct.pack('HBBI', *one) for one in (
      (load, 0, 0, 0), (if_equal, 0, 1, number), (give, 0, 0, kill), (give, 0, 0, allow)))
  held = ctypes.create_string_buffer(code)
  program = struct.pack('HxxxxxxP', 4, ctypes.addressof(held))
  libc = ctypes.CDLL(None, use_errno=True)
  pr_set_seccomp, mode_filter, pr_set_no_new_privs = 22, 2, 38
  if libc.prctl(pr_set_no_new_privs, 1, 0, 0, 0) or libc.prctl(pr_set_seccomp, mode_filter, program):
    raise OSError(ctypes.get_errno(), 'prctl')


def standard_files(pid: int) -> list[str]:
  return [os.readlink(f'/proc/{pid}/fd/{number}') for number in range(3)]



class TestBackground(Process):
  def test_the_parent_ends_when_the_milter_serves(self):
    pid = self.start()
    assert self.pid_file.read_text() == f'{pid}\n'
    assert self.quota() == '*'

  def test_its_first_line_has_the_version(self):
    self.start()
    assert len(self.lines(f'event=serving version={VERSION} ')) == 1

  def test_it_leaves_its_terminal(self):
    pid = self.start()
    assert os.getsid(pid) == pid

  @needs_root
  def test_it_leaves_its_directory_and_its_files(self):
    pid = self.start()
    assert os.readlink(f'/proc/{pid}/cwd') == '/'
    assert standard_files(pid) == ['/dev/null'] * 3

  def test_standard_error_is_the_log_in_the_background_too(self):
    self.configure(IGNORE, log='stderr')
    with open(self.log, 'wb') as errors:
      status, _ = self.run_milter(stdout=errors, stderr=errors)
    assert status == 0
    assert self.quota() == '*'
    assert len(self.lines('qid=q1 ')) == 1

  @needs_root
  def test_the_log_is_all_that_it_keeps_open(self):
    self.configure(IGNORE, log='stderr')
    with open(self.log, 'wb') as errors:
      self.run_milter(stdout=errors, stderr=errors)
    files = standard_files(int(self.pid_file.read_text()))
    assert files == ['/dev/null', '/dev/null', str(self.log)]

  def with_closed_descriptors(self, *words: str) -> list[str]:
    return ['sh', '-c', 'exec "$0" "$@" <&- >&- 2>&-', self.binary, f'--config={self.config}',
            *words]

  def test_it_starts_with_closed_descriptors(self):
    assert subprocess.run(self.with_closed_descriptors(), timeout=60).returncode == 0
    pid = int(self.pid_file.read_text())
    assert self.quota() == '*'
    assert self.pid_file.read_text() == f'{pid}\n'

  def test_the_same_in_the_foreground_with_standard_error_as_the_log(self):
    # Its lines must go nowhere, and not into the socket or the pid file.
    self.configure(IGNORE, log='stderr')
    child = subprocess.Popen(self.with_closed_descriptors('--foreground'))
    wait_until(lambda: unix_listens(self.socket), 'the milter listens')
    assert self.quota() == '*'
    assert self.pid_file.read_text() == f'{child.pid}\n'
    child.terminate()
    assert child.wait(60) == 0

  @needs_root
  def test_closed_descriptors_are_opened_to_dev_null(self):
    subprocess.run(self.with_closed_descriptors(), timeout=60)
    assert standard_files(int(self.pid_file.read_text())) == ['/dev/null'] * 3

  @pytest.mark.parametrize('option, value, why', [
      ('socket', 'here', 'unix:PATH'), ('user', 'no-such-user', 'user: "no-such-user": no such user on this system'),
      ('tag_keys', '/nonexistent/keys', '/nonexistent/keys'), ('failure', 'perhaps', 'failure'),
      ('pid_file', '/nonexistent/pid', 'pid-file: "/nonexistent/pid": No such file'),
      ('socket', 'unix:/nonexistent/socket', 'mkdir -p -m 755 /nonexistent, ')])
  def test_mistakes_end_the_parent_with_78_and_leave_no_files(self, option, value, why):
    self.configure(IGNORE, **{option: value})
    self.refused(why)
    assert list(self.run_folder.iterdir()) == []

  def failing_child(self, limit) -> tuple[int, str]:
    """It meets the limit when it writes its pid file, after the fork."""
    self.configure(IGNORE, log='stderr')
    ran = subprocess.run([self.binary, f'--config={self.config}'], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, text=True,
                         preexec_fn=limit)
    return ran.returncode, ran.stdout

  def test_a_child_that_fails_is_the_parents_failure(self):
    status, output = self.failing_child(lambda: soft_limit(resource.RLIMIT_FSIZE, 0))
    assert status == EX_CONFIG, output
    assert f'pid-file: "{self.pid_file}": ' in output
    assert not self.socket.exists()

  def test_a_child_that_is_killed_is_the_parents_failure(self):
    status, output = self.failing_child(killed_at_ftruncate)
    assert status == EX_SOFTWARE, output

  def test_it_takes_all_the_descriptors_that_it_may(self):
    pid = self.start(preexec_fn=lambda: soft_limit(resource.RLIMIT_NOFILE, 64))
    limits = Path(f'/proc/{pid}/limits').read_text().partition('Max open files')[2].split()
    assert limits[0] == limits[1]
    assert limits[0] != '64'


  # trap: milter-without-descriptors
  def test_too_few_descriptors_are_refused(self):
    few = (20, 20)
    self.refused('the process may open 20 files, and needs 32 at least',
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few))


class TestPidFile(Process):
  def test_its_former_contents_are_replaced(self):
    self.pid_file.write_text('9' * 200 + '\n')
    pid = self.start()
    assert self.pid_file.read_text() == f'{pid}\n'

  def test_another_milter_that_holds_it_stays_the_only_one(self):
    pid = self.start()
    other = self.run_folder / 'other'
    self.refused('locked by another lmtpq-milter', f'--socket=unix:{other}')
    assert self.pid_file.read_text() == f'{pid}\n'
    assert not other.exists()
    assert self.quota() == '*'

  # trap: log-through-a-link
  def test_a_file_with_a_second_name_is_refused_and_left_alone(self):
    target = self.folder / 'precious'
    target.write_text('precious')
    self.pid_file.hardlink_to(target)
    self.refused('Too many links')
    assert target.read_text() == 'precious'

  def test_the_file_of_another_milter_is_not_removed(self):
    pid = self.start()
    self.pid_file.unlink()
    other = self.start(f'--socket=unix:{self.run_folder}/other')
    assert self.end(pid) == 0
    assert self.pid_file.read_text() == f'{other}\n'

  def test_a_link_is_refused_and_left_alone(self):
    target = self.folder / 'precious'
    target.write_text('precious')
    self.pid_file.symlink_to(target)
    self.refused('pid-file')
    assert target.read_text() == 'precious'
    assert self.pid_file.is_symlink()

  @needs_root
  def test_where_the_user_may_not_remove_it_it_is_emptied(self):
    for _ in range(2):
      pid = self.start('--user', OTHER_USER)
      assert self.end(pid) == 0
      assert self.pid_file.read_bytes() == b''


class TestSocketFile(Process):
  @property
  def lock(self) -> Path:
    return self.socket.with_name('socket.lock')

  def test_it_is_for_its_owner_alone_whatever_the_umask(self):
    self.start(umask=0)
    assert stat.S_IMODE(self.socket.lstat().st_mode) == 0o600
    assert self.socket.lstat().st_uid == os.geteuid()

  @needs_root
  def test_it_is_given_to_the_user(self):
    self.start('--user', OTHER_USER)
    entry, facts = pwd.getpwnam(OTHER_USER), self.socket.lstat()
    assert (facts.st_uid, facts.st_gid) == (entry.pw_uid, entry.pw_gid)
    assert self.quota() == '*'

  def test_a_stale_one_is_replaced(self):
    with socket.socket(socket.AF_UNIX) as former:
      former.bind(str(self.socket))
    self.start()
    assert self.quota() == '*'

  def test_a_file_or_a_link_is_refused_and_left_alone(self):
    target = self.folder / 'precious'
    target.write_text('precious')
    for make in (lambda: shutil.copy(target, self.socket), lambda: self.socket.symlink_to(target)):
      make()
      self.refused('is not a socket')
      assert self.socket.read_text() == 'precious'
      self.socket.unlink()
    assert list(self.run_folder.iterdir()) == []

  def test_another_programs_is_refused_and_left_alone(self):
    with socket.socket(socket.AF_UNIX) as other:
      other.bind(str(self.socket))
      other.listen()
      self.refused('another program listens there')
      assert unix_listens(self.socket)
    assert list(self.run_folder.iterdir()) == [self.socket]

  def test_another_milters_is_refused_and_left_alone(self):
    self.start()
    self.refused('another program listens there', '--pid-file=')
    assert self.quota() == '*'

  # trap: second-start-takes-the-socket
  @needs_root
  def test_a_second_start_of_the_user_who_owns_the_folder_is_refused(self):
    for path in (self.run_folder, self.folder):
      shutil.chown(path, OTHER_USER)
    self.start()
    shutil.chown(self.keys, OTHER_USER)
    for lock, why in ((True, 'another program listens there'), (False, 'Permission denied')):
      if not lock:
        self.lock.unlink()
      self.refused(why, '--pid-file=', **as_other_user())
    assert self.quota() == '*'

  def test_a_second_start_is_refused_by_the_lock_where_the_file_is_gone(self):
    self.start()
    self.socket.unlink()
    self.refused('another program listens there', '--pid-file=')
    wait_until(lambda: unix_listens(self.socket), 'the socket is opened again')
    assert self.quota() == '*'

  # trap: socket-file-removed
  def test_one_that_was_removed_is_opened_again(self):
    pid = self.start()
    for number in (1, 2):
      self.socket.unlink()
      lost = wait_until(lambda: self.lines('event=socket-lost')[number - 1:], 'the loss is logged')
      assert (f'level=warning event=socket-lost socket=unix:{self.socket} change=removed '
              'effect="opened again"') in lost[0]
      assert stat.S_IMODE(self.socket.lstat().st_mode) == 0o600
      assert self.quota() == '*'
    assert self.end(pid) == 0
    assert list(self.run_folder.iterdir()) == []

  def test_that_of_another_program_is_neither_taken_nor_removed(self):
    # As another user, for whom libmilter would remove any socket at its path.
    if IS_ROOT:
      self.log.touch()
      for path in (self.run_folder, self.keys, self.folder, self.log):
        shutil.chown(path, OTHER_USER)
    pid = self.start(**as_other_user())
    self.socket.unlink()
    with socket.socket(socket.AF_UNIX) as other:
      other.bind(str(self.socket))
      other.listen()
      self.socket.chmod(0o666)
      wait_until(lambda: self.lines('level=error event=socket-lost', 'another program listens there'),
                 'the loss is logged')
      assert self.end(pid) == 0
      assert unix_listens(self.socket)

  def test_a_port_that_is_taken_is_refused(self):
    with socket.create_server(('127.0.0.1', 0)) as other:
      self.refused('Address already in use', f'--socket=inet:{other.getsockname()[1]}@127.0.0.1')


class TestIdentity(Process):
  @needs_root
  def test_it_becomes_the_user_wholly(self):
    pid = self.start('--user', OTHER_USER, extra_groups=[0, grp.getgrnam('adm').gr_gid])
    entry = pwd.getpwnam(OTHER_USER)
    status = dict(line.split(':\t', 1)
                  for line in Path(f'/proc/{pid}/status').read_text().splitlines())
    assert status['Uid'].split() == [str(entry.pw_uid)] * 4
    assert status['Gid'].split() == [str(entry.pw_gid)] * 4
    groups = {int(word) for word in status['Groups'].split()}
    assert groups == set(os.getgrouplist(OTHER_USER, entry.pw_gid))
    assert status['CapEff'].strip('0') == ''

  def give_away(self):
    if IS_ROOT:
      for path in (self.run_folder, self.keys, self.folder):
        shutil.chown(path, OTHER_USER)

  # trap: log-through-a-link
  @needs_root
  @pytest.mark.parametrize('owner, followed', [('root', True), (OTHER_USER, False)])
  def test_of_links_to_the_log_root_follows_only_its_own(self, owner, followed):
    target = self.folder / 'target'
    target.write_text('')
    self.log.symlink_to(target)
    shutil.chown(self.folder, OTHER_USER)
    os.lchown(self.log, pwd.getpwnam(owner).pw_uid, -1)
    pid = self.start()
    assert self.quota() == '*'
    log_is_written(pid)
    assert ('qid=q1 ' in target.read_text()) == followed

  def test_a_user_other_than_root_becomes_no_other_user(self):
    self.give_away()
    self.refused('user: "root": only root can become another user', '--user=root', '--tag-keys=',
                 **as_other_user())
    assert list(self.run_folder.iterdir()) == []

  @pytest.mark.may_skip('a sanitizer')
  def test_its_keys_are_in_no_core_dump_and_no_other_process_reads_them(self):
    if is_sanitized(self.binary):
      pytest.skip('a sanitizer must trace its process')
    self.give_away()
    pid = self.start(**as_other_user())
    user = int(Path(f'/proc/{pid}/status').read_text().partition('Uid:')[2].split()[0])
    assert user != 0
    # Of a process that cannot be dumped /proc belongs to root (proc(5)).
    assert Path(f'/proc/{pid}/mem').stat().st_uid != user

  @needs_root
  def test_it_warns_when_the_user_cannot_read_again_what_root_could(self):
    self.log_of_other_user()
    self.config.chmod(0o600)
    pid = self.start('--user', OTHER_USER)
    warnings = self.lines('level=warning event=reload-will-fail', f'user={OTHER_USER}')
    assert len(warnings) == 1
    assert 'remedy=' in warnings[0]
    assert 'event=reload-failed' in self.hang_up(pid)[-1]
    assert self.quota() == '*'

  @needs_root
  def test_it_warns_of_nothing_when_the_user_can_read_all(self):
    self.log_of_other_user()
    shutil.chown(self.keys, OTHER_USER)
    pid = self.start('--user', OTHER_USER)
    assert self.lines('level=warning') == []
    self.reloads_well(pid)

  def log_of_other_user(self):
    self.log.touch()
    shutil.chown(self.log, OTHER_USER)


class TestSignals(Process):
  @pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
  def test_term_and_int_end_it_and_nothing_is_left(self, number):
    pid = self.start()
    assert self.quota() == '*'
    assert self.end(pid, number) == 0
    assert list(self.run_folder.iterdir()) == []
    assert f'event=stopped signal={number.name[3:]}' in self.lines()[-1]

  def test_with_a_session_open_it_ends_too(self):
    pid = self.start()
    session = Session(str(self.socket))
    session.client(CLIENT)
    assert self.end(pid) == 0
    session.close(quit_first=False)

  def test_after_kill_9_it_starts_again(self):
    killed = self.start()
    assert self.end(killed, signal.SIGKILL) == -signal.SIGKILL
    assert self.socket.exists() and self.pid_file.exists()
    pid = self.start()
    assert pid != killed
    assert self.quota() == '*'

  @pytest.mark.may_skip('a sanitizer')
  @pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2],
                           ids=lambda one: one.name)
  def test_of_signals_during_a_start_only_sigterm_ends_it(self, number):
    if is_sanitized(self.binary):
      pytest.skip('a sanitizer wants to be the first library')
    system = OddSystem(self.folder)
    system.begin('dns')
    child = subprocess.Popen([self.binary, f'--config={self.config}', '--foreground',
                              f'--socket=inet:{free_port()}@silent.test'],
                             env=os.environ | system.environment, stderr=subprocess.PIPE, text=True)
    wait_until(system.was_asked, 'the start waits for the DNS')
    child.send_signal(number)
    if number != signal.SIGTERM:
      system.end('dns')  # which then says that it cannot look up the name
    assert child.wait(60) == (0 if number == signal.SIGTERM else EX_TEMPFAIL), child.stderr.read()
    assert list(self.run_folder.iterdir()) == []

  @pytest.mark.parametrize('number', [signal.SIGUSR1, signal.SIGUSR2], ids=lambda one: one.name)
  def test_signals_without_a_meaning_are_ignored(self, number):
    pid = self.start()
    os.kill(pid, number)
    assert self.quota() == '*'
    assert self.end(pid) == 0
