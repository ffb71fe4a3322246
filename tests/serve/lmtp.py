"""An LMTP client, and messages for it to bring.

What it is: one connection, straight-line; it may send in one flight what PIPELINING allows.
What it does not know: retries (mta.py), what is right.
Called by: mta, and the checks of run.
Failure: Gone when the connection ends or nothing comes in time.
"""

import itertools
import os
import socket
from dataclasses import dataclass, field

SERIAL = itertools.count(1)


class Gone(Exception):
  """stage: where the dialogue stood: greeting, envelope, data, answers, between; heard: the answers
  that had come."""

  def __init__(self, stage: str, why: str):
    super().__init__(f'{stage}: {why}')
    self.stage = stage
    self.heard: list[str] = []


@dataclass
class Message:
  recipients: list[str]
  body: bytes = b'Hello.\r\n'
  header: bytes = b''  # further lines
  sender: str = 'sender@mail.test'
  number: str = field(default_factory=lambda: f'{os.getpid():x}{next(SERIAL):06d}')

  @property
  def queue_id(self) -> str:
    """By which lmtpq's log names it."""
    return f'q{self.number}'

  @property
  def identity(self) -> str:
    return f'<{self.number}@mail.test>'

  def text(self) -> bytes:
    head = (f'Received: from client.test by mail.test with SMTP id {self.queue_id};\r\n'
            '\tSat, 21 Nov 2026 12:00:00 +0000\r\n'
            f'From: <{self.sender}>\r\nSubject: load\r\n'
            f'Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: {self.identity}\r\n')
    return head.encode() + self.header + b'\r\n' + self.body


class Client:
  """Reads the greeting and says LHLO, unless told not to."""

  def __init__(self, address: str, seconds: float = 30, greet: bool = True):
    kind, _, place = address.partition(':')
    self.stage = 'greeting'
    self.buffer = b''
    try:
      if kind == 'unix':
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(place)
      else:
        host, _, port = place.rpartition(':')
        self.socket = socket.create_connection((host, int(port)), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
      raise Gone('greeting', f'connect: {error}') from error
    self.offers: list[str] = []
    if greet:
      self.greeting = self.reply()
      if self.greeting.startswith('2'):
        self.offers = self.ask('LHLO client.test', whole=True).upper().split('\n')
      self.stage = 'between'

  def close(self):
    self.socket.close()

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self.close()

  def send(self, data: bytes):
    try:
      self.socket.sendall(data)
    except OSError as error:
      raise Gone(self.stage, f'send: {error}') from error

  def line(self) -> bytes:
    while (end := self.buffer.find(b'\n')) < 0:
      try:
        piece = self.socket.recv(65536)
      except OSError as error:
        raise Gone(self.stage, f'receive: {error}') from error
      if not piece:
        raise Gone(self.stage, 'closed')
      self.buffer += piece
    line, self.buffer = self.buffer[:end + 1], self.buffer[end + 1:]
    return line

  def reply(self, whole: bool = False) -> str:
    """The last line of a reply, or all of them."""
    lines = []
    while True:
      line = self.line().rstrip(b'\r\n').decode('latin-1')
      lines.append(line)
      if line[3:4] != '-':
        return '\n'.join(lines) if whole else line

  def ask(self, command: str, whole: bool = False) -> str:
    self.send(command.encode() + b'\r\n')
    return self.reply(whole)

  def at_end(self, seconds: float = 5) -> bool:
    """The server closes, and says no more."""
    self.socket.settimeout(seconds)
    try:
      return self.buffer == b'' and self.socket.recv(1) == b''
    except ConnectionResetError:
      return True
    except TimeoutError:
      return False

  def envelope(self, message: Message, parameters: str = '') -> list[str]:
    """The replies at MAIL and RCPT, and last at DATA."""
    self.stage = 'envelope'
    commands = [f'MAIL FROM:<{message.sender}>',
                *(f'RCPT TO:<{to}>{parameters}' for to in message.recipients), 'DATA']
    if '250-PIPELINING' in self.offers:
      self.send('\r\n'.join([*commands, '']).encode())
      return [self.reply() for _ in commands]
    replies = []
    for command in commands:
      replies.append(self.ask(command))
      if replies[-1][:1] not in ('2', '3') and not command.startswith('RCPT'):
        break  # nothing behind a refused MAIL
    return replies

  def bring(self, message: Message, parameters: str = '') -> list[str]:
    """One answer for each recipient; of a refused MAIL or DATA, the same for all."""
    replies = self.envelope(message, parameters)
    self.stage = 'between'
    if not replies[-1].startswith('354'):
      return [replies[-1] if replies[-1][:1] in '45' else replies[0]] * len(message.recipients)
    self.stage = 'data'
    self.send(message.text().replace(b'\r\n.', b'\r\n..') + b'.\r\n')
    return self.answers(message, replies)

  def answers(self, message: Message, replies: list[str]) -> list[str]:
    self.stage = 'answers'
    heard: list[str] = []
    try:
      for at_rcpt in replies[1:-1]:
        heard.append(self.reply() if at_rcpt.startswith('2') else at_rcpt)
    except Gone as gone:
      gone.heard = heard
      raise
    self.stage = 'between'
    return heard
