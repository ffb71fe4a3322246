"""A scratch folder, and loopback ports that nobody uses.

What it is: one folder per test class or demo; everything a rig writes is inside.
What it does not know: what is in it.
Lifetimes: made by Scratch(), removed by remove() unless keep is set (by KEEP=1 or a failed test).
"""

import os
import random
import shutil
import socket
import tempfile
from pathlib import Path


class Scratch:
  def __init__(self, name: str):
    # Short: the path of a unix socket has room for 107 bytes.
    self.path = Path(tempfile.mkdtemp(prefix=f'lmtpq-e2e-{name[:14]}.'))
    self.path.chmod(0o755)  # the servers drop their privileges, and must still get in
    self.keep = bool(os.environ.get('KEEP'))

  def folder(self, name: str, mode: int = 0o755) -> Path:
    path = self.path / name
    path.mkdir(parents=True)
    path.chmod(mode)
    return path

  def remove(self):
    if not self.keep:
      shutil.rmtree(self.path, ignore_errors=True)


def free_port() -> int:
  """Below the ports that the kernel gives to clients: none of those can take it meanwhile."""
  while True:
    port = random.randrange(10000, 30000)
    with socket.socket() as listener:
      try:
        listener.bind(('127.0.0.1', port))
        return port
      except OSError:
        pass  # someone has it


def tcp_listens(port: int) -> bool:
  """Without a connection, which would be seen in the server's log."""
  lines = [line.split() for line in Path('/proc/net/tcp').read_text().splitlines()[1:]]
  return any(words[1].endswith(f':{port:04X}') and words[3] == '0A' for words in lines)


def unix_listens(path: Path) -> bool:
  with socket.socket(socket.AF_UNIX) as probe:
    try:
      probe.connect(str(path))
      return True
    except OSError:
      return False
