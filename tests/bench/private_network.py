"""A network namespace for this process and all that it starts: nobody else's connections in it.

What it is: enter(), and passive_opens(), which then counts only what this run has opened.
Failure: without the right to (root), everything stays as it is, and what others on this machine open
  is counted too.
"""

import ctypes
import fcntl
import socket
import struct
from pathlib import Path

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def enter():
  if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
    return
  with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sh22x', b'lo', IFF_UP))


def passive_opens() -> int:
  """Connections that were accepted by TCP, so far."""
  names, values = (line.split() for line in Path('/proc/net/snmp').read_text().splitlines()
                   if line.startswith('Tcp:'))
  return int(values[names.index('PassiveOpens')])
