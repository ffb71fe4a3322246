"""The store: it listens, and every connection becomes a Session of the class it was given.

What it is: a listening socket on loopback TCP or at a path, its threads, and what came of them:
  `filed` messages and, for each connection, what was Received.
What it does not know: LMTP, what is attacked.
Called by: the suite; one store for each DEST of a case.
Threads and lifetimes: one thread accepts, one for each connection; stop() ends them all. What was
  received and filed is read after stop() only.
"""

import socket
import threading
from pathlib import Path

from .certificates import Authority
from .wire import Received, Wire


class Store:
  def __init__(self, session_class, authority: Authority, path: Path | None = None):
    self.session_class = session_class
    self.authority = authority
    self.path = path
    self.connections: list[Received] = []
    self.commands: list[bytes] = []  # of all connections, as far as they were understood
    self.filed: list[tuple[bytes, bytes]] = []  # recipient, message
    self.seen: list[bytes] = []  # messages that arrived up to their dot, whatever was answered
    self.errors: list[str] = []  # mistakes of the store's own: a test that relied on it is void
    self.context = None  # of TLS, for sessions that are resumed
    self.over = threading.Event()
    self.lock = threading.Lock()
    self.threads: list[threading.Thread] = []
    self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    self.listener.bind(str(path) if path else ('127.0.0.1', 0))
    # Small: a big message must not be out before the store has read its beginning.
    self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    self.listener.listen(16)

  @property
  def address(self) -> str:
    return f'unix:{self.path}' if self.path else f'inet:127.0.0.1:{self.port}'

  @property
  def port(self) -> int:
    return self.listener.getsockname()[1]

  def start(self):
    self._run(self._accept)

  def _run(self, what, *arguments):
    thread = threading.Thread(target=what, args=arguments, daemon=True)
    self.threads.append(thread)
    thread.start()

  def _accept(self):
    while True:
      try:
        connection, _ = self.listener.accept()
      except OSError:
        return  # stop()
      if self.over.is_set():
        connection.close()
        return
      if connection.family == socket.AF_INET:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
      received = Received()
      self.connections.append(received)
      session = self.session_class(self, Wire(connection, received), len(self.connections))
      self._run(session.run)

  def stop(self):
    self.over.set()
    self.listener.shutdown(socket.SHUT_RDWR)
    for thread in list(self.threads):
      thread.join(60)
      if thread.is_alive():
        self.errors.append('a connection of the store did not end')
    self.listener.close()
