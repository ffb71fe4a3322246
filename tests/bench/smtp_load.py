"""Loads a Sendmail with messages over several SMTP connections at once.

What it is: a client that costs little itself: raw sockets, pipelined envelopes, one thread per
  connection.
What it does not know: who listens, what is measured.
Failure: Failed when a reply is not the expected one.
"""

import socket
import threading
import time

from figures import Failed


def one_connection(port: int, messages: list[bytes], recipient: str, trouble: list[str]):
  try:
    with socket.create_connection(('127.0.0.1', port), timeout=120) as link:
      replies = link.makefile('rb')

      def expect(code: bytes):
        line = replies.readline()
        while line[3:4] == b'-':
          line = replies.readline()
        if not line.startswith(code):
          raise RuntimeError(f'{line!r} in place of {code!r}')

      expect(b'220')
      link.sendall(b'EHLO client.test\r\n')
      expect(b'250')
      for raw in messages:
        link.sendall(b'MAIL FROM:<sender@mail.test>\r\nRCPT TO:<%s>\r\nDATA\r\n'
                     % recipient.encode())
        for code in (b'250', b'250', b'354'):
          expect(code)
        link.sendall(raw + b'.\r\n')
        expect(b'250')
      link.sendall(b'QUIT\r\n')
      expect(b'221')
  except (OSError, RuntimeError) as error:
    trouble.append(str(error))


def submit_seconds(port: int, messages: list[bytes], connections: int, recipient: str) -> float:
  """How long until Sendmail has taken them all."""
  trouble: list[str] = []
  shares = [messages[n::connections] for n in range(connections)]
  threads = [threading.Thread(target=one_connection, args=(port, share, recipient, trouble))
             for share in shares]
  start = time.monotonic()
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  took = time.monotonic() - start
  if trouble:
    raise Failed(f'{len(trouble)} connections failed: {trouble[0]}')
  return took
