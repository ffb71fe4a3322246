"""Programs of two builds in one folder, as an installation by hand can leave them: mail waits, and
the error says what to do.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures import paths
from peers.secure.session import Session

from .case import CaseRunner, attack, each
from .terms import ALL, ENCRYPT, SAFE

EX_CONFIG = 78
BUILD = re.compile(rf'{re.escape(paths.VERSION)}-[0-9a-f]{{16}}'.encode())
REMEDY = 'lmtpq-secure.so: not from the same build as lmtpq; install both again'
START = ('serve', '--config=/dev/null', '--tag-keys=none', '--log=stderr', *ENCRYPT,
         'inet:localhost:9')

ROWS = [attack('the library of another build', Session, SAFE, REMEDY, fronts=ALL,
               commands=('!^AUTH', '!^MAIL'))]


@pytest.fixture(scope='module')
def mixed(lmtpq, runner) -> Path:
  """lmtpq, with lmtpq-serve, and with lmtpq-secure.so of another build."""
  folder = runner.folder / 'mixed'
  folder.mkdir()
  for name in ('lmtpq', 'lmtpq-serve', 'lmtpq-secure.so'):
    shutil.copy(lmtpq.with_name(name), folder)
  library = folder / 'lmtpq-secure.so'
  text, found = BUILD.subn(lambda build: build[0][:-1] + b'g', library.read_bytes())
  assert found
  library.write_bytes(text)
  return folder / 'lmtpq'


@each(ROWS)
def test_mail_waits(runner, mixed, certificates, case, front):
  CaseRunner(mixed, runner.folder, certificates, runner.folder / 'files').play(case, front)


@pytest.mark.parametrize('check', [('--check',), ()], ids=['check', 'start'])
def test_the_daemon_does_not_start(mixed, check):
  socket = mixed.with_name('lmtp')
  ran = subprocess.run([mixed, *START, f'--listen=unix:{socket}', *check], capture_output=True,
                       text=True, timeout=60)
  assert ran.returncode == EX_CONFIG and REMEDY in ran.stderr, ran
  assert not socket.exists()
