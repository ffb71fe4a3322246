"""Clients that keep a daemon busy, in the background, until they are told to stop.

What it is: Crowd, a number of threads that run the same work; bulk(), flood() and slow_reader(),
  which are such works; and the preload that makes the disk slow for them.
What it does not know: what others notice of them.
Called by: test_fairness.
Lifetimes: the threads end with the `with` statement, when the daemon has closed their connections
  or taken what they send.
"""

import contextlib
import subprocess
import threading
import time
from pathlib import Path

from fixtures.lmtp_client import Client, Gone

from .daemon import Daemon, message

PIECE = b'x' * 70 + b'\r\n'
FLOOD = b'MAIL FROM:<flood@mail.test>\r\n' + b'RCPT TO:<u@store.test>\r\n' * 50_000 + b'RSET\r\n'


def slow_disk(folder: Path) -> dict[str, str]:
  """For the environment of the daemon."""
  library = folder / 'slow_disk.so'
  subprocess.run(['cc', '-shared', '-fPIC', '-O1', '-Wall', '-o', library,
                  Path(__file__).with_name('slow_disk.c')], check=True, timeout=60)
  return {'LD_PRELOAD': str(library)}


class Crowd:
  def __init__(self, daemon: Daemon, number: int, work):
    self.daemon = daemon
    self.over = threading.Event()
    self.clients: list[Client] = []
    self.rounds = 0  # of all their works
    self.threads = [threading.Thread(target=self._run, args=(work,), daemon=True)
                    for _ in range(number)]

  def __enter__(self) -> 'Crowd':
    for thread in self.threads:
      thread.start()
    return self

  def __exit__(self, *_):
    self.over.set()
    for client in self.clients:
      with contextlib.suppress(OSError):
        client.socket.shutdown(2)
    for thread in self.threads:
      thread.join(60)
    for client in self.clients:
      client.close()

  def _run(self, work):
    with contextlib.suppress(Gone, OSError):
      client = self.daemon.dial()
      self.clients.append(client)
      while not self.over.is_set():
        work(self, client)
        self.rounds += 1


def bulk(_, client: Client):
  """Sends 20 MB of a message."""
  if client.stage != 'data':
    assert client.envelope(message('large'))[-1].startswith('354')
    client.stage = 'data'
  client.send(PIECE * (1024 * 1024 // len(PIECE)))


def flood(_, client: Client):
  """A transaction with thousands of recipients, pipelined, and given up."""
  def send():
    with contextlib.suppress(Gone):
      client.send(FLOOD)
  sender = threading.Thread(target=send)
  sender.start()
  left = FLOOD.count(b'\n')
  while left > 0 and (replies := client.socket.recv(1 << 16)):
    left -= replies.count(b'\n')
  sender.join()


def slow_reader(crowd: Crowd, client: Client):
  """Sends more commands than it reads replies."""
  client.send(b'RSET\r\n' * 20)
  client.socket.recv(100)
  crowd.over.wait(0.2)


def slowest(daemon: Daemon, number: int) -> tuple[float, float]:
  """The median and the longest time of small messages, one after the other over a connection."""
  times = []
  with daemon.dial() as client:
    for _ in range(number):
      began = time.monotonic()
      replies = client.deliver(message('small'))
      times.append(time.monotonic() - began)
      assert replies[0].startswith('250'), replies
  times.sort()
  return times[len(times) // 2], times[-1]
