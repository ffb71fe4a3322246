"""Copies of the programs that every user may run, and lmtpq keygen."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fixtures import mailers, milter, paths

LIMIT = 60
EX_USAGE, EX_CANTCREAT, EX_TEMPFAIL, EX_CONFIG = 64, 73, 75, 78


class Keys:
  """A folder that is to have a key file, and lmtpq keygen for it."""

  def __init__(self, scratch, place: Path):
    self.place = place
    self.file = place / 'etc/tag.keys'
    self.program = mailers.in_reach(scratch)
    shutil.copy(paths.program('LMTPQ').with_name('lmtpq-serve'), scratch.path)
    self.milter = milter.in_reach(scratch)

  def keygen(self, *words, before=(), **how) -> subprocess.CompletedProcess:
    return subprocess.run([*before, self.program, 'keygen', *words], capture_output=True, text=True,
                          timeout=LIMIT, check=False, **how)

  def make(self, text: str, mode: int = 0o600):
    self.file.parent.mkdir(exist_ok=True)
    self.file.unlink(missing_ok=True)
    self.file.touch()
    self.file.chmod(mode)
    self.file.write_text(text)

  def ids(self) -> list[str]:
    return re.findall(r'^([\w-]+) [\w+/]+=*$', self.file.read_text(), re.M)

  def secrets(self) -> list[str]:
    return re.findall(r'^[\w-]+ ([\w+/]+=*)$', self.file.read_text(), re.M)


@pytest.fixture
def keys(scratch) -> Keys:
  return Keys(scratch, scratch.folder(f'k{next(scratch.numbers)}'))
