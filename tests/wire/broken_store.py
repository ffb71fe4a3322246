"""A store that is honest and broken: it says 250 only for what it files, and fails at random.

What it is: an LMTP server in memory, with TLS if it has a context, and with AUTH if it wants a login. By
  its random numbers a transaction, or what comes before it, has a fault at one of its steps, or none.
What it does not know: lmtpq, the clients.
Threads: one accepts, one for each connection; stop() ends them.
"""

import re
import socket
import ssl
import threading
import time
from pathlib import Path
from random import Random

from . import broken_login, digest
from .ledger import Filed, Ledger

STEPS = ('greeting', 'LHLO', 'RSET', 'TRACE', 'MAIL', 'RCPT', 'DATA', 'body', 'final')
# Before the message only: after it an extra 250 would be a lie.
EXTRA = ('greeting', 'LHLO', 'RSET', 'TRACE', 'MAIL', 'RCPT', 'DATA')
FAULTS = ('close', 'reset', '421', 'temporary', 'permanent', 'garbage', 'huge', 'nul', 'half', 'slow',
          'silent', 'lines', 'extra')
OFFERS = ('8BITMIME', 'ENHANCEDSTATUSCODES', 'SIZE', 'IGNOREQUOTA', 'TRACE', 'CHUNKING', 'SMTPUTF8')
SILENCE = 1.5  # longer than the daemon's time limits


class Over(Exception):
  """The connection ends now."""


class BrokenStore:
  # With `mechanisms`, of which each connection offers one list, mail is for clients that have logged in,
  # over TCP: a unix socket counts as private.
  def __init__(self, path: Path, name: str, ledger: Ledger, seed: str, faults: float,
               tls: ssl.SSLContext | None = None, mechanisms: tuple[str, ...] = ()):
    self.name, self.ledger, self.tls, self.faults = name, ledger, tls, faults
    self.mechanisms = mechanisms
    self.random = Random(seed)
    self.lock = threading.Lock()
    self.connections: set[socket.socket] = set()
    self.in_clear = bytearray()  # the commands that came without TLS
    self.listener = socket.socket(socket.AF_INET if mechanisms else socket.AF_UNIX)
    self.listener.bind(('127.0.0.1', 0) if mechanisms else str(path))
    self.listener.listen(256)
    self.address = f'inet:127.0.0.1:{self.listener.getsockname()[1]}' if mechanisms else f'unix:{path}'
    threading.Thread(target=self._accept, daemon=True).start()

  def stop(self):
    self.listener.shutdown(socket.SHUT_RDWR)
    self.listener.close()
    with self.lock:
      for connection in self.connections:
        connection.close()

  def seed(self) -> float:
    with self.lock:
      return self.random.random()

  def _accept(self):
    while True:
      try:
        taken, _ = self.listener.accept()
      except OSError:
        return  # stop()
      if taken.family == socket.AF_INET:
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
      with self.lock:
        self.connections.add(taken)
      threading.Thread(target=self._run, args=(taken,), daemon=True).start()

  def _run(self, taken: socket.socket):
    try:
      Connection(self, taken, Random(self.seed())).serve()
    except (Over, OSError):
      pass
    finally:
      with self.lock:
        self.connections.discard(taken)
      taken.close()


