"""A scripted LMTP (and SMTP) server that keeps every byte it was sent and every reply it gave.

What it is: a server on a unix socket and on TCP whose replies are in a table, `answers`, by verb;
  what the table does not say is said as Cyrus lmtpd says it. GREETING and DOT are verbs here.
What it does not know: what is right; see dialogue.py.
Answers: a reply ('250 ok'; several lines are parted by newlines), CLOSE, SILENCE, None for the
  usual reply, or a function of (session, argument) that answers one of these. $SESSION in a reply
  becomes SESSIONID=<...>, which a new connection and RSET renew. 421 closes, too.
Lifetimes: one thread a connection, until stop(); take() returns the sessions and forgets them.
"""

import re
import select
import socket
import socketserver
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.process import wait_until
from fixtures.scratch import Scratch, free_port

CLOSE = object()
SILENCE = object()
HOSTS = ('127.0.0.1', '127.0.0.2')  # on one port
LIMIT = 1 << 24  # bytes of one connection
OFFERED = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE', 'IGNOREQUOTA', 'TRACE')


def in_turn(*answers):
  """One after the other, and then the usual one."""
  left = list(answers)
  return lambda session, argument: resolve(left.pop(0) if left else None, session, argument)


def by_user(answers: dict):
  """By the local part of the address in the argument."""
  return lambda session, argument: resolve(answers.get(local_part(argument)), session, argument)


def resolve(answer, session, argument: str):
  return answer(session, argument) if callable(answer) else answer


def local_part(argument: str) -> str:
  found = re.search(r'<([^@>]*)', argument)
  return found.group(1) if found else ''


@dataclass
class Exchange:
  """A command, or a message with its dot, and the reply; `early`: the client had not waited."""
  sent: bytes
  reply: bytes = b''
  is_message: bool = False
  early: bool = False

  @property
  def verb(self) -> str:
    return '.' if self.is_message else self.sent[:5].split()[0].decode('latin-1').upper()

  @property
  def argument(self) -> str:
    return self.sent.decode('latin-1').rstrip('\r\n').partition(' ')[2]

  @property
  def accepted(self) -> bool:
    return self.reply.startswith(b'2')


@dataclass
class Session:
  exchanges: list[Exchange] = field(default_factory=list)
  received: bytearray = field(default_factory=bytearray)
  recipients: list[str] = field(default_factory=list)  # accepted, of the open transaction
  session_id: str = ''
  smtp: bool = False
  host: str = ''  # the address that was dialled, over TCP
  ended: bool = False

  @property
  def verbs(self) -> list[str]:
    return [one.verb for one in self.exchanges]


class Gone(Exception):
  pass


