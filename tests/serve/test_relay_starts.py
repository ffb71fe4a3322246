"""lmtpq relay before its first message, and with a message that no disk takes."""

import os
import resource
import subprocess
from pathlib import Path

import pytest

from fixtures import paths

KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n'


@pytest.fixture
def folder(scratch) -> Path:
  return scratch.folder('relay')


def started(lmtpq, folder, conf: str, **how) -> subprocess.Popen:
  (folder / 'conf').write_text('log = stderr\n' + conf)
  return subprocess.Popen([lmtpq, 'relay', f'--config={folder}/conf'], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def ended(lmtpq, folder, conf: str, said: str = 'QUIT\r\n', **how) -> tuple[list[str], str]:
  """Its replies, and its log."""
  child = started(lmtpq, folder, conf, **how)
  out, log = child.communicate(said, timeout=60)
  assert child.returncode == 0, (out, log)
  return out.splitlines(), log


def test_a_section_for_another_port_is_logged(lmtpq, folder):
  replies, log = ended(lmtpq, folder, 'tag-keys = none\ndestination = inet:a.test:24\n'
                       '[destination.x]\ndestination = a.test:25\ntls = verify\n')
  assert [reply[:3] for reply in replies] == ['220', '221'], replies
  assert 'event=section-near-miss destination=inet:a.test:24 near="[destination.x] (' in log, log


def test_a_spool_that_takes_nothing_is_logged(lmtpq, folder):
  conf = 'tag-keys = none\ndestination = unix:/nowhere\n'
  assert 'event=spool-unusable spool-dir=/nowhere ' in ended(lmtpq, folder, conf + 'spool-dir = /nowhere\n')[1]
  assert 'spool-unusable' not in ended(lmtpq, folder, conf + f'spool-dir = {folder}\n')[1]


def test_with_secrets_there_are_no_core_dumps(everyones, folder):
  """Of a process that cannot be dumped, root owns the files in /proc."""
  user = os.geteuid() or 65534
  keys = folder / 'keys'
  keys.touch(mode=0o600)
  keys.write_text(KEY)
  os.chown(keys, user, -1)

  def owner(conf: str) -> int:
    as_user = {'user': user, 'group': 65534, 'extra_groups': []} if os.geteuid() == 0 else {}
    child = started(everyones, folder, 'destination = unix:/nowhere\n' + conf, **as_user)
    assert child.stdout.readline().startswith('220 ')
    found = Path(f'/proc/{child.pid}/environ').stat().st_uid
    child.communicate('QUIT\r\n', timeout=60)
    return found
  assert owner('tag-keys = none\n') == user
  assert owner(f'tag-keys = {keys}\n') == (user if paths.is_sanitized(everyones) else 0)


def test_a_message_that_no_disk_takes_is_deferred(lmtpq, folder):
  """It is too large for memory, and a write over the limit of the process would end it."""
  message = 'Subject: x\r\n\r\n' + 5000 * (76 * 'x' + '\r\n')
  replies, log = ended(lmtpq, folder, f'tag-keys = none\ndestination = unix:/nowhere\nspool-dir = {folder}\n',
                       f'LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nDATA\r\n{message}.\r\nQUIT\r\n',
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
  assert replies[-1].startswith('221 '), replies
  assert all(reply.startswith('452 4.3.1 ') for reply in replies[-3:-1]), (replies, log)


def test_deliver_defers_it_too(lmtpq, folder):
  (folder / 'conf').write_text(f'log = stderr\ntag-keys = none\nspool-dir = {folder}\n')
  ran = subprocess.run([lmtpq, 'deliver', f'--config={folder}/conf', '-d', 'unix:/nowhere', '-f', '', 'bob'],
                       input='Subject: x\n\n' + 5000 * (76 * 'x' + '\n'), capture_output=True, text=True, timeout=60,
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
  assert ran.returncode == 75 and ran.stdout.startswith('bob: deferred (452 4.3.1 '), ran


def test_a_relay_that_cannot_start_says_why_to_all_who_may_read_it(lmtpq, folder):
  child = started(lmtpq, folder, 'tag-keys = none\n')
  out, log = child.communicate('LHLO a\r\n', timeout=60)
  assert child.returncode == 75, (out, log)
  assert len(out.splitlines()) == 1 and out.startswith('421 4.3.5 ') and 'no destination; expected unix:' in out, out
  assert 'level=error event=not-started error="no destination; expected unix:' in log, log


def test_a_deliver_that_cannot_start_says_why(lmtpq, folder):
  (folder / 'conf').write_text('log = stderr\ntag-keys = none\n')
  ran = subprocess.run([lmtpq, 'deliver', f'--config={folder}/conf', '-f', '', 'bob'], input='x\n',
                       capture_output=True, text=True, timeout=60)
  assert (ran.returncode, ran.stdout) == (75, ''), ran
  assert 'event=not-started error="no destination; ' in ran.stderr, ran
  assert '\nlmtpq: no destination; expected unix:' in ran.stderr, ran


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
def test_root_makes_no_log_that_the_mailers_user_could_not_write(everyones, folder):
  folder.chmod(0o777)
  conf = folder / 'conf'
  conf.write_text(f'log = {folder}/log\ntag-keys = none\n')
  for other in ({}, {'user': 65534, 'group': 65534, 'extra_groups': []}):
    ran = subprocess.run([everyones, 'relay', f'--config={conf}'], input='', capture_output=True, text=True,
                         timeout=60, **other)
    assert ran.returncode == 75 and 'no destination' in ran.stdout, ran
    assert (folder / 'log').exists() is bool(other), other
  assert 'event=not-started' in (folder / 'log').read_text()
