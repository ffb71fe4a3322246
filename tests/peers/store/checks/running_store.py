"""A store in a separate folder, and a client that plays a dialogue.

What it is: what every test of this suite needs, by the fixture `store` of conftest.py.
Lifetimes: each test has its own store, folder and clients; all are gone when it ends.
Failure: AssertionError, or a socket's timeout.
"""

import os
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

# A store built with ThreadSanitizer would sleep a second at its end, to catch late races.
ENVIRONMENT = os.environ | {'TSAN_OPTIONS': 'atexit_sleep_ms=0'}
DEADLINE = 60  # seconds for any one reply


def masked(reply: str) -> str:
  """Session ids are never the same twice: SESSIONID=<*>."""
  return re.sub(r'SESSIONID=<[^>]+>', 'SESSIONID=<*>', reply)


class Client:
  def __init__(self, address: str):
    if address.startswith('unix:'):
      self.socket = socket.socket(socket.AF_UNIX)
      self.socket.settimeout(DEADLINE)
      self.socket.connect(address[5:])
    else:
      host, port = address[5:].rsplit(':', 1)
      self.socket = socket.create_connection((host, int(port)), DEADLINE)
    self.lines = self.socket.makefile('rb')
    self.greeting = self.read()

  def send(self, data: bytes | str):
    self.socket.sendall(data.encode() if isinstance(data, str) else data)

  def read_exactly(self) -> str:
    """The next reply, its lines divided by LF; an empty string at the end of the connection."""
    lines = []
    while True:
      line = self.lines.readline()
      if not line:
        return '\n'.join(lines)
      assert line.endswith(b'\r\n'), f'a reply line without CRLF: {line!r}'
      lines.append(line[:-2].decode())
      if lines[-1][3:4] != '-':
        return '\n'.join(lines)

  def read(self) -> str:
    return masked(self.read_exactly())

  def say(self, command: str) -> str:
    self.send(command + '\r\n')
    return self.read()

  def session_id(self, command: str) -> str:
    self.send(command + '\r\n')
    return re.search(r'SESSIONID=<([^>]+)>', self.read_exactly())[1]

  def play(self, *pairs):
    """Commands and the replies wanted, by turns."""
    for command, wanted in zip(pairs[::2], pairs[1::2], strict=True):
      got = self.say(command)
      assert got == wanted, f'{command!r} got {got!r}, wanted {wanted!r}'

  def open_data(self, *recipients: str):
    self.play('MAIL FROM:<s@x.test>', '250 2.1.0 ok')
    for recipient in recipients or ('alice',):
      self.play(f'RCPT TO:<{recipient}>', '250 2.1.5 ok')
    self.play('DATA', '354 go ahead')

  def submit(self, data: bytes | str, *recipients: str) -> list[str]:
    """A whole transaction; `data` goes out as it is, its end included."""
    self.open_data(*recipients)
    self.send(data)
    return [self.read() for _ in recipients or ('alice',)]

  def silent(self) -> bool:
    """No reply for a tenth of a second; the store has had time to read what it was sent."""
    return select.select([self.socket], [], [], 0.1)[0] == []

  def at_end(self) -> bool:
    return self.lines.readline() == b''

  def close(self):
    self.lines.close()
    self.socket.close()


class Store:
  def __init__(self, binary: Path, folder: Path, options, users):
    self.dir = folder
    self.mail = self.dir / 'mail'
    for user in users:
      (self.mail / user).mkdir(parents=True)
    self.binary, self.options, self.clients = binary, options, []
    self.process = None
    self.start()

  def arguments(self, *options) -> list[str]:
    return [str(self.binary), '--dir', str(self.mail), '--log', str(self.dir / 'log'), *options]

  def start(self):
    self.process = subprocess.Popen(
        self.arguments('--listen', f'unix:{self.dir}/lmtp', '--listen=inet:127.0.0.1:0',
                       *self.options),
        stdout=subprocess.PIPE, stderr=(self.dir / 'stderr').open('ab'), text=True,
        env=ENVIRONMENT)
    self.ready = self.process.stdout.readline().rstrip('\n')
    assert self.ready.startswith('ready '), self.errors()
    self.unix, self.inet = self.ready.split()[1:]

  def errors(self) -> str:
    return (self.dir / 'stderr').read_text()

  def client(self, address: str = '') -> Client:
    self.clients.append(Client(address or self.unix))
    return self.clients[-1]

  def end(self, number: int = signal.SIGTERM) -> int:
    self.process.send_signal(number)
    status = self.process.wait(DEADLINE)
    self.process.stdout.close()
    self.process = None
    return status

  def files(self, user: str, part: str = 'new') -> list[bytes]:
    return [path.read_bytes() for path in sorted((self.mail / user).glob(f'{part}/*'))]

  def filed(self, user: str = 'alice') -> bytes:
    """The one message that the user has, without its first line, the Return-Path."""
    files = self.files(user)
    assert len(files) == 1, f'{user} has {len(files)} messages'
    return files[0].partition(b'\r\n')[2]

  def log(self, having: str = '') -> list[str]:
    return [line for line in (self.dir / 'log').read_text().splitlines() if having in line]

  def close(self):
    for client in self.clients:
      client.close()
    status = self.end() if self.process else 0
    errors = self.errors()
    assert status == 0
    assert 'Sanitizer' not in errors and 'runtime error' not in errors, errors
