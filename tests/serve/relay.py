"""lmtpq relay on two pipes, as Sendmail starts it, with the Client's dialogue.

What it is: Relay, a Client whose connection is the program's standard input and output.
What it does not know: the store.
Lifetimes: from Relay() to close(), which closes both pipes and waits for the end.
Failure: Gone, as Client has it.
"""

import os
import select
import subprocess
from pathlib import Path

from fixtures.lmtp_client import Client
from fixtures.process import log_is_written


class Pipes:
  """What Client uses of a socket."""

  def __init__(self, child: subprocess.Popen):
    self.input, self.output = child.stdin, child.stdout

  def sendall(self, data: bytes):
    self.input.write(data)
    self.input.flush()

  def recv(self, size: int) -> bytes:
    if not select.select([self.output], [], [], 60)[0]:
      raise TimeoutError('relay wrote nothing for 60 s')
    return os.read(self.output.fileno(), size)

  def close(self):
    self.input.close()
    self.output.close()


class Relay(Client):
  def __init__(self, program: Path, folder: Path, destination: str):
    self.log = folder / 'relay.log'
    (folder / 'relay.conf').touch()
    self.child = subprocess.Popen(
        [program, 'relay', f'--log={self.log}', f'--config={folder}/relay.conf', '--tag-keys=none',
         destination], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder)
    self.socket = Pipes(self.child)
    self.stage, self.buffer = 'greeting', b''
    self.greeting = self.reply()
    self.offers = self.ask('LHLO client.test', whole=True).upper().split('\n')
    self.stage = 'between'

  def kill(self):
    self.child.kill()
    self.child.wait(60)

  def close(self):
    self.socket.close()
    self.child.wait(60)

  def log_text(self) -> str:
    log_is_written(self.child.pid)
    return self.log.read_text(errors='replace') if self.log.exists() else ''