class Connection:
  def __init__(self, store: BrokenStore, taken: socket.socket, random: Random):
    self.store, self.socket, self.random = store, taken, random
    self.lines = taken.makefile('rb')
    self.pipelining = random.random() < 0.7
    self.mechanisms = random.choice(store.mechanisms or ('',))
    self.secure = self.logged_in = self.in_layer = False
    self.recipients: list[tuple[str, bool]] = []
    self.number = self.trace = ''
    self.chunks = b''  # of BDAT
    self.fault = self.step = ''
    self._choose()
    if store.mechanisms and random.random() < 2 * store.faults:
      self.step = random.choice(('AUTH', 'AUTH', 'AUTH', 'LHLO'))
      self.fault = (random.choice(random.choice((FAULTS, broken_login.FAULTS))) if self.step == 'AUTH'
                    else 'strips')

  def _choose(self):
    """The fault of the next transaction."""
    self.fault = self.step = ''
    if self.random.random() < self.store.faults:
      self.fault = self.random.choice(FAULTS)
      if self.in_layer and self.random.random() < 0.5:
        self.fault = self.random.choice(digest.FAULTS)
      self.step = self.random.choice(EXTRA if self.fault == 'extra' else STEPS)

  def say(self, text: str):
    self.socket.sendall(text.encode('latin-1') + b'\r\n')

  # Says `good`, or what the fault makes of it. True: it said `good`.
  def reply(self, step: str, good: str, recipient: str = '') -> bool:
    if step != self.step:
      self.say(good)
      return True
    self.step = ''
    return self._fail(good, recipient)

  def _fail(self, good: str, recipient: str) -> bool:
    fault = self.fault
    about = f'{recipient} ' if recipient else ''
    if fault == 'close':
      raise Over
    if fault == 'reset':
      self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
      raise Over
    if fault == '421':
      self.say('421 4.3.2 going down')
      raise Over
    if fault == 'temporary':
      self.say(f'4{self.random.choice("0123459")}{self.random.choice("0123")} 4.{self.random.randint(0, 7)}.1 {about}not now')
      return False
    if fault == 'permanent':
      self.store.ledger.refuse(self.number, recipient)
      self.say(f'5{self.random.choice("0125")}{self.random.choice("0123")} 5.{self.random.randint(1, 7)}.1 {about}no')
      return False
    if fault == 'garbage':
      self.say(self.random.choice(('hello', '', '25', '2500 x', '999 x', '\x1b[2J', '250-a\r\n451 b')))
      raise Over
    if fault == 'huge':
      self.say('451 ' + 'x' * 200_000)
      raise Over
    if fault == 'nul':
      self.say('\0\0250 ok')
      raise Over
    if fault == 'half':
      self.socket.sendall(good.encode()[:self.random.randint(1, len(good))])
      raise Over
    if fault == 'silent':
      time.sleep(SILENCE)
      raise Over
    if fault == 'slow':
      for byte in good.encode() + b'\r\n':
        self.socket.sendall(bytes([byte]))
        time.sleep(0.001)
      return True
    if fault == 'lines' and good[3] == ' ':
      self.say(f'{good[:3]}-one\r\n{good[:3]}-\r\n{good}')
      return True
    if fault in digest.FAULTS:
      self.socket.fail(fault, good.encode() + b'\r\n')
      raise Over
    if fault == 'extra':
      self.say('250 2.0.0 one too many')
    self.say(good)
    return True

  def line(self) -> str:
    """Of the client, without its end."""
    raw = self.lines.readline()
    if not raw.endswith(b'\n'):
      raise Over
    if not self.secure:
      with self.store.lock:
        self.store.in_clear += raw
    return raw.decode('latin-1').rstrip('\r\n')

  def serve(self):
    self.reply('greeting', '220 store.test LMTP')
    while True:
      line = self.line()
      handler = getattr(self, f'on_{line.split(" ")[0].lower()}', None)
      if handler is None:
        self.say('500 5.5.1 what?')
      else:
        handler(line)

  def on_lhlo(self, _):
    offers = [*OFFERS, *(['PIPELINING'] if self.pipelining else []), *self._security()]
    self.reply('LHLO', ''.join(f'250-{word}\r\n' for word in offers) + '250 ok')

  def _security(self) -> list[str]:
    if self.fault == 'strips':
      return ['AUTH PLAIN LOGIN']  # as an attacker leaves it
    if self.store.tls and not self.secure:
      return ['STARTTLS']
    return [f'AUTH {self.mechanisms}'] if self.mechanisms and not self.logged_in else []

  def on_starttls(self, _):
    self.say('220 go ahead')
    self.socket = self.store.tls.wrap_socket(self.socket, server_side=True)
    self.lines = self.socket.makefile('rb')
    self.secure = True

  def on_auth(self, line):
    self.logged_in = broken_login.log_in(self, line.partition(' ')[2])

  def begin_layer(self, key: bytes):
    self.socket = self.lines = digest.Layer(self.socket, self.lines, key, self.store.ledger.breach)
    self.in_layer = True

  def on_rset(self, _):
    self.recipients, self.trace, self.chunks = [], '', b''
    self._choose()
    self.reply('RSET', '250 2.0.0 reset')

  def on_trace(self, line):
    if self.reply('TRACE', '250 2.0.0 traced'):
      self.trace = line.split(' ')[1]

  def on_mail(self, line):
    # The sender is the message's number.
    self.number = line.partition('<')[2].partition('@')[0]
    self.recipients, self.chunks = [], b''
    if self.store.mechanisms and not self.logged_in:
      self.store.ledger.breach(f'{self.store.name}: MAIL without a login')
    self.mail = self.reply('MAIL', '250 2.1.0 ok')

  def on_rcpt(self, line):
    to = line.partition('<')[2].partition('>')[0]
    if not self.mail:
      self.say('503 5.5.1 no MAIL')
    elif self.random.random() < 0.05:
      self.store.ledger.refuse(self.number, to)
      self.say(f'550 5.1.1 {to} is unknown')
    elif self.reply('RCPT', f'250 2.1.5 {to} ok', to):
      self.recipients.append((to, line.endswith(' IGNOREQUOTA')))

  def on_data(self, _):
    if not self.recipients:
      self.say('503 5.5.1 no recipients')
      return
    if not self.reply('DATA', '354 go'):
      return
    if self.step == 'body':
      self.step = ''
      if self.fault in ('temporary', 'permanent'):
        self._fail('', '')  # before the end of data
        raise Over
      if self.fault in ('close', 'reset', '421', 'half', 'silent'):
        self._fail('451 4.3.0 x', '')
    message = self.message()
    for to, ignores_quota in self.recipients:
      self.end(to, ignores_quota, message)
    self.recipients = []

  def on_bdat(self, line):
    self.chunks += self.lines.read(int(line.split(' ')[1]))
    if not line.endswith(' LAST'):
      self.say('250 2.0.0 more')
      return
    for to, ignores_quota in self.recipients:
      self.end(to, ignores_quota, self.chunks)
    if not self.recipients:
      self.say('503 5.5.1 no recipients')
    self.recipients = []

  def message(self) -> bytes:
    parts = []
    for line in self.lines:
      if line == b'.\r\n':
        return b''.join(parts)
      parts.append(line[1:] if line.startswith(b'.') else line)
    raise Over

  def end(self, to: str, ignores_quota: bool, message: bytes):
    good = f'250 2.1.5 {to} filed'
    files = True
    if self.random.random() < 0.05:
      files = False
      good = f'452 4.2.2 {to} is over quota'
    elif self.step == 'final' and self.fault in ('temporary', 'permanent'):
      files = False
    if files:
      number = re.search(rb'^Message-ID: <([a-z0-9]+)@', message, re.M)
      self.store.ledger.file(Filed(self.store.name, number.group(1).decode() if number else '?', to, message,
                                   self.trace, ignores_quota))
    self.reply('final', good, to)

  def on_noop(self, _):
    self.say('250 2.0.0 ok')

  def on_quit(self, _):
    self.say('221 2.0.0 bye')
    raise Over
