"""How the milter starts and ends: background, pid file, socket, identity, signals.

Called by: daemon.
"""

import grp
import os
import pwd
import resource
import shutil
import signal
import socket
import stat
import subprocess
import unittest
from pathlib import Path

from mta.session import Session
from fixtures.scratch import unix_listens

import cases
from cases import wait_until
from process import (CLIENT, EX_CONFIG, EX_SOFTWARE, IGNORE, IS_ROOT, OTHER_USER, Process,
                     needs_root)


def as_other_user() -> dict:
  """How to start a program as somebody who is not root."""
  entry = pwd.getpwnam(OTHER_USER)
  return {'user': entry.pw_uid, 'group': entry.pw_gid, 'extra_groups': []} if IS_ROOT else {}


def soft_limit(name: int, most: int):
  resource.setrlimit(name, (most, resource.getrlimit(name)[1]))


def standard_files(pid: int) -> list[str]:
  return [os.readlink(f'/proc/{pid}/fd/{number}') for number in range(3)]


sees_files = unittest.skipUnless(IS_ROOT, 'only root sees the files of a process with keys')


class Background(Process):
  def test_the_parent_ends_when_the_milter_serves(self):
    pid = self.start()
    self.assertEqual(self.pid_file.read_text(), f'{pid}\n')
    self.assertEqual(self.quota(), '*')

  def test_it_leaves_its_terminal(self):
    pid = self.start()
    self.assertEqual(os.getsid(pid), pid)

  @sees_files
  def test_it_leaves_its_directory_and_its_files(self):
    pid = self.start()
    self.assertEqual(os.readlink(f'/proc/{pid}/cwd'), '/')
    self.assertEqual(standard_files(pid), ['/dev/null'] * 3)

  def test_standard_error_is_the_log_in_the_background_too(self):
    self.configure(IGNORE, log='stderr')
    with open(self.log, 'wb') as errors:
      status, _ = self.run_milter(stdout=errors, stderr=errors)
    self.assertEqual(status, 0)
    self.assertEqual(self.quota(), '*')
    self.assertEqual(len(self.lines('qid=q1 ')), 1)

  @sees_files
  def test_the_log_is_all_that_it_keeps_open(self):
    self.configure(IGNORE, log='stderr')
    with open(self.log, 'wb') as errors:
      self.run_milter(stdout=errors, stderr=errors)
    files = standard_files(int(self.pid_file.read_text()))
    self.assertEqual(files, ['/dev/null', '/dev/null', str(self.log)])

  def with_closed_descriptors(self, *words: str) -> list[str]:
    return ['sh', '-c', 'exec "$0" "$@" <&- >&- 2>&-', self.binary, f'--config={self.config}',
            *words]

  def test_descriptors_that_were_closed_are_nobodys(self):
    self.assertEqual(subprocess.run(self.with_closed_descriptors(), timeout=10).returncode, 0)
    pid = int(self.pid_file.read_text())
    self.assertEqual(self.quota(), '*')
    self.assertEqual(self.pid_file.read_text(), f'{pid}\n')

  def test_the_same_in_the_foreground_with_standard_error_as_the_log(self):
    # Its lines must go nowhere, and not into the socket or the pid file.
    self.configure(IGNORE, log='stderr')
    child = subprocess.Popen(self.with_closed_descriptors('--foreground'))
    wait_until(lambda: unix_listens(self.socket), 'the milter listens')
    self.assertEqual(self.quota(), '*')
    self.assertEqual(self.pid_file.read_text(), f'{child.pid}\n')
    child.terminate()
    self.assertEqual(child.wait(10), 0)

  @sees_files
  def test_descriptors_that_were_closed_are_nowhere(self):
    subprocess.run(self.with_closed_descriptors(), timeout=10)
    self.assertEqual(standard_files(int(self.pid_file.read_text())), ['/dev/null'] * 3)

  def test_mistakes_end_the_parent_with_78_and_leave_nothing_behind(self):
    for options, why in (({'socket': 'here'}, 'unix:PATH'), ({'user': 'no-such-user'}, 'no user'),
                         ({'tag_keys': '/nonexistent/keys'}, '/nonexistent/keys'),
                         ({'failure': 'perhaps'}, 'failure'),
                         ({'pid_file': '/nonexistent/pid'}, 'pid-file /nonexistent/pid'),
                         ({'socket': 'unix:/nonexistent/socket'}, 'mkdir -m 755 /nonexistent/')):
      with self.subTest(**options):
        self.configure(IGNORE, **options)
        self.refused(why)
        self.assertEqual(list(self.run_folder.iterdir()), [])

  def failing_child(self, **how) -> tuple[int, str]:
    """Of the files that it has to write after the fork it can write none."""
    self.configure(IGNORE, log='stderr')
    ran = subprocess.run([self.binary, f'--config={self.config}'], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, text=True,
                         preexec_fn=lambda: soft_limit(resource.RLIMIT_FSIZE, 0), **how)
    return ran.returncode, ran.stdout

  def test_a_child_that_fails_is_the_parents_failure(self):
    status, said = self.failing_child(restore_signals=False)  # SIGXFSZ is ignored
    self.assertEqual(status, EX_CONFIG, said)
    self.assertIn(f'pid-file {self.pid_file}', said)
    self.assertFalse(self.socket.exists())

  def test_a_child_that_is_killed_is_the_parents_failure(self):
    status, said = self.failing_child()
    self.assertEqual(status, EX_SOFTWARE, said)

  def test_it_takes_all_the_descriptors_that_it_may(self):
    pid = self.start(preexec_fn=lambda: soft_limit(resource.RLIMIT_NOFILE, 64))
    limits = Path(f'/proc/{pid}/limits').read_text().partition('Max open files')[2].split()
    self.assertEqual(limits[0], limits[1])
    self.assertNotEqual(limits[0], '64')


