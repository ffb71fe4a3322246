"""A case: stores, options, and what must come of a message that is sent there.

What it is: rows of the tables, attack() and control(), and the play of one by one front.
What it does not know: what the judges look at.
Called by: the tables (rows) and run (play).
Failure: play() gives a complaint, empty when all is well.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import driver
import judging
import hidden
from secure.certificates import Authority
from secure.session import Session
from secure.store import Store

# Nothing but what a case is about may run out of time, on a slow machine or under a sanitizer.
PATIENT = [f'--{name}-timeout=20s' for name in
           ('connect', 'lhlo', 'starttls', 'auth', 'mail', 'rcpt', 'data-init', 'data-xfer',
            'data-done', 'rset')]


@dataclass(frozen=True)
class Case:
  name: str
  stores: tuple[type[Session], ...]  # one for each DEST
  options: tuple[str, ...]  # with {dir} and its like: see Bench.words
  reason: str = ''  # what a line of the log must match, without regard to case; '': a control
  message: bytes = hidden.MESSAGE
  messages: int = 1  # the same one again and again, within one relay
  good: int = 0  # how many of them are filed before the attack comes
  filed_at: int = 0  # which store must have the message, of a control
  password_shown: bool = False  # to the store, within TLS: it is the right one, or is taken for it
  message_shown: bool = False  # part of the message, within TLS: the attack comes in its midst
  in_clear: bool = False  # the control delivers without TLS
  possible_duplicate: bool = False  # the dot was out: the store may have filed it
  dials: int = 0  # how many connections in all; 0: any number
  logged: str = ''  # what a line of the log must match, too
  commands: tuple[str, ...] = ()  # each must match one that a store got; with a `!` in front, none
  least: float = 0.0  # seconds that it takes
  longest: float = 15.0
  unix: bool = False
  fronts: tuple[str, ...] = ('deliver',)


def attack(name: str, session, options: list[str], reason: str, **more) -> Case:
  return Case(name, as_tuple(session), tuple(options), reason, **more)


def control(name: str, session, options: list[str], **more) -> Case:
  return Case(f'control: {name}', as_tuple(session), tuple(options), **more)


def as_tuple(sessions) -> tuple[type[Session], ...]:
  return tuple(sessions) if isinstance(sessions, list | tuple) else (sessions,)


class Bench:
  """What all cases share."""

  def __init__(self, lmtpq: str, folder: Path, authority: Authority):
    self.lmtpq = lmtpq
    self.folder = folder
    self.authority = authority
    self.words = {'dir': str(authority.folder), 'files': str(folder / 'files')}
    for name in ('good', 'second', 'self_signed', 'expired'):
      self.words[f'print_{name}'] = authority.fingerprint(name)
    for key in ('leaf', 'other'):
      self.words[f'print_{key}_key'] = authority.key_fingerprint(key)

  def command(self, case: Case, stores: list[Store], own: Path) -> list[str]:
    options = [word.format(**self.words) for word in case.options]
    given = {word.partition('=')[0] for word in options}
    fixed = ['--config=/dev/null', '--tag-keys=none', '--log=stderr', '--hostname=client.test',
             f'--spool-dir={own}', f'--transcript-dir={own}', '--debug-peer=all', *PATIENT]
    fixed += ['--destination=' + ','.join(store.address for store in stores)]
    return [self.lmtpq, *(word for word in fixed if word.partition('=')[0] not in given), *options]

  def play(self, case: Case, front: str) -> str:
    own = Path(tempfile.mkdtemp(dir=self.folder))
    stores = [Store(session, self.authority, own / f's{number}' if case.unix else None)
              for number, session in enumerate(case.stores)]
    try:
      for store in stores:
        store.start()
      told = driver.FRONTS[front](self.command(case, stores, own), case.message, case.messages)
    finally:
      for store in stores:
        store.stop()
    files = b''.join(path.read_bytes() for path in own.iterdir() if path.is_file())
    complaint = judging.judge(case, front, told, stores, files)
    if complaint:
      (own / 'log').write_text(told.log)  # for KEEP=1
    else:
      shutil.rmtree(own)
    return complaint
