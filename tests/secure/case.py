"""A case: stores, options, and what must come of a message that is sent there.

What it is: the rows of the tables, attack() and control(), and CaseRunner, which plays one.
What it does not know: what judging.py looks at.
Called by: the tests, each of which is one row with one front.
Failure: AssertionError with what the run came to.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from peers.secure.certificates import Authority
from peers.secure.session import Session
from peers.secure.store import Store

from . import driver, hidden, judging

# Only what a case is about may run out of time, on a slow machine or under a sanitizer.
PATIENT = [f'--{name}-timeout=60s' for name in
           ('connect', 'lhlo', 'starttls', 'auth', 'mail', 'rcpt', 'data-init', 'data-xfer',
            'data-done', 'rset')]


@dataclass(frozen=True)
class Case:
  name: str
  stores: tuple[type[Session], ...]  # one for each DEST
  options: tuple[str, ...]  # with {dir} and its like: see CaseRunner.words
  reason: str = ''  # what a line of the log must match, without regard to case; '': a control
  message: bytes = hidden.MESSAGE
  messages: int = 1  # the same one again and again, within one relay
  good: int = 0  # how many of them are filed before the attack comes
  filed_at: int = 0  # the store that must have the message, of a control
  password_shown: bool = False  # to the store, within TLS: it is the right one, or is taken for it
  message_shown: bool = False  # part of the message, within TLS: the attack comes within it
  in_clear: bool = False  # the control delivers without TLS
  possible_duplicate: bool = False  # it was sent completely: the store may have filed it
  dials: int = 0  # how many connections in all; 0: any number
  logged: str = ''  # what a line of the log must match, too
  commands: tuple[str, ...] = ()  # each must match one that a store got; with a leading `!`, none
  least: float = 0.0  # seconds that it takes
  longest: float = 25.0  # well below what it would take without the limit under test
  seen: bool = False  # it arrived completely, and was refused
  unix: bool = False
  smtp: bool = False  # the DEST is smtp:HOST
  fronts: tuple[str, ...] = ('deliver',)


def attack(name: str, session, options: list[str], reason: str, **more) -> Case:
  return Case(name, as_tuple(session), tuple(options), reason, **more)


def control(name: str, session, options: list[str], **more) -> Case:
  return Case(f'control: {name}', as_tuple(session), tuple(options), **more)


def as_tuple(sessions) -> tuple[type[Session], ...]:
  return tuple(sessions) if isinstance(sessions, list | tuple) else (sessions,)


def each(rows: list[Case]):
  """A test for each row and front, named after the row."""
  return pytest.mark.parametrize('case, front', [
      pytest.param(case, front, id=case.name + ('' if front == 'deliver' else f' ({front})'))
      for case in rows for front in case.fronts])


class CaseRunner:
  """What all cases share."""

  def __init__(self, lmtpq: Path, folder: Path, authority: Authority, files: Path):
    self.lmtpq = str(lmtpq)
    self.folder = folder
    self.authority = authority
    self.words = {'dir': str(authority.folder), 'files': str(files)}
    for name in ('good', 'second', 'self_signed', 'expired'):
      self.words[f'print_{name}'] = authority.fingerprint(name)
    for key in ('leaf', 'other'):
      self.words[f'print_{key}_key'] = authority.key_fingerprint(key)

  def command(self, case: Case, stores: list[Store], own: Path) -> list[str]:
    options = [word.format(**self.words) for word in case.options]
    given = {word.partition('=')[0] for word in options}
    fixed = ['--config=/dev/null', '--tag-keys=none', '--log=stderr', '--hostname=client.test',
             f'--spool-dir={own}', f'--transcript-dir={own}', '--debug-peer=all', *PATIENT]
    addresses = (store.address.replace('inet:', 'smtp:' if case.smtp else 'inet:')
                 for store in stores)
    fixed += ['--destination=' + ','.join(addresses)]
    return [self.lmtpq, *(word for word in fixed if word.partition('=')[0] not in given), *options]

  def play(self, case: Case, front: str):
    own = Path(tempfile.mkdtemp(dir=self.folder))
    stores = [Store(session, self.authority, own / f's{number}' if case.unix else None)
              for number, session in enumerate(case.stores)]
    try:
      for store in stores:
        store.start()
      result = driver.FRONTS[front](self.command(case, stores, own), case.message, case.messages)
    finally:
      for store in stores:
        store.stop()
    files = b''.join(path.read_bytes() for path in own.iterdir() if path.is_file())
    (own / 'log').write_text(result.log)  # is kept if the test fails
    judging.judge(case, front, result, stores, files)
    shutil.rmtree(own)