class PidFile(Process):
  def test_what_it_held_before_goes(self):
    self.pid_file.write_text('9' * 200 + '\n')
    pid = self.start()
    self.assertEqual(self.pid_file.read_text(), f'{pid}\n')

  def test_another_milter_that_holds_it_stays_the_only_one(self):
    pid = self.start()
    other = self.run_folder / 'other'
    self.refused('another lmtpq-milter holds it', f'--socket=unix:{other}')
    self.assertEqual(self.pid_file.read_text(), f'{pid}\n')
    self.assertFalse(other.exists())
    self.assertEqual(self.quota(), '*')

  def test_a_link_is_refused_and_left_alone(self):
    target = self.folder / 'precious'
    target.write_text('precious')
    self.pid_file.symlink_to(target)
    self.refused('pid-file')
    self.assertEqual(target.read_text(), 'precious')
    self.assertTrue(self.pid_file.is_symlink())

  @needs_root
  def test_where_the_user_may_not_remove_it_it_is_emptied(self):
    for _ in range(2):
      pid = self.start('--user', OTHER_USER)
      self.assertEqual(self.end(pid), 0)
      self.assertEqual(self.pid_file.read_bytes(), b'')


class SocketFile(Process):
  def test_it_is_for_its_owner_alone_whatever_the_umask(self):
    self.start(umask=0)
    self.assertEqual(stat.S_IMODE(self.socket.lstat().st_mode), 0o600)
    self.assertEqual(self.socket.lstat().st_uid, os.geteuid())

  @needs_root
  def test_it_is_given_to_the_user(self):
    self.start('--user', OTHER_USER)
    entry, facts = pwd.getpwnam(OTHER_USER), self.socket.lstat()
    self.assertEqual((facts.st_uid, facts.st_gid), (entry.pw_uid, entry.pw_gid))
    self.assertEqual(self.quota(), '*')

  def test_a_stale_one_is_replaced(self):
    with socket.socket(socket.AF_UNIX) as former:
      former.bind(str(self.socket))
    self.start()
    self.assertEqual(self.quota(), '*')

  def test_a_file_or_a_link_is_refused_and_left_alone(self):
    target = self.folder / 'precious'
    target.write_text('precious')
    for make in (lambda: shutil.copy(target, self.socket), lambda: self.socket.symlink_to(target)):
      make()
      self.refused('which is no socket')
      self.assertEqual(self.socket.read_text(), 'precious')
      self.socket.unlink()
    self.assertEqual(list(self.run_folder.iterdir()), [])

  def test_another_programs_is_refused_and_left_alone(self):
    with socket.socket(socket.AF_UNIX) as other:
      other.bind(str(self.socket))
      other.listen()
      self.refused('another program listens there')
      self.assertTrue(unix_listens(self.socket))
    self.assertEqual(list(self.run_folder.iterdir()), [self.socket])

  def test_another_milters_is_refused_and_left_alone(self):
    self.start()
    self.refused('another program listens there', '--pid-file=')
    self.assertEqual(self.quota(), '*')

  def test_a_port_that_is_taken_is_refused(self):
    with socket.create_server(('127.0.0.1', 0)) as other:
      self.refused('Address already in use', f'--socket=inet:{other.getsockname()[1]}@127.0.0.1')


