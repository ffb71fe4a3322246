"""A slow way to a directory: what it answers arrives later.

What it is: SlowLink, an address that leads to a slapd. `delay` is added to each message of the
  directory; `in_turn`: to one message after the other, as a directory that does one thing at a time.
What it does not know: what is asked.
Called by: test_routes.
Threads and lifetimes: one thread accepts, two for each connection; stop() ends them.
"""

import socket
import threading
import time
from collections.abc import Iterator


class SlowLink:
  def __init__(self, port: int, delay: float, in_turn: bool = False):
    self.port, self.delay, self.in_turn = port, delay, in_turn
    self.listener = socket.create_server(('127.0.0.1', 0))
    self.uri = 'ldap://127.0.0.1:%d' % self.listener.getsockname()[1]
    self.sockets = [self.listener]
    threading.Thread(target=self._accept, daemon=True).start()

  def stop(self):
    for one in self.sockets:
      try:
        one.shutdown(socket.SHUT_RDWR)
      except OSError:
        pass  # it has ended
      one.close()

  def _accept(self):
    while True:
      try:
        client, _ = self.listener.accept()
      except OSError:
        return  # stop()
      server = socket.create_connection(('127.0.0.1', self.port))
      self.sockets += [client, server]
      threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
      threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

  @staticmethod
  def _ask(client: socket.socket, server: socket.socket):
    try:
      while data := client.recv(65536):
        server.sendall(data)
    except OSError:
      pass
    end(server)

  def _answer(self, server: socket.socket, client: socket.socket):
    try:
      for came, message in messages(server):
        due = time.monotonic() if self.in_turn else came
        time.sleep(max(0.0, due + self.delay - time.monotonic()))
        client.sendall(message)
    except OSError:
      pass
    end(client)


def end(one: socket.socket):
  try:
    one.shutdown(socket.SHUT_RDWR)
  except OSError:
    pass  # it has ended


def messages(server: socket.socket) -> Iterator[tuple[float, bytes]]:
  """What LDAP calls messages (RFC 4511 section 4.1.1), and when each came."""
  arrived: list[tuple[float, bytes]] = []
  more = threading.Condition()

  def read():
    data = b''
    while piece := receive(server):
      data += piece
      while (size := size_of(data)) <= len(data):
        with more:
          arrived.append((time.monotonic(), data[:size]))
          more.notify()
        data = data[size:]
    with more:
      arrived.append((0.0, b''))
      more.notify()

  threading.Thread(target=read, daemon=True).start()
  while True:
    with more:
      more.wait_for(lambda: arrived)
      came, message = arrived.pop(0)
    if not message:
      return
    yield came, message


def receive(server: socket.socket) -> bytes:
  try:
    return server.recv(65536)
  except OSError:
    return b''


def size_of(data: bytes) -> int:
  """Of the first message; more than there is while its length has not come."""
  if len(data) < 2 or (data[1] > 128 and len(data) < 2 + data[1] - 128):
    return len(data) + 1
  if data[1] < 128:
    return 2 + data[1]
  octets = data[1] - 128
  return 2 + octets + int.from_bytes(data[2:2 + octets], 'big')
