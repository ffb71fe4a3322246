"""Clients that bring messages while the daemon is upgraded, as Sendmail brings them.

What it is: Bringer, a thread that delivers message after message and keeps what became of each. One
  kind connects for each message; the other stays, and sends RSET before the next message, which
  tells it whether the connection is still there.
What it does not know: what a daemon does. A refusal, or a connection that ends within a message, is
  an error of the thread.
Called by: test_upgrade.py.
"""

import contextlib
import threading

from fixtures.lmtp_client import Client, Gone

from .daemon import Daemon, message


class Bringer(threading.Thread):
  def __init__(self, daemon: Daemon, messages: int, stays: bool):
    super().__init__(daemon=True)
    self.daemon_under_test = daemon
    self.messages = messages
    self.stays = stays
    self.accepted: list[str] = []  # Message-IDs of those answered 250
    self.connections = 0
    self.error: BaseException | None = None
    self.client: Client | None = None

  def run(self):
    try:
      while len(self.accepted) < self.messages:
        self.bring()
    except BaseException as error:  # told by the test
      self.error = error

  def bring(self):
    client = self.connected()
    one = message('alice')
    replies = client.deliver(one)
    if not replies[0].startswith('250'):
      raise AssertionError(f'{len(self.accepted)} were accepted, then {replies[0]}')
    self.accepted.append(one.identity)
    if not self.stays:
      with contextlib.suppress(Gone):  # a process that drains has closed between two messages
        client.send(b'QUIT\r\n')
      client.close()
      self.client = None

  def connected(self) -> Client:
    if self.client is not None:
      try:
        if self.client.ask('RSET').startswith('250'):
          return self.client
      except Gone:
        pass
      self.client.close()
    self.client = self.daemon_under_test.dial()
    self.connections += 1
    if not self.client.greeting.startswith('220') or not self.client.offers[-1].startswith('250'):
      raise AssertionError(f'{self.client.greeting} {self.client.offers}')
    return self.client
