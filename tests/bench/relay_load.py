"""Messages through one process of `lmtpq relay`, over one connection to the store, and what it cost.

What it does not know: the store; how many were filed is the caller's to count.
"""

import os
import subprocess

from fixtures.messages import message

from figures import Failed


def relay_cost(lmtpq: str, options: list[str], recipient: str, count: int) -> float:
  """CPU seconds of the process for `count` messages of 4 KiB; its start and handshakes included."""
  relay = subprocess.Popen([lmtpq, 'relay', *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

  def expect(code: bytes):
    line = b'250-'
    while line[3:4] == b'-':
      line = relay.stdout.readline()
    if not line.startswith(code):
      raise Failed(f'{line!r}, expected {code!r}')

  def say(line: bytes, code: bytes):
    relay.stdin.write(line + b'\r\n')
    relay.stdin.flush()
    expect(code)

  expect(b'220')
  say(b'LHLO bench.test', b'250')
  for i in range(count):
    if i > 0:
      say(b'RSET', b'250')
    say(b'MAIL FROM:<sender@mail.test>', b'250')
    say(b'RCPT TO:<' + recipient.encode() + b'>', b'250')
    say(b'DATA', b'354')
    say(message((b'x' * 70 + b'\r\n') * 54) + b'.', b'250')
  say(b'QUIT', b'221')
  relay.stdin.close()
  _, status, used = os.wait4(relay.pid, 0)
  if status != 0:
    raise Failed(f'lmtpq relay ended with {status}')
  return used.ru_utime + used.ru_stime
