"""A directory that sends without end where it is asked for some addresses.

What it is: EndlessDirectory, an address that accepts every login, but that of cn=endless, which it
  answers with entries of MUCH bytes, as if they had been asked for. It answers a search for
  `message@...` with one message of MUCH bytes, for `entries@...` with entries of MUCH bytes, for
  `crowd@...` with 20 entries and no size limit, and any other with no entry.
What it does not know: what becomes of it.
Called by: test_routes.
Threads and lifetimes: one thread accepts, one for each connection; stop() ends them.
"""

import socket
import ssl
import threading

from .slow_link import end, size_of

MUCH = 512 * 1024 * 1024
BIND, SEARCH = 0x60, 0x63
BIND_RESPONSE, ENTRY, RESULT = 0x61, 0x64, 0x65
SUCCESS = bytes.fromhex('0a010004000400')


def ber(tag: int, content: bytes) -> bytes:
  return bytes([tag, 0x84]) + len(content).to_bytes(4, 'big') + content


def entry(host: bytes) -> bytes:
  return ber(0x04, b'uid=a') + ber(0x30, ber(0x30, ber(0x04, b'mailHost') +
                                             ber(0x31, ber(0x04, host))))


class EndlessDirectory:
  """`authority`: of its certificate, for TLS."""

  def __init__(self, authority=None):
    self.tls = None
    if authority:
      self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
      self.tls.load_cert_chain(authority.path('good.pem'), authority.path('leaf.key'))
    self.listener = socket.create_server(('127.0.0.1', 0))
    self.uri = '%s://127.0.0.1:%d' % ('ldaps' if authority else 'ldap',
                                      self.listener.getsockname()[1])
    self.sockets = [self.listener]
    threading.Thread(target=self._accept, daemon=True).start()

  def stop(self):
    for one in self.sockets:
      end(one)
      one.close()

  def _accept(self):
    while True:
      try:
        client, _ = self.listener.accept()
      except OSError:
        return  # stop()
      self.sockets.append(client)
      threading.Thread(target=self._serve, args=(client,), daemon=True).start()

  def _serve(self, client: socket.socket):
    data = b''
    try:
      if self.tls:
        client = self.tls.wrap_socket(client, server_side=True)
        self.sockets.append(client)
      while piece := client.recv(65536):
        data += piece
        while (size := size_of(data)) <= len(data):
          self._answer(client, data[:size])
          data = data[size:]
    except OSError:
      pass  # the peer closed it, as it should
    end(client)

  @staticmethod
  def _answer(client: socket.socket, request: bytes):
    start = 2 + (request[1] - 128 if request[1] > 128 else 0)  # of the message id
    number = request[start:start + 2 + request[start + 1]]
    operation = request[len(number) + start]

    def message(tag: int, content: bytes) -> bytes:
      return ber(0x30, number + ber(tag, content))

    if operation == BIND and b'cn=endless' in request:
      send_much(client, message(ENTRY, entry(b'imap1')) * 10_000)
    elif operation == BIND:
      client.sendall(message(BIND_RESPONSE, SUCCESS))
    elif operation == SEARCH:
      if b'message@' in request:
        client.sendall(b'\x30\x84' + MUCH.to_bytes(4, 'big') + number)
        send_much(client, bytes(1 << 20))
      elif b'entries@' in request:
        send_much(client, message(ENTRY, entry(b'imap1')) * 10_000)
      elif b'crowd@' in request:
        client.sendall(message(ENTRY, entry(b'imap1')) * 20)
      client.sendall(message(RESULT, SUCCESS))


def send_much(client: socket.socket, piece: bytes):
  for _ in range(MUCH // len(piece)):
    client.sendall(piece)
