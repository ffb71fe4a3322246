"""A directory that answers some addresses without end, others as slapd does only if it is set up so.

What it is: EndlessDirectory, an address that accepts every login, but that of cn=endless, which it
  answers with entries of MUCH bytes, as if they had been asked for. It answers a search for
  `message@...` with one message of MUCH bytes, for `entries@...` with entries of MUCH bytes, for
  those of ANSWERS as it says, for `gone@...` with the end of the connection, and any other with no
  entry.
What it does not know: what becomes of it.
Called by: test_answers.
Threads and lifetimes: one thread accepts, one for each connection; stop() ends them.
"""

import socket
import ssl
import threading

from .slow_link import end, size_of

MUCH = 512 * 1024 * 1024
BIND, SEARCH = 0x60, 0x63
BIND_RESPONSE, ENTRY, RESULT, REFERRAL, INTERMEDIATE = 0x61, 0x64, 0x65, 0x73, 0x79
SUCCESS = bytes.fromhex('0a010004000400')


def ber(tag: int, content: bytes) -> bytes:
  return bytes([tag, 0x84]) + len(content).to_bytes(4, 'big') + content


def entry(host: bytes, name: bytes = b'uid=a') -> bytes:
  return ber(0x04, name) + ber(0x30, ber(0x30, ber(0x04, b'mailHost') +
                                         ber(0x31, ber(0x04, host))))


def refusal(code: int, words: bytes = b'') -> bytes:
  return bytes([0x0a, 1, code]) + ber(0x04, b'') + ber(0x04, words)


IMAP1 = (ENTRY, entry(b'imap1'))
ELSEWHERE = (REFERRAL, ber(0x04, b'ldap://other.example.org/'))
END = (RESULT, SUCCESS)
# By the begin of an address: the messages.
ANSWERS = {
    b'crowd@': [IMAP1] * 20 + [END],
    b'eight@': [IMAP1] * 8 + [END],
    b'nine@': [IMAP1] * 9 + [END],
    b'large@': [(ENTRY, entry(b'imap1', b'uid=' + b'a' * 4000)), END],
    b'elsewhere@': [ELSEWHERE, END],
    b'here@': [ELSEWHERE, IMAP1, END],
    b'slow@': [(INTERMEDIATE, b''), IMAP1, (INTERMEDIATE, b''), END],
    b'denied@': [(RESULT, refusal(50, b'not\nyou'))],
    b'busy@': [(RESULT, refusal(51))],
    b'unavailable@': [(RESULT, refusal(52))],
}


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
      send_much(client, message(*IMAP1) * 10_000)
    elif operation == BIND:
      client.sendall(message(BIND_RESPONSE, SUCCESS))
    elif operation == SEARCH:
      if b'message@' in request:
        client.sendall(b'\x30\x84' + MUCH.to_bytes(4, 'big') + number)
        send_much(client, bytes(1 << 20))
      elif b'entries@' in request:
        send_much(client, message(*IMAP1) * 10_000)
      elif b'gone@' in request:
        raise ConnectionError
      known = (answer for address, answer in ANSWERS.items() if address in request)
      client.sendall(b''.join(message(*one) for one in next(known, [END])))


def send_much(client: socket.socket, piece: bytes):
  for _ in range(MUCH // len(piece)):
    client.sendall(piece)
