"""Runs lmtpq by its fronts: a message through `deliver` or `relay`, or a `probe`.

What it is: one process, what it printed, logged and ended with.
What it does not know: stores and what is right.
Called by: case.
Failure: a process that takes longer than LIMIT is killed, and its status is then -9.
"""

import subprocess
import threading
import time
from dataclasses import dataclass, field

from .hidden import RECIPIENTS, SENDER

LIMIT = 90.0


@dataclass
class Result:
  status: int
  replies: list[str]  # one for each recipient: "sent", "deferred" ...; or the reply line of relay
  log: str
  seconds: float
  printed: str = field(default='')  # all of standard output


def deliver(command: list[str], message: bytes, _messages: int) -> Result:
  began = time.monotonic()
  with subprocess.Popen([command[0], 'deliver', *command[1:], '-f', SENDER, '--', *RECIPIENTS],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE) as child:
    watch = watchdog(child)
    out, log = child.communicate(message)
    watch.cancel()
  printed = out.decode('latin-1')
  replies = [line.partition(': ')[2] for line in printed.splitlines()]
  return Result(child.returncode, replies, log.decode('latin-1'), time.monotonic() - began, printed)


def relay(command: list[str], message: bytes, messages: int) -> Result:
  """As Sendmail does: a command, its reply, the next; the same message several times."""
  began = time.monotonic()
  with subprocess.Popen([command[0], 'relay', *command[1:]], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
    log: list[bytes] = []
    reader = threading.Thread(target=lambda: log.append(child.stderr.read()))
    reader.start()
    watch = watchdog(child)
    printed: list[bytes] = []
    finals = converse(child, message, messages, printed)
    child.stdin.close()
    child.wait()
    watch.cancel()
    reader.join()
  return Result(child.returncode, finals, log[0].decode('latin-1'), time.monotonic() - began,
              b''.join(printed).decode('latin-1'))


def converse(child, message: bytes, messages: int, printed: list[bytes]) -> list[str]:
  """The replies after the end of data; or, when lmtpq takes no mail at all, its reply instead."""
  def reply(command: bytes | None) -> str:
    try:
      if command is not None:
        child.stdin.write(command)
        child.stdin.flush()
    except BrokenPipeError:
      pass
    lines = []
    while line := child.stdout.readline():
      printed.append(line)
      lines.append(line.decode('latin-1').strip())
      if line[3:4] != b'-':
        break
    return lines[-1] if lines else ''
  finals: list[str] = []
  envelope = [f'MAIL FROM:<{SENDER}>\r\n'.encode(),
              *(f'RCPT TO:<{user}>\r\n'.encode() for user in RECIPIENTS), b'DATA\r\n']
  for number in range(messages):
    for command in [*([] if number else [None, b'LHLO sendmail.test\r\n']), *envelope]:
      answer = reply(command)
      if answer[:1] not in ('2', '3'):
        return finals + [answer] * len(RECIPIENTS)
    finals += [reply(message + b'.\r\n')] + [reply(None) for _ in RECIPIENTS[1:]]
  reply(b'QUIT\r\n')
  return finals


def probe(command: list[str], _message: bytes, _messages: int) -> Result:
  began = time.monotonic()
  # The limits of the stages are what cases are about.
  with subprocess.Popen([command[0], 'probe', '--timeout=80s', *command[1:]],
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
    watch = watchdog(child)
    out, log = child.communicate()
    watch.cancel()
  return Result(child.returncode, [], log.decode('latin-1'), time.monotonic() - began,
              out.decode('latin-1'))


def watchdog(child) -> threading.Timer:
  timer = threading.Timer(LIMIT, child.kill)
  timer.daemon = True
  timer.start()
  return timer


FRONTS = {'deliver': deliver, 'relay': relay, 'probe': probe}
