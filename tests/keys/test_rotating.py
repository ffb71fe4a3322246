"""`lmtpq keygen --rotate`: the next key signs, the former one verifies, and nothing else changes."""

import os
import pwd
import re
import resource
import subprocess
import time
from datetime import datetime, timezone

import pytest

from fixtures.accounts import NUMBER, facts, let_read

from .conftest import EX_CANTCREAT, EX_CONFIG, EX_TEMPFAIL, EX_USAGE, LIMIT

KEY = 'old MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n'
NEXT = ('# key second: next to sign, not before 2020-01-01T00:00:00Z\n'
        'second MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n')
OTHER = 'nobody'
DAY = 24 * 60 * 60

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can change users')


@pytest.fixture
def rotate(keys):
  """rotate(): the command, which finds no file of the milter."""
  def run(*words, **how) -> subprocess.CompletedProcess:
    if not any(str(word).startswith('--milter-config') for word in words):
      words = (*words, f'--milter-config={keys.place}/none')
    return keys.keygen('--rotate', keys.file, *words, **how)
  return run


def seconds_left(text: str, key: str) -> float:
  found = re.search(rf'^# key {key}: [a-z ,]+ ([\dTZ:-]+)$', text, re.M)
  return datetime.strptime(found[1], '%Y-%m-%dT%H:%M:%SZ').replace(
      tzinfo=timezone.utc).timestamp() - time.time()


def test_the_next_key_signs_and_what_to_do_is_printed(keys, rotate):
  keys.make('# ours\n' + KEY + NEXT)
  secrets = keys.secrets()
  ran = rotate()
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  first, new, former = keys.ids()
  assert (first, former) == ('second', 'old')
  assert keys.file.read_text().startswith('# ours\nsecond ')
  said = ran.stdout.splitlines()
  assert said[0] == f'{keys.file}: changed'
  assert said[1].split() == ['second', 'signs', 'from', 'now', 'on']
  assert said[2].split()[:5] == [new, 'new,', 'next', 'to', 'sign,']
  assert said[3].split()[:3] == ['old', 'verifies', 'until']
  assert 'systemctl reload lmtpq lmtpq-milter' in ran.stdout
  assert 'in any order' in ran.stdout
  assert not [one for one in [*secrets, *keys.secrets()] if one in ran.stdout]
  assert facts(keys.file) == (os.geteuid(), os.getegid(), '600')
  assert os.listdir(keys.file.parent) == ['tag.keys']


def test_a_second_change_waits_for_a_day(keys, rotate):
  keys.make(KEY)
  assert rotate().returncode == 0
  text = keys.file.read_text()
  new = keys.ids()[1]
  assert 0.9 * DAY < seconds_left(text, new) <= DAY
  ran = rotate()
  assert ran.returncode == EX_TEMPFAIL, ran
  assert f'{keys.file}: not changed, the next key is too new' in ran.stdout, ran
  assert re.search(rf'^  {new} +next to sign, not before 20', ran.stdout, re.M), ran
  assert keys.file.read_text() == text


@pytest.mark.parametrize('words, conf, days', [
    ([], '', 8), ([], 'tag-lifetime = 30d\nsocket = x\n[rule.a]\nquota = ignore\n', 31),
    ([], '# none\n', 8), (['--tag-lifetime=2d'], 'tag-lifetime = 30d\n', 3)])
def test_the_former_key_verifies_for_the_lifetime_and_a_day(keys, rotate, words, conf, days):
  keys.make(KEY + NEXT)
  path = keys.place / 'milter.conf'
  if conf:
    path.write_text(conf)
  assert rotate(*words, f'--milter-config={path}').returncode == 0
  assert (days - 0.1) * DAY < seconds_left(keys.file.read_text(), 'old') <= days * DAY


@pytest.mark.parametrize('words, conf, said', [
    ([], 'tag-lifetime = soon\n', 'milter.conf:1: tag-lifetime: expected a time'),
    (['--tag-lifetime=0'], '', '--tag-lifetime: expected more than 0s')])
def test_a_lifetime_that_is_none_changes_nothing(keys, rotate, words, conf, said):
  keys.make(KEY + NEXT)
  path = keys.place / 'milter.conf'
  path.write_text(conf)
  ran = rotate(*words, f'--milter-config={path}')
  assert ran.returncode == EX_CONFIG and said in ran.stderr, ran
  assert keys.file.read_text() == KEY + NEXT


