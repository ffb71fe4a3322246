"""A listener between a client and a server that keeps what it hears, and can cut the line.

What it is: a TCP relay on a loopback port; `asked` is every byte of the client, `answered` of the
  server, of all connections. Neither is told of it: TLS and SASL go through untouched.
What it does not know: what the bytes mean.
Lifetimes: runs from Tap() to close(), in threads of the test's own process.
"""

import socket
import threading


class Tap:
  def __init__(self, port: int):
    """port: the server's, on 127.0.0.1."""
    self.server = port
    self.asked = bytearray()
    self.answered = bytearray()
    self.connections = 0
    self.lines: list[socket.socket] = []
    self.listener = socket.create_server(('127.0.0.1', 0))
    self.port = self.listener.getsockname()[1]
    threading.Thread(target=self.accept, daemon=True).start()

  @property
  def address(self) -> str:
    return f'inet:localhost:{self.port}'

  @property
  def heard(self) -> bytes:
    return bytes(self.asked + b'\r\n' + self.answered)

  def accept(self):
    while True:
      try:
        client, _ = self.listener.accept()
      except OSError:
        return  # closed
      try:
        server = socket.create_connection(('127.0.0.1', self.server), timeout=10)
      except OSError:
        client.close()
        continue
      server.settimeout(None)
      self.connections += 1
      self.lines += [client, server]
      for way in ((client, server, self.asked), (server, client, self.answered)):
        threading.Thread(target=self.pass_on, args=way, daemon=True).start()

  def pass_on(self, one: socket.socket, other: socket.socket, heard: bytearray):
    try:
      while piece := one.recv(65536):
        heard += piece
        other.sendall(piece)
    except OSError:
      pass  # cut
    end(other)

  def cut(self):
    """Every connection that there is; the next one finds an open door."""
    for line in self.lines:
      end(line)
    self.lines = []

  def close(self):
    end(self.listener)
    self.listener.close()
    self.cut()


def end(line: socket.socket):
  try:
    line.shutdown(socket.SHUT_RDWR)
  except OSError:
    pass  # the other side was first
