"""What a SIGHUP changes, what it never changes, and what the log warns of."""

import os
import pwd
from pathlib import Path

import pytest

from fixtures.process import log_is_written, open_files, wait_until
from fixtures.scratch import free_port, tcp_listens

from ..private_milter import write_keys
from .milter_process import HONOUR, IGNORE, IS_ROOT, Process

ANYONE = '[rule.open]\nfrom = a@example.org\nquota = ignore\n'


class TestReload(Process):
  @pytest.mark.parametrize('words', ['', '--', '--config milter.conf --'])
  def test_a_relative_configuration_is_found_again(self, words):
    pid = self.start(*words.split(), config='milter.conf', cwd=self.folder)
    self.reloads_well(pid)
    assert self.end(pid) == 0

  def odd_files(self, path: Path, good: str):
    """(name, a maker) of what may be in a file's place."""
    yield 'a directory', path.mkdir
    yield 'a named pipe', lambda: os.mkfifo(path, 0o600)
    yield 'ten megabytes', lambda: path.write_text(good + '# x\n' * 2_500_000)
    yield 'nothing', lambda: None
    yield 'a link to itself', lambda: path.symlink_to(path)
    yield 'a device without end', lambda: path.symlink_to('/dev/zero')
    yield 'a mistake', lambda: path.write_text(f'{good}\nno such line\n')
    if not IS_ROOT:
      yield 'one that cannot be read', lambda: path.write_text(good) and path.chmod(0)

  def stays_with(self, pid: int, path: Path, good: str):
    """One line for each odd file, the old rules, and no harm to the next reload."""
    for name, make in self.odd_files(path, good):
      self.configure(HONOUR)
      path.unlink()
      make()
      if path.is_file() and path == self.keys:
        path.chmod(0o600 if name != 'one that cannot be read' else 0)
      logged = self.hang_up(pid)
      assert len(logged) == 1, (name, logged)
      assert 'level=error event=reload-failed' in logged[0], name
      assert str(path) in logged[0], name
      assert self.quota() == '*', name
      if path.is_dir() and not path.is_symlink():
        path.rmdir()
      else:
        path.unlink(missing_ok=True)
      write_keys(self.keys)
      self.keys.chmod(0o600)
      self.reloads_well(pid, HONOUR)
      self.reloads_well(pid, IGNORE)

  def test_an_odd_configuration_changes_nothing_and_a_good_one_all(self):
    self.stays_with(self.start(), self.config, self.config.read_text())

  def test_odd_keys_change_nothing_and_good_ones_all(self):
    self.stays_with(self.start(), self.keys, self.keys.read_text())

  def test_keys_that_others_may_read_change_nothing(self):
    pid = self.start()
    self.configure(HONOUR)
    self.keys.chmod(0o644)
    assert 'event=reload-failed' in self.hang_up(pid)[-1]
    assert self.quota() == '*'

  def test_what_takes_a_restart_is_logged_and_nothing_else_is(self):
    pid = self.start()
    myself = pwd.getpwuid(os.geteuid()).pw_name
    for option, value in (('socket', f'unix:{self.run_folder}/other'), ('user', myself),
                          ('pid-file', self.run_folder / 'other'), ('log', 'syslog'),
                          ('log-level', 'warning'), ('failure', 'tempfail')):
      self.configure(IGNORE, **{option.replace('-', '_'): str(value)})
      self.hang_up(pid)
      # After the reload's line comes one for each rule.
      wait_until(lambda: 'event=rule-settings ' in self.lines()[-1], 'the rules are logged')
      logged = self.lines('the change takes effect after a restart')
      wanted = [] if option == 'failure' else [True]
      assert ['option=' + option in line for line in logged] == wanted, option
      assert self.quota() == '*', option
      self.log.write_text('')

  def test_a_log_that_was_renamed_gets_a_successor(self):
    pid = self.start()
    log_is_written(pid)
    former = self.log.rename(self.folder / 'log.1')
    self.quota()
    assert not self.lines(), 'it writes to the file that it has open'
    known = former.read_text()
    self.reloads_well(pid)
    assert len(self.lines('qid=q1 ')) == 1
    assert former.read_text() == known
    assert str(former) not in open_files(pid)

  def test_a_log_that_cannot_be_opened_again_goes_on_where_it_was(self):
    pid = self.start()
    log_is_written(pid)
    former = self.log.rename(self.folder / 'log.1')
    self.log.mkdir()
    self.log = former
    self.configure(HONOUR)
    logged = self.hang_up(pid)
    assert 'event=log-file-failed' in logged[0]
    assert 'event=reloaded ' in logged[1]
    assert self.quota() == '-'
    assert len(self.lines('qid=q1 ')) == 1


class TestWarnings(Process):
  def test_of_a_rule_that_anyone_can_match(self):
    self.configure(IGNORE + ANYONE)
    pid = self.start()
    self.only_warning('rule=open', 'anyone can match it')
    self.log.write_text('')
    self.hang_up(pid)
    wait_until(lambda: self.lines('anyone can match it'), 'the warning comes again')
    self.only_warning('rule=open', 'anyone can match it')

  @pytest.mark.parametrize('host, warned', [('0.0.0.0', True), ('127.0.0.1', False)])
  def test_of_a_socket_that_other_hosts_reach(self, host, warned):
    port = free_port()
    pid = self.start(f'--socket=inet:{port}@{host}')
    assert tcp_listens(port)
    assert self.end(pid) == 0
    if warned:
      self.only_warning(f'socket=inet:{port}@{host}', 'other hosts can connect')
    else:
      assert self.lines('level=warning') == []

  @pytest.mark.may_skip('has keys')
  def test_of_missing_keys(self):
    if Path('/etc/lmtpq/tag.keys').exists():
      pytest.skip('this host has keys at the default place')
    self.configure(IGNORE, tag_keys='')
    self.start()
    self.only_warning('event=no-keys', 'no tag is written',
                      'remedy="lmtpq keygen --install, then restart; ')

  @pytest.mark.may_skip('has keys')
  def test_of_rules_and_keys_that_a_reload_has_lost(self):
    """As with a file that is empty, or cut at the end of a line."""
    if Path('/etc/lmtpq/tag.keys').exists():
      pytest.skip('this host has keys at the default place')
    pid = self.start()
    self.config.write_text('')
    self.hang_up(pid)
    wait_until(lambda: self.lines('event=no-keys'), 'the warnings are logged')
    assert self.lines('level=warning event=no-rules lost=ours effect="every quota is honoured"')
    assert self.lines('level=warning event=no-keys lost=test-key effect="no tag is written, ')
    self.log.write_text('')
    self.hang_up(pid)
    wait_until(lambda: self.lines('event=no-keys'), 'the warnings are logged')
    assert not self.lines('lost='), 'they were lost before'

  def only_warning(self, *words: str):
    assert self.lines('level=warning') == self.lines(*words)
    assert len(self.lines(*words)) == 1, self.lines()
