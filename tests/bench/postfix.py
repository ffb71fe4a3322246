"""Debian's smtp-source and smtp-sink: a load, and a store that takes everything and keeps nothing.

What it is: Postfix, the two programs, fetched when they are missing; Sink, a running smtp-sink;
  Load, one run of smtp-source.
What it does not know: what is between the two.
Failure: NotToBeHad without the package; Failed when smtp-source was not answered as it expects, for
  it then stops at once.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from fixtures.process import HasServer, Server
from fixtures.scratch import Scratch, free_port, tcp_listens

from figures import Failed

HERE = Path(__file__).resolve().parent
BACKLOG = 4096


class NotToBeHad(Failed):
  pass


class Postfix:
  def __init__(self, folder: Path):
    """folder: where it is, or will be, unpacked."""
    got = subprocess.run([HERE / 'get-postfix', folder], capture_output=True, timeout=300)
    if got.returncode != 0:
      raise NotToBeHad('no smtp-source: ' + got.stderr.decode(errors='replace').strip())
    self.source = folder / 'usr/sbin/smtp-source'
    self.sink = folder / 'usr/sbin/smtp-sink'
    self.environment = os.environ | {'LD_LIBRARY_PATH': str(folder / 'usr/lib/postfix')}


@dataclass(frozen=True)
class Load:
  label: str
  messages: int
  connections: int = 8
  size: int = 4096
  recipients: int = 1
  reuse: bool = True  # otherwise each message has a separate connection
  numbered: bool = False  # each message to a different mailbox

  def seconds(self, postfix: Postfix, port: int, to: str = 'bench@store.test') -> float:
    """How long the whole load takes through this port."""
    command = [postfix.source, '-L', '-s', self.connections, '-m', self.messages, '-l', self.size,
               '-r', self.recipients, '-C', 5, '-M', 'client.test', '-f', 'sender@mail.test',
               '-t', to, *(['-d'] if self.reuse else []),
               *(['-N'] if self.numbered else []), f'127.0.0.1:{port}']
    start = time.monotonic()
    ran = subprocess.run([str(word) for word in command], env=postfix.environment, timeout=300,
                         capture_output=True)
    took = time.monotonic() - start
    if ran.returncode != 0:
      raise Failed(f'{self.label}: ' + ran.stderr.decode(errors='replace').strip()[-300:])
    return took


class Sink(HasServer):
  def __init__(self, scratch: Scratch, postfix: Postfix, name: str = 'sink', *options: str):
    self.postfix = postfix
    self.options = options
    self.port = free_port()
    self.output = scratch.folder(name) / 'counters'

  def start(self):
    # The counters cost one write(2) into memory a message.
    self.server = Server([self.postfix.sink, '-L', '-c', '-u', 'nobody', '-m', BACKLOG,
                          *self.options, f'127.0.0.1:{self.port}', BACKLOG], self.output,
                         self.postfix.environment)
    self.server.wait_ready(lambda: tcp_listens(self.port), 'smtp-sink listens')

  @property
  def address(self) -> str:
    return f'inet:127.0.0.1:{self.port}'

  def counters(self) -> dict[str, int]:
    """sess: connections, quit: those that were closed by QUIT, mesg: messages."""
    size = self.output.stat().st_size
    with self.output.open('rb') as file:
      file.seek(max(0, size - 200))
      last = file.read().decode().replace('\n', '\r').strip('\r').rpartition('\r')[2]
    pairs = [word.partition('=') for word in last.split()]
    return {'sess': 0, 'quit': 0, 'mesg': 0} | {name: int(value) for name, _, value in pairs}