class Client(socketserver.BaseRequestHandler):
  def handle(self):
    self.session = self.server.peer.new_session()
    name = self.request.getsockname()
    self.session.host = name[0] if isinstance(name, tuple) else ''
    self.buffer = bytearray()
    self.request.settimeout(60)
    try:
      self.answer('GREETING', '', '220 peer.test LMTP ready')
      while True:
        self.command(self.read_line())
    except (Gone, OSError):
      pass
    finally:
      self.session.ended = True

  def receive(self):
    data = self.request.recv(65536)
    if not data or len(self.session.received) > LIMIT:
      raise Gone
    self.buffer += data
    self.session.received += data

  def read_through(self, end: bytes) -> bytes:
    while end not in self.buffer:
      self.receive()
    size = self.buffer.index(end) + len(end)
    found = bytes(self.buffer[:size])
    del self.buffer[:size]
    return found

  def read_line(self) -> bytes:
    return self.read_through(b'\n')

  def command(self, line: bytes):
    exchange = Exchange(line)
    self.session.exchanges.append(exchange)
    verb, argument = exchange.verb, exchange.argument
    if verb == 'TRACE':
      time.sleep(0.01)
      exchange.early = bool(self.buffer or select.select([self.request], [], [], 0)[0])
    handler = getattr(self, f'on_{verb.lower()}', None)
    if handler:
      handler(verb, argument)
    else:
      self.answer(verb, argument, '500 5.5.2 Syntax error')
    if verb == 'QUIT':
      raise Gone

  def on_lhlo(self, verb: str, argument: str):
    self.session.smtp = verb == 'EHLO'
    words = ['peer.test', *self.server.peer.offered]
    lines = [f'250-{word}' for word in words] + ['250 Ok $SESSION']
    self.answer(verb, argument, '\n'.join(lines))

  on_ehlo = on_lhlo

  def on_mail(self, verb: str, argument: str):
    self.session.recipients = []
    self.answer(verb, argument, '250 2.1.0 ok')

  def on_rcpt(self, verb: str, argument: str):
    if self.answer(verb, argument, '250 2.1.5 ok').startswith(b'2'):
      self.session.recipients.append(argument)

  def on_rset(self, verb: str, argument: str):
    self.server.peer.renew(self.session)
    self.answer(verb, argument, '250 2.0.0 Ok $SESSION')

  def on_noop(self, verb: str, argument: str):
    self.answer(verb, argument, '250 2.0.0 ok')

  def on_trace(self, verb: str, argument: str):
    self.answer(verb, argument, f'250 2.0.0 Ok $SESSION TRACEID=<{argument}>')

  def on_quit(self, verb: str, argument: str):
    self.answer(verb, argument, '221 2.0.0 bye')

  def on_data(self, verb: str, argument: str):
    usual = '354 go ahead' if self.session.recipients else '503 5.5.1 No recipients'
    if not self.answer(verb, argument, usual).startswith(b'3'):
      return
    message = self.read_message()
    self.session.exchanges.append(Exchange(message, is_message=True))
    recipients, self.session.recipients = self.session.recipients, []
    if self.session.smtp:
      self.answer('DOT', '', '250 2.0.0 taken')
      return
    for recipient in recipients:
      if self.answer('DOT', recipient, '250 2.1.5 Success $SESSION').startswith(b'2'):
        self.server.peer.file(local_part(recipient), message)

  def read_message(self) -> bytes:
    lines = [self.read_line()]
    while lines[-1] != b'.\r\n':
      lines.append(self.read_line())
    return b''.join(lines)

  def answer(self, verb: str, argument: str, usual: str) -> bytes:
    said = resolve(self.server.peer.answers.get(verb), self.session, argument)
    if said is CLOSE:
      self.close()
    if said is SILENCE:
      while True:
        self.receive()
    text = (usual if said is None else said)
    text = text.replace('$SESSION', f'SESSIONID=<{self.session.session_id}>')
    raw = b''.join(line.encode('latin-1') + b'\r\n' for line in text.split('\n'))
    self.request.sendall(raw)
    if self.session.exchanges:
      self.session.exchanges[-1].reply += raw
    if raw.startswith(b'421'):
      self.close()
    return raw

  def close(self):
    """Says no more; what the client still sends is recorded."""
    self.request.shutdown(socket.SHUT_WR)
    while True:
      self.session.exchanges.append(Exchange(self.read_line()))


class UnixServer(socketserver.ThreadingUnixStreamServer):
  daemon_threads = True
  request_queue_size = 50


class TcpServer(socketserver.ThreadingTCPServer):
  daemon_threads = True
  allow_reuse_address = True


class Peer:
  def __init__(self, scratch: Scratch, name: str = 'peer'):
    self.dir = scratch.folder(name)
    self.path = self.dir / 'lmtp'
    self.port = free_port()
    self.sessions: list[Session] = []
    self.lock = threading.Lock()
    self.serial = 0
    self.forget()

  @property
  def address(self) -> str:
    return f'unix:{self.path}'

  def forget(self):
    """The usual answers, no session and no mail, and session ids from the first on."""
    self.answers: dict = {}
    self.offered: tuple[str, ...] = OFFERED
    self.take()
    self.filed: dict[str, list[bytes]] = {}
    self.serial = 0

  def start(self):
    self.servers = [UnixServer(str(self.path), Client)]
    self.servers += [TcpServer((host, self.port), Client) for host in HOSTS]
    for server in self.servers:
      server.peer = self
      threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    self.path.chmod(0o777)

  def stop(self):
    for server in self.servers:
      server.shutdown()
      server.server_close()
    Path(self.path).unlink(missing_ok=True)

  def new_session(self) -> Session:
    session = Session()
    self.renew(session)
    with self.lock:
      self.sessions.append(session)
    return session

  def renew(self, session: Session):
    with self.lock:
      self.serial += 1
      session.session_id = f'peer.test-{self.serial}-7@x+y:z'

  def take(self) -> list[Session]:
    """The sessions since the last call, when all of them have ended."""
    wait_until(lambda: all(one.ended for one in self.sessions), 'the sessions with the peer end')
    with self.lock:
      taken, self.sessions = self.sessions, []
    return taken

  # As a Store does.

  def add_mailbox(self, user: str):
    """Every mailbox exists."""

  def file(self, user: str, message: bytes):
    with self.lock:
      self.filed.setdefault(user, []).append(message)

  def messages(self, user: str) -> list[bytes]:
    """What was filed for the user, without the dot."""
    return [raw.removesuffix(b'.\r\n') for raw in self.filed.get(user, [])]
