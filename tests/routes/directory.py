"""A directory with people in it, and programs that ask it for routes as the daemon does.

What it is: Directory (a folder, any number of slapd and of askers), Asker, same_answers().
What it does not know: what a test asks, and what the answer should be.
Called by: test_routes, test_answers, by the fixture `directory`.
Failure: AssertionError, with what was answered.
"""

import os
import select
import subprocess
from pathlib import Path

from fixtures.process import log_is_written

from .slapd import BASE, PASSWORD, Slapd, person

LIMIT = 90  # seconds for any answer

PEOPLE = [
    person('alice', ['alice@example.org'], 'imap1.example.org'),
    person('bob', ['bob@example.org', 'robert@example.org'], 'imap2.example.org:2003'),
    person('carol', ['carol@example.org'], 'unix:/run/carol/lmtp'),
    person('dave', ['dave@example.org'], None),
    person('erin', ['erin@example.org'], 'imap1, imap2:24'),
    person('twin1', ['twins@example.org'], 'imap1'),
    person('twin2', ['twins@example.org'], 'imap2'),
    person('same1', ['same@example.org'], 'imap1'),
    person('same2', ['same@example.org'], 'imap1'),
    person('broken', ['broken@example.org'], 'not a host:99999'),
    person('star', ['star*(x)\\y@example.org'], 'imap3'),
    person('mailed', [], 'imap4', mail=['mailed@example.org']),
    person('many', ['many@example.org'], None, description=['imap6', 'imap5']),
    person('catchall', ['@sales.example.org'], 'imap9'),
    person('secret', ['secret@example.org'], 'imap8', unit='private'),
    *[person(f'crowd{i}', [f'{i}crowd@example.org'], f'imap{i % 2}') for i in range(1, 33)],
    *[person(f'horde{i}', ['horde@example.org'], 'imap1') for i in range(9)],
]



class Asker:
  """The program, with one question and answer at a time."""

  def __init__(self, program: Path, options: list, log: Path, env: dict):
    self.log = log
    with log.open('ab') as errors:
      self.child = subprocess.Popen([program, *options], stdin=subprocess.PIPE, env=env,
                                    stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)

  def ask(self, question: str) -> tuple[str, int]:
    """The answer, and how many milliseconds it took."""
    self.send(question)
    return self.receive()

  def send(self, question: str):
    self.child.stdin.write(question + '\n')

  def receive(self) -> tuple[str, int]:
    assert select.select([self.child.stdout], [], [], LIMIT)[0], 'no answer'
    line = self.child.stdout.readline()
    assert line, f'the program ended: {self.log.read_text()[-400:]}'
    answer, took = line.rstrip('\n').split('\t')
    return answer, int(took)

  def lines_with(self, words: str) -> int:
    log_is_written(self.child.pid)
    return sum(words in line for line in self.log.read_text(errors='replace').splitlines())

  def end(self) -> int:
    self.child.stdin.close()
    self.child.stdout.close()
    return self.child.wait(LIMIT)


def same_answers(asker: Asker, rows: dict):
  for address, wanted in rows.items():
    found, _ = asker.ask(address)
    assert found == wanted or (wanted.endswith('...') and found.startswith(wanted[:-3])), \
        f'{address}: {found!r} instead of {wanted!r}'


class Directory:
  def __init__(self, program: Path, folder: Path, authority):
    self.program, self.folder, self.authority = program, folder, authority
    self.servers, self.askers = [], []

  def slapd(self, certificate: str = 'good') -> Slapd:
    made = Slapd(self.folder / f'slapd{len(self.servers)}', self.authority, certificate)
    self.servers.append(made)
    made.load(PEOPLE)
    made.start()
    return made

  def asker(self, uri: str, *options: str, env: dict | None = None) -> Asker:
    """With `env`, libldap reads that environment, and the system's ldap.conf."""
    made = Asker(self.program, [f'--route-ldap={uri}', f'--route-ldap-base={BASE}', *options],
                 self.folder / f'asker{len(self.askers)}.log',
                 {**os.environ, **({'LDAPNOINIT': '1'} if env is None else env)})
    self.askers.append(made)
    return made

  def password_file(self, text: str = PASSWORD + '\n') -> str:
    path = self.folder / 'password'
    path.write_text(text)
    path.chmod(0o600)
    return str(path)

  def end(self):
    for server in self.servers:
      if server.child:
        server.resume()
    statuses = [asker.end() for asker in self.askers if asker.child.poll() is None]
    for server in self.servers:
      server.stop()
    assert not any(statuses), f'the program ended with {statuses}'
