"""One connection to the client, in clear and later in TLS, with everything that it sent kept.

What it is: lines and bytes over a socket; TLS on memory buffers, so that a test can also put bytes
  between the records, send a handshake in small pieces, or end without close_notify.
What it does not know: LMTP; whether the client is right.
Called by: Session; one thread for each connection.
Failure: Gone when the client has ended, broken off or said nothing for too long. Received keeps
  what had come.
"""

import socket
import ssl

from . import engines

LONGEST = 24 << 20  # more than any message of the tests
PATIENCE = 90.0


class Gone(Exception):
  pass


class Received:
  """What one client sent."""

  def __init__(self):
    self.raw = bytearray()  # as it came over the wire
    self.inside = bytearray()  # what TLS opened of it
    self.protocol = ''  # of TLS; empty: no handshake succeeded
    self.resumed = False
    self.trouble = ''  # the words of what broke it
    self.told = 0  # bytes that it was sent, TLS's own apart
    self.ended = ''  # how the client ended: 'close_notify' of TLS, 'end' of the stream

  def plain(self) -> bytes:
    """What an LMTP server understood, in TLS or not."""
    return bytes(self.inside) if self.protocol else bytes(self.raw)


class Wire:
  def __init__(self, connection: socket.socket, received: Received):
    self.socket = connection
    self.socket.settimeout(PATIENCE)
    self.received = received
    self.tls: engines.Engine | None = None
    self.buffer = bytearray()  # plain, not yet taken

  # What the client sends.

  def receive_raw(self) -> bytes:
    try:
      data = self.socket.recv(65536)
    except OSError as error:
      raise Gone(str(error)) from error
    if not data:
      self.received.ended = self.received.ended or 'end'
      raise Gone('end of stream')
    if len(self.received.raw) < LONGEST:
      self.received.raw += data
    return data

  def fill(self):
    """Waits for more plain bytes."""
    if not self.tls:
      self.buffer += self.receive_raw()
      return
    while True:
      try:
        plain, over = self.tls.take()
        self.flush()  # answers of TLS itself
      except engines.Broken as error:
        self.received.trouble = str(error)
        self.flush()
        raise Gone(str(error)) from error
      if plain:
        self.buffer += plain
        self.received.inside += plain
        return
      if over:
        self.received.ended = 'close_notify'
        raise Gone('close_notify')
      self.tls.feed(self.receive_raw())

  def line(self) -> bytes:
    """Without its CRLF."""
    while b'\n' not in self.buffer:
      self.fill()
    line, _, rest = bytes(self.buffer).partition(b'\n')
    self.buffer[:] = rest
    return line.removesuffix(b'\r')

  def until(self, end: bytes) -> bytes:
    searched = 0
    while (at := self.buffer.find(end, searched)) < 0:
      searched = max(0, len(self.buffer) - len(end))
      self.fill()
    taken = bytes(self.buffer[:at + len(end)])
    del self.buffer[:at + len(end)]
    return taken

  # What the client is sent.

  def write_raw(self, data: bytes):
    try:
      self.socket.sendall(data)
    except OSError as error:
      raise Gone(str(error)) from error

  def flush(self):
    if self.tls and (sealed := self.tls.sealed()):
      self.write_raw(sealed)

  def write(self, data: bytes):
    self.received.told += len(data)
    if not self.tls:
      self.write_raw(data)
      return
    for at in range(0, len(data), 16384):
      self.tls.seal(data[at:at + 16384])
      self.flush()

  def start_tls(self, engine: engines.Engine, send=None):
    """The handshake; `send` does the writing for a server that is slow on purpose."""
    send = send or self.write_raw
    try:
      while not engine.shake():
        if sealed := engine.sealed():
          send(sealed)
        engine.feed(self.receive_raw())
      if sealed := engine.sealed():
        send(sealed)
    except engines.Broken as error:
      self.received.trouble = str(error)
      if sealed := engine.sealed():
        send(sealed)
      raise Gone(str(error)) from error
    self.tls = engine
    self.buffer.clear()  # as every server should: what came before TLS does not count
    self.received.protocol = engine.protocol()
    self.received.resumed = engine.resumed()

  def close(self, close_notify: bool = True):
    """Stops sending; what the client still says is kept."""
    try:
      if self.tls and close_notify:
        self.tls.send_close_notify()
        self.flush()
      self.socket.shutdown(socket.SHUT_WR)
    except (OSError, Gone, engines.Broken, ssl.SSLError):
      pass

  def hear_out(self, seconds: float = 30.0):
    """Takes what the client still says, until it ends, so that a test knows all of it."""
    self.socket.settimeout(seconds)
    try:
      while len(self.received.raw) < LONGEST:
        if self.tls and not self.received.trouble:
          self.fill()
        else:
          self.receive_raw()
    except Gone:
      pass
