"""lmtpq relay before its first message, and with a message that no disk takes."""

import resource
import subprocess
from pathlib import Path

import pytest

KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n'


@pytest.fixture
def folder(scratch, request) -> Path:
  return scratch.folder(f'r{abs(hash(request.node.name)) % 10**8}')


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


def test_with_secrets_there_are_no_core_dumps(lmtpq, folder):
  keys = folder / 'keys'
  keys.touch(mode=0o600)
  keys.write_text(KEY)
  hard = resource.getrlimit(resource.RLIMIT_CORE)[1]

  def limits(conf: str) -> list[str]:
    child = started(lmtpq, folder, 'destination = unix:/nowhere\n' + conf,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    assert child.stdout.readline().startswith('220 ')
    lines = Path(f'/proc/{child.pid}/limits').read_text().splitlines()
    child.communicate('QUIT\r\n', timeout=60)
    return next(line for line in lines if line.startswith('Max core file size')).split()[4:6]
  assert limits(f'tag-keys = {keys}\n') == ['0', '0']
  assert limits('tag-keys = none\n') == 2 * ['unlimited' if hard == resource.RLIM_INFINITY else str(hard)]


def test_a_message_that_no_disk_takes_is_deferred(lmtpq, folder):
  """It is too large for memory, and a write over the limit of the process would end it."""
  message = 'Subject: x\r\n\r\n' + 5000 * (76 * 'x' + '\r\n')
  replies, log = ended(lmtpq, folder, f'tag-keys = none\ndestination = unix:/nowhere\nspool-dir = {folder}\n',
                       f'LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nDATA\r\n{message}.\r\nQUIT\r\n',
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
  assert replies[-1].startswith('221 '), replies
  assert all(reply.startswith('452 4.3.1 ') for reply in replies[-3:-1]), (replies, log)