class Identity(Process):
  @needs_root
  def test_it_becomes_the_user_wholly(self):
    pid = self.start('--user', OTHER_USER, extra_groups=[0, grp.getgrnam('adm').gr_gid])
    entry = pwd.getpwnam(OTHER_USER)
    status = dict(line.split(':\t', 1)
                  for line in Path(f'/proc/{pid}/status').read_text().splitlines())
    self.assertEqual(status['Uid'].split(), [str(entry.pw_uid)] * 4)
    self.assertEqual(status['Gid'].split(), [str(entry.pw_gid)] * 4)
    self.assertEqual({int(word) for word in status['Groups'].split()},
                     set(os.getgrouplist(OTHER_USER, entry.pw_gid)))
    self.assertEqual(status['CapEff'].strip('0'), '')

  def give_away(self):
    if IS_ROOT:
      for path in (self.run_folder, self.keys, self.folder):
        shutil.chown(path, OTHER_USER)

  def test_who_is_not_root_becomes_nobody_else(self):
    self.give_away()
    self.refused('only root can become user root', '--user=root', '--tag-keys=',
                 **as_other_user())
    self.assertEqual(list(self.run_folder.iterdir()), [])

  def test_its_keys_are_in_no_core_dump_and_no_other_process_reads_them(self):
    if cases.is_sanitized(self.binary):
      self.skipTest('a sanitizer must trace its process')
    self.give_away()
    pid = self.start(**as_other_user())
    user = int(Path(f'/proc/{pid}/status').read_text().partition('Uid:')[2].split()[0])
    self.assertNotEqual(user, 0)
    # Of a process that cannot be dumped /proc belongs to root (proc(5)).
    self.assertNotEqual(Path(f'/proc/{pid}/mem').stat().st_uid, user)

  @needs_root
  def test_it_warns_when_the_user_cannot_read_again_what_root_could(self):
    self.log_of_other_user()
    self.config.chmod(0o600)
    pid = self.start('--user', OTHER_USER)
    warnings = self.lines('level=warning event=reload', f'user={OTHER_USER}')
    self.assertEqual(len(warnings), 1)
    self.assertIn('SIGHUP will fail', warnings[0])
    self.assertIn('event=reload-failed', self.hang_up(pid)[-1])
    self.assertEqual(self.quota(), '*')

  @needs_root
  def test_it_warns_of_nothing_when_the_user_can_read_all(self):
    self.log_of_other_user()
    shutil.chown(self.keys, OTHER_USER)
    pid = self.start('--user', OTHER_USER)
    self.assertEqual(self.lines('level=warning'), [])
    self.reloads_well(pid)

  def log_of_other_user(self):
    self.log.touch()
    shutil.chown(self.log, OTHER_USER)


class Signals(Process):
  def test_term_and_int_end_it_and_nothing_is_left(self):
    for number, name in ((signal.SIGTERM, 'TERM'), (signal.SIGINT, 'INT')):
      with self.subTest(name=name):
        pid = self.start()
        self.assertEqual(self.quota(), '*')
        self.assertEqual(self.end(pid, number), 0)
        self.assertEqual(list(self.run_folder.iterdir()), [])
        self.assertIn(f'event=stop signal={name}', self.lines()[-1])

  def test_with_a_session_open_it_ends_too(self):
    pid = self.start()
    session = Session(str(self.socket))
    session.client(CLIENT)
    self.assertEqual(self.end(pid), 0)
    session.close(quit_first=False)

  def test_after_kill_9_it_starts_again(self):
    killed = self.start()
    self.assertEqual(self.end(killed, signal.SIGKILL), -signal.SIGKILL)
    self.assertTrue(self.socket.exists() and self.pid_file.exists())
    pid = self.start()
    self.assertNotEqual(pid, killed)
    self.assertEqual(self.quota(), '*')
