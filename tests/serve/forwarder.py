"""A socket that leads to another, as a load balancer does: who dials it cannot see where it leads.

What it is: an address, and the connections that it passes on byte by byte.
Called by: the tests of loops.
Threads and lifetimes: one thread accepts, two for each connection; stop() ends them.
"""

import socket
import threading
from pathlib import Path

from fixtures.scratch import free_port


def dial(address: str) -> socket.socket:
  kind, _, place = address.partition(':')
  if kind == 'unix':
    made = socket.socket(socket.AF_UNIX)
    made.connect(place)
    return made
  host, _, port = place.rpartition(':')
  return socket.create_connection((host, int(port)))


class Forwarder:
  def __init__(self, target: str, path: Path | None = None):
    """On the unix socket `path`, or on a port of 127.0.0.1. `target` may be changed."""
    self.target = target
    self.dialled = 0
    self.open = 0
    self.lock = threading.Lock()
    self.sockets: list[socket.socket] = []
    if path:
      self.listener = socket.socket(socket.AF_UNIX)
      self.listener.bind(str(path))
      self.address = f'unix:{path}'
    else:
      port = free_port()
      self.listener = socket.socket()
      self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      self.listener.bind(('127.0.0.1', port))
      self.address = f'inet:127.0.0.1:{port}'
    self.listener.listen(64)
    threading.Thread(target=self._accept, daemon=True).start()

  def stop(self):
    for one in (self.listener, *self.sockets):
      try:
        one.shutdown(socket.SHUT_RDWR)
      except OSError:
        pass  # it has ended

  def _accept(self):
    while True:
      try:
        client, _ = self.listener.accept()
        server = dial(self.target)
      except OSError:
        return
      with self.lock:
        self.dialled += 1
        self.open += 1
        self.sockets += [client, server]
      ends = threading.Barrier(2, action=self._ended)
      for source, sink in ((client, server), (server, client)):
        threading.Thread(target=self._pump, args=(source, sink, ends), daemon=True).start()

  def _ended(self):
    with self.lock:
      self.open -= 1

  @staticmethod
  def _pump(source: socket.socket, sink: socket.socket, ends: threading.Barrier):
    try:
      while data := source.recv(65536):
        sink.sendall(data)
    except OSError:
      pass  # reset
    try:
      sink.shutdown(socket.SHUT_WR)
    except OSError:
      pass  # it has ended
    ends.wait()
    sink.close()