def test_what_does_not_belong_together_is_an_error(keys):
  for words in (['--install', '--rotate'], ['file'], ['--tag-lifetime=1d'], ['--rotate', 'a', 'b'],
                ['--install', 'a', '--tag-lifetime=1d']):
    ran = keys.keygen(*words, cwd=keys.place)
    assert (ran.returncode, ran.stdout) == (EX_USAGE, ''), (words, ran)
    assert 'see lmtpq keygen --help' in ran.stderr, (words, ran)


def test_a_full_disk_changes_nothing(keys, rotate):
  keys.make(KEY + NEXT)
  ran = rotate(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
  assert (ran.returncode, ran.stdout) == (EX_CANTCREAT, ''), ran
  assert ran.stderr == f'lmtpq: {keys.file}: nothing was changed: File too large\n'
  assert keys.file.read_text() == KEY + NEXT
  assert os.listdir(keys.file.parent) == ['tag.keys']


def test_of_several_at_once_one_changes_the_file(keys):
  keys.make(KEY + NEXT)
  running = [subprocess.Popen([keys.program, 'keygen', '--rotate', keys.file], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
  said = [child.communicate(timeout=LIMIT) for child in running]
  statuses = [child.returncode for child in running]
  assert statuses.count(0) == 1 and set(statuses) <= {0, EX_TEMPFAIL, EX_CONFIG}, said
  for status, (out, error) in zip(statuses, said):
    assert {0: 'changed', EX_TEMPFAIL: 'too new', EX_CONFIG: 'another process'}[status] in out + error
  assert len(keys.ids()) == 3 and keys.ids()[0] == 'second'
  assert os.listdir(keys.file.parent) == ['tag.keys']


def test_a_reader_never_finds_a_part_of_it(keys, rotate):
  keys.make(KEY + NEXT)
  seen = set()
  with subprocess.Popen([keys.program, 'keygen', '--rotate', keys.file],
                        stdout=subprocess.DEVNULL) as child:
    while child.poll() is None:
      seen.add(keys.file.read_text())
  seen.add(keys.file.read_text())
  assert child.returncode == 0 and seen <= {KEY + NEXT, keys.file.read_text()}, seen


@pytest.mark.may_skip('only root')
@needs_root
def test_owner_group_mode_and_acl_stay(keys, rotate):
  """By the ACL the user of confRUN_AS_USER reads it, whom Sendmail leaves no further group."""
  keys.make(KEY + NEXT, 0o640)
  os.chown(keys.file, 0, NUMBER)
  let_read(keys.file, OTHER)
  acl = os.getxattr(keys.file, 'system.posix_acl_access')
  before = facts(keys.file)
  assert rotate().returncode == 0
  assert facts(keys.file) == before == (0, NUMBER, '640')
  assert os.getxattr(keys.file, 'system.posix_acl_access') == acl
  conf = keys.place / 'conf'
  conf.write_text(f'tag-keys = {keys.file}\nlog = stderr\n')
  ran = subprocess.run(['setpriv', '--reuid', OTHER, '--regid', 'nogroup', '--clear-groups',
                        keys.program, 'relay', f'--config={conf}', 'unix:/nowhere'],
                       capture_output=True, text=True, timeout=LIMIT, input='')
  assert ran.returncode == 0 and ran.stdout.startswith('220 '), ran


@pytest.mark.may_skip('only root')
@needs_root
def test_a_file_of_the_milters_user_alone_stays_that_users(keys, rotate):
  keys.make(KEY + NEXT)
  os.chown(keys.file, NUMBER, NUMBER)
  assert rotate().returncode == 0
  assert facts(keys.file) == (NUMBER, NUMBER, '600')


# trap: link-on-the-way
@pytest.mark.may_skip('only root')
@needs_root
def test_a_link_of_another_user_is_not_followed(keys, rotate):
  keys.make(KEY + NEXT)
  real = keys.file.parent.rename(keys.place / 'real')
  keys.file.parent.symlink_to(real)
  os.lchown(keys.file.parent, pwd.getpwnam(OTHER).pw_uid, -1)
  ran = rotate()
  assert ran.returncode == EX_CONFIG and 'a symbolic link of another user' in ran.stderr, ran
  assert (real / 'tag.keys').read_text() == KEY + NEXT
  keys.file.parent.unlink()
  keys.file.parent.mkdir()
  keys.file.symlink_to(real / 'tag.keys')
  ran = rotate()
  assert ran.returncode == EX_CONFIG and 'it is a symbolic link: name the file itself' in ran.stderr, ran
  assert (real / 'tag.keys').read_text() == KEY + NEXT
