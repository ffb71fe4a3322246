"""`lmtpq-milter --check` reads all files as the user who will run, and reports everything that is wrong."""

import shutil

import pytest

from .milter_process import EX_CONFIG, IGNORE, IS_ROOT, OTHER_USER, Process, needs_root


class TestCheck(Process):
  def check(self, *words: str, config: str = '') -> tuple[int, list[str], list[str], str]:
    """Status, errors, warnings, and the last line."""
    status, output = self.run_milter('--check', *words, config=config)
    *said, last = output.splitlines()
    errors = [line for line in said if not line.startswith('lmtpq-milter: warning: ')]
    return status, errors, [line for line in said if line not in errors], last

  def test_a_good_file_is_ok_and_nothing_is_made(self):
    status, errors, _, last = self.check()
    assert (status, errors) == (0, [])
    assert last.startswith(f'{self.config}: user ') and ', 1 rules, 1 keys, ok' in last
    assert list(self.run_folder.iterdir()) == []
    assert not self.log.exists()

  @needs_root
  @pytest.mark.parametrize('file', ['keys', 'config'])
  def test_what_only_root_can_read_is_an_error(self, file):
    self.configure(IGNORE, log='syslog')
    shutil.chown(self.keys, OTHER_USER)
    path = {'keys': self.keys, 'config': self.config}[file]
    shutil.chown(path, 'root')
    path.chmod(0o600)
    status, errors, _, _ = self.check(f'--user={OTHER_USER}')
    assert status == EX_CONFIG
    assert len(errors) == 1 and f'{path}: Permission denied as user {OTHER_USER}; ' in errors[0], errors
    shutil.chown(path, OTHER_USER)
    assert self.check(f'--user={OTHER_USER}')[:3] == (0, [], [])

  @needs_root
  def test_the_log_is_for_the_user_and_socket_and_pid_file_for_the_one_who_starts(self):
    shutil.chown(self.keys, OTHER_USER)
    status, errors, _, _ = self.check(f'--user={OTHER_USER}')
    assert status == EX_CONFIG
    assert [f'log: "{self.log}": Permission denied as user {OTHER_USER}; let this user write it' in
            line for line in errors] == [True], errors

  @needs_root
  def test_root_is_warned_unless_it_names_a_user(self):
    assert 'checked as root' in self.check()[2][0]
    self.configure(IGNORE, user=OTHER_USER, log='syslog')
    shutil.chown(self.keys, OTHER_USER)
    status, errors, warnings, last = self.check()
    assert (status, errors, warnings) == (0, [], [])
    assert last == f'{self.config}: user {OTHER_USER}, 1 rules, 1 keys, ok'

  def test_all_errors_are_reported(self):
    self.configure('[rule.one]\nquota = perhaps\n[rule.two]\nmax-size = big\nquota = ignore\n'
                   '[rule.open]\nfrom = *\nquota = ignore\n',
                   socket='unix:/nonexistent/socket', pid_file='/nonexistent/pid',
                   log='/nonexistent/log', tag_keys='/nonexistent/keys', failure='perhaps')
    status, errors, warnings, last = self.check()
    assert status == EX_CONFIG
    for text in ('socket: "/nonexistent/socket": bind: No such file or directory; mkdir -p',
                 'pid-file: "/nonexistent/pid": No such file', 'log: "/nonexistent/log": No such file',
                 'tag-keys: /nonexistent/keys: No such file', 'failure: "perhaps": expected one of',
                 'quota', 'max-size'):
      assert [line for line in errors if line.startswith(f'lmtpq-milter: {self.config}:')
              and text in line], (text, errors)
    assert len(errors) == 7, errors
    assert [line for line in warnings if 'rule open: anyone can match it' in line], warnings
    assert ', 7 errors, ' in last
    assert len(warnings) == 1 + IS_ROOT, warnings

  def test_a_file_without_rules_is_worth_a_warning(self):
    self.configure('')
    status, errors, warnings, last = self.check()
    assert (status, errors) == (0, [])
    assert [line for line in warnings if line.endswith('no rules: every quota is honoured')], warnings
    assert ', 0 rules, 1 keys, ok' in last
