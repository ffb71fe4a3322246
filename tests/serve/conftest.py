"""A daemon or a relay for each test of this suite."""

import fcntl
import itertools
import socket
from pathlib import Path

import pytest

from .daemon import Daemon
from .fake_store import FakeStore
from .relay import Relay


@pytest.fixture
def new_daemon(scratch, lmtpq):
  """new_daemon(settings, listeners, start): a daemon, which is ended after the test."""
  made: list[Daemon] = []
  numbers = itertools.count(1)

  def new(*arguments, **more) -> Daemon:
    made.append(Daemon(scratch.folder(f'd{next(numbers)}'), lmtpq, *arguments, **more))
    return made[-1]
  new.made = made
  yield new
  for daemon in made:
    daemon.end()


@pytest.fixture
def daemon(new_daemon) -> Daemon:
  """With the default settings and one listener."""
  return new_daemon()


@pytest.fixture
def new_relay(scratch, lmtpq):
  """new_relay(): a relay, and its store."""
  made: list[tuple[Relay, FakeStore]] = []
  numbers = itertools.count(1)

  def new() -> tuple[Relay, FakeStore]:
    folder = scratch.folder(f'relay{next(numbers)}')
    store = FakeStore(folder / 'store')
    made.append((Relay(lmtpq, folder, store.address), store))
    return made[-1]
  yield new
  for relay, store in made:
    relay.kill()
    store.stop()


@pytest.fixture
def passed():
  """passed(address): a socket that listens, far from descriptor 3."""
  made: list[socket.socket] = []

  def new(address) -> socket.socket:
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as near:
      far = socket.socket(fileno=fcntl.fcntl(near.fileno(), fcntl.F_DUPFD_CLOEXEC, 100))
    far.bind(address if family == socket.AF_INET else str(address))
    far.listen(16)
    made.append(far)
    return far
  yield new
  for one in made:
    one.close()


@pytest.fixture
def everyones(lmtpq, scratch) -> Path:
  """A copy of lmtpq that any user can run."""
  program = scratch.path / 'lmtpq-of-all'
  program.write_bytes(lmtpq.read_bytes())
  program.chmod(0o755)
  return program
