"""The common face of the three stores: Cyrus, Dovecot, and our own small one.

What it is: what a test asks of a store, and what is the same for all of them.
What it does not know: how a mailbox or a quota is made; that is in cyrus.py, dovecot.py and
  lmtp_store.py.
Lifetimes: start() and stop() any number of times over the same mailboxes; kill() is kill -9 of
  the server with all its processes.
"""

import os
import signal
from pathlib import Path

from .messages import message_id
from .process import HasServer, descendants, send_signal


class Store(HasServer):
  name = ''
  ignores_quota = False  # advertises IGNOREQUOTA
  has_trace = False  # advertises TRACE
  unknown_user = ''  # words of its reply for a mailbox that does not exist
  over_quota = ''  # words of its reply for a full mailbox

  def __init__(self, folder: Path):
    self.dir = folder
    self.permanent = False  # a full mailbox is 552 rather than 452; set before start()

  @property
  def address(self) -> str:
    """Where it listens, as a DEST of lmtpq: unix:PATH or inet:HOST:PORT."""
    raise NotImplementedError

  def start(self):
    raise NotImplementedError

  def add_mailbox(self, user: str):
    raise NotImplementedError

  def add_mailboxes(self, users: list[str]):
    for user in users:
      self.add_mailbox(user)

  def fill(self, user: str):
    """From now on the mailbox takes nothing."""
    raise NotImplementedError

  def make_room(self, user: str):
    """The mailbox takes mail again."""
    raise NotImplementedError

  def messages(self, user: str) -> list[bytes]:
    """What was filed in the user's INBOX, with CRLF line ends; oldest first where it is known."""
    raise NotImplementedError

  def log_text(self) -> str:
    raise NotImplementedError

  def message_ids(self, user: str) -> list[str]:
    return [message_id(raw) for raw in self.messages(user)]

  def restart(self):
    self.stop()
    self.start()

  def pause(self):
    """The store stands still, as under a terrible load, until resume()."""
    for pid in self._pids():
      send_signal(pid, signal.SIGSTOP)

  def resume(self):
    for pid in self._pids():
      send_signal(pid, signal.SIGCONT)

  def _pids(self) -> list[int]:
    return [self.server.pid, *descendants(self.server.pid)] if self.server else []


def read_maildir(folder: Path) -> list[bytes]:
  """The messages of new/ and cur/; stored with LF or CRLF, answered with CRLF."""
  paths = [path for part in ('new', 'cur') for path in folder.joinpath(part).glob('*')
           if 'ballast' not in path.name]
  return [path.read_bytes().replace(b'\r\n', b'\n').replace(b'\n', b'\r\n')
          for path in sorted(paths, key=lambda path: (os.stat(path).st_mtime_ns, path.name))]
