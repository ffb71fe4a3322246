"""A store that replies as a test wants, and records the commands it receives.

What it is: an LMTP server in memory. A test may change while it serves: `greeting`, `offers`,
  at_rcpt(address), at_final(address) and at_command(connection, line), each of which returns a
  reply or '' for the usual one; `hold`, an event that every final reply waits for.
What it does not know: lmtpq.
Called by: daemon.py and the tests; a test that needs mailboxes on disk takes build/tests/store.
Threads and lifetimes: one thread accepts, one for each connection; stop() ends them.
"""

import socket
import ssl
import threading
import time
from pathlib import Path

OFFERS = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'PIPELINING', 'SIZE', 'IGNOREQUOTA', 'TRACE')


class Connection:
  def __init__(self, taken: socket.socket):
    self.socket = taken
    self.commands: list[str] = []
    self.began = time.monotonic()
    self.ended = 0.0

  def said(self, verb: str) -> list[str]:
    return [line for line in self.commands if line.upper().startswith(verb)]

  def send(self, *lines: str):
    self.socket.sendall(''.join(f'{line}\r\n' for line in lines).encode())

  def end(self, *last_words: str):
    """The store closes the connection."""
    self.send(*last_words)
    self.socket.shutdown(socket.SHUT_RDWR)


class FakeStore:
  def __init__(self, path: Path):
    self.path = path
    self.greeting = '220 store.test LMTP ready'
    self.offers = OFFERS
    self.hold = threading.Event()
    self.hold.set()
    self.at_rcpt = self.at_final = lambda _: ''
    self.at_command = lambda connection, line: ''
    self.tls: ssl.SSLContext | None = None  # for STARTTLS, which `offers` must list
    self.before_handshake = lambda: None
    self.connections: list[Connection] = []
    self.filed: list[tuple[str, bytes]] = []  # mailbox, message
    self.lock = threading.Lock()
    self.open = self.most_open = 0
    self.over = threading.Event()  # stop() was called
    self.busy: dict[str, int] = {}  # final replies that wait, by mailbox
    self.most_busy: dict[str, int] = {}
    self.listener = socket.socket(socket.AF_UNIX)
    self.listener.bind(str(path))
    self.listener.listen(256)
    threading.Thread(target=self._accept, daemon=True).start()

  @property
  def address(self) -> str:
    return f'unix:{self.path}'

  def boxes(self) -> list[str]:
    return [mailbox for mailbox, _ in self.filed]

  def all_busy(self) -> int:
    return sum(self.busy.values())

  def hold_for(self, *users: str) -> threading.Event:
    """Final replies for these users wait until the event is set."""
    gate = threading.Event()

    def at_final(address: str) -> str:
      if address.partition('@')[0] in users:
        while not gate.wait(0.1) and not self.over.is_set():
          pass
      return f'250 2.1.5 {address} has it'
    self.at_final = at_final
    return gate

  def stop(self):
    self.over.set()
    self.hold.set()
    self.listener.shutdown(socket.SHUT_RDWR)
    self.listener.close()
    for connection in self.connections:
      try:
        connection.socket.shutdown(socket.SHUT_RDWR)
      except OSError:
        pass  # it has ended

  def _accept(self):
    while True:
      try:
        taken, _ = self.listener.accept()
      except OSError:
        return  # stop()
      connection = Connection(taken)
      with self.lock:
        self.connections.append(connection)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
      threading.Thread(target=self._run, args=(connection,), daemon=True).start()

  def _run(self, connection: Connection):
    try:
      with connection.socket, connection.socket.makefile('rb') as lines:
        connection.send(self.greeting)
        if self.greeting.startswith('2'):
          self._serve(connection, lines)
    except OSError:
      pass  # the client has gone
    finally:
      connection.ended = time.monotonic()
      with self.lock:
        self.open -= 1

  def _serve(self, connection: Connection, lines):
    recipients: list[str] = []
    for raw in lines:
      line = raw.decode('latin-1').strip()
      connection.commands.append(line)
      verb = line.upper().split(' ')[0]
      wanted = self.at_command(connection, line)
      if wanted:
        connection.send(wanted)
      elif verb == 'LHLO':
        connection.send(*[f'250-{word}' for word in self.offers], '250 Ok SESSIONID=<1>')
      elif verb == 'RCPT':
        reply = self.at_rcpt(line[9:line.index('>')]) or '250 2.1.5 ok'
        connection.send(reply)
        recipients += [line[9:line.index('>')]] if reply.startswith('2') else []
      elif verb == 'DATA':
        connection.send('354 go ahead' if recipients else '503 5.5.1 No recipients')
        if recipients:
          self._file(connection, lines, recipients)
          recipients = []
      elif verb == 'STARTTLS' and self.tls:
        connection.send('220 2.0.0 go')
        self.before_handshake()
        connection.socket = self.tls.wrap_socket(connection.socket, server_side=True)
        with connection.socket, connection.socket.makefile('rb') as within:
          return self._serve(connection, within)
      elif verb == 'QUIT':
        connection.send('221 2.0.0 bye')
        return
      else:
        recipients = [] if verb in ('RSET', 'MAIL') else recipients
        connection.send('250 2.0.0 ok')

  def _file(self, connection: Connection, lines, recipients: list[str]):
    message = b''
    for line in lines:
      if line == b'.\r\n':
        break
      message += line
    else:
      return  # no end of data came
    for address in recipients:
      mailbox = address.partition('@')[0]
      self._count(mailbox, 1)
      self.hold.wait()
      reply = self.at_final(address) or '250 2.1.5 Success'
      self._count(mailbox, -1)
      if reply.startswith('2'):
        self.filed.append((mailbox, message))
      connection.send(reply)

  def _count(self, mailbox: str, step: int):
    with self.lock:
      now = self.busy[mailbox] = self.busy.get(mailbox, 0) + step
      self.most_busy[mailbox] = max(self.most_busy.get(mailbox, 0), now)
