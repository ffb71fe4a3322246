"""`serve --status` with what answers at the control socket: a daemon, nobody, another program; and on
a terminal, whose lines are few, until a key, a signal or the terminal's end."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

LIMIT = 60
MOST = 4 * 1024 * 1024  # bytes of an answer
CLEAR = b'\x1b[H\x1b[2J'


class ControlSocket:
  """Sends `answer` to each client, and then the end; without an answer it keeps the client waiting."""

  def __init__(self, path):
    self.path = path
    self.answer: bytes | None = json.dumps({'version': '1'}).encode()
    self.waiting = []
    self.listener = socket.socket(socket.AF_UNIX)
    self.listener.bind(str(path))
    self.listener.listen()
    threading.Thread(target=self.run, daemon=True).start()

  def run(self):
    while True:
      try:
        client, _ = self.listener.accept()
      except OSError:
        return
      if self.answer is None:
        self.waiting.append(client)
        continue
      with client:
        try:
          client.sendall(self.answer)
        except OSError:
          pass  # it has read enough

  def end(self):
    # The thread returns from accept().
    self.listener.shutdown(socket.SHUT_RDWR)
    self.listener.close()
    for client in self.waiting:
      client.close()


@pytest.fixture
def control(scratch):
  made = ControlSocket(scratch.folder('fake') / 'control')
  yield made
  made.end()


@pytest.fixture
def command(lmtpq):
  def words(path, *options: str) -> list[str]:
    return [str(lmtpq), 'serve', '--config', '/dev/null', '--status', '--control', str(path), *options]
  return words


@pytest.fixture
def status(command):
  def ask(path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run(command(path, *options), capture_output=True, text=True, timeout=LIMIT)
  return ask


@pytest.mark.parametrize('answer, complaint', [
    (b'', 'it sent no answer'),
    (b'220 store LMTP\r\n', 'the answer is not the status of lmtpq'),
    (b'null\n', 'the answer is not the status of lmtpq'),
    (b'{}' + b' ' * (MOST - 1), 'the answer is too long'),
], ids=['nothing', 'another program', 'null', 'too much'])
def test_what_is_no_status_is_reported(control, status, answer, complaint):
  control.answer = answer
  shown = status(control.path)
  assert (shown.returncode, shown.stdout) == (69, '')
  assert shown.stderr == f'lmtpq: no daemon answers at {control.path}: {complaint}; ' \
      'start it, or name its socket by --control\n'


def test_a_daemon_that_does_not_answer_is_no_daemon_that_is_not_there(control, status):
  control.answer = None
  shown = status(control.path)
  assert (shown.returncode, shown.stdout) == (69, '')
  assert shown.stderr == f'lmtpq: the daemon at {control.path} does not answer: no answer in time; ' \
      'try again, and see its log\n'


@pytest.fixture
def full(scratch):
  """A control socket whose queue is full: accept() of it makes room."""
  path = scratch.folder('full') / 'control'
  with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(str(path))
    listener.listen(0)
    with socket.socket(socket.AF_UNIX) as client:
      client.connect(str(path))
      yield listener


def test_it_waits_for_its_turn_where_others_ask_too(full, command):
  asking = subprocess.Popen(command(full.getsockname()), stdout=subprocess.PIPE, text=True)
  with contextlib.suppress(subprocess.TimeoutExpired):
    asking.wait(1)
  full.accept()[0].close()
  full.settimeout(LIMIT)
  with full.accept()[0] as client:
    client.sendall(b'{"version": "busy"}')
  assert asking.communicate(timeout=LIMIT)[0].startswith('lmtpq busy ')


def test_a_queue_that_stays_full_is_reported(full, status):
  shown = status(full.getsockname())
  assert shown.returncode == 69
  assert shown.stderr == f'lmtpq: the daemon at {full.getsockname()} does not answer: ' \
      'too many clients wait at its socket; try again, and see its log\n'


def test_the_largest_answer_is_read(control, status):
  control.answer = b'{"version": "long"}'.ljust(MOST)
  shown = status(control.path)
  assert (shown.returncode, shown.stderr) == (0, '')
  assert shown.stdout.startswith('lmtpq long ')


def test_a_path_that_is_too_long_is_reported(scratch, status):
  folder = scratch.folder('long')
  for length, complaint in ((107, 'No such file or directory'),
                            (108, 'the path is too long for a socket')):
    path = f'{folder}/'.ljust(length, 'x')
    shown = status(path)
    assert shown.returncode == 69
    assert f'no daemon answers at {path}: {complaint};' in shown.stderr


def test_without_a_control_socket_nobody_is_asked(status):
  shown = status('')
  assert (shown.returncode, shown.stdout) == (69, '')
  assert shown.stderr == 'lmtpq: --control is empty: no control socket is configured\n'


class Screen:
  """A terminal with `rows` lines, on which the command runs."""

  def __init__(self, command: list[str], rows: int):
    self.master, self.slave = pty.openpty()
    fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', rows, 80, 0, 0))
    self.before = termios.tcgetattr(self.slave)
    self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave, stderr=self.slave)
    self.written = b''

  def read_until(self, condition):
    while not condition():
      assert select.select([self.master], [], [], LIMIT)[0], self.written
      self.written += os.read(self.master, 65536)

  def await_page(self):
    """The whole table, of which this is the end."""
    self.read_until(lambda: b'answer\r\n' in self.written)

  def page(self) -> list[str]:
    """The lines of the first screen; the second has begun."""
    self.read_until(lambda: self.written.count(CLEAR) > 1)
    return self.written.split(CLEAR)[1].decode().splitlines()

  def end(self):
    if self.process.poll() is None:
      self.process.kill()
      self.process.wait()
    for descriptor in (self.master, self.slave):
      if descriptor >= 0:
        os.close(descriptor)


@pytest.fixture
def screen(command, control):
  made: list[Screen] = []

  def show(rows: int) -> Screen:
    made.append(Screen(command(control.path), rows))
    return made[-1]
  yield show
  for one in made:
    one.end()


@pytest.mark.parametrize('rows, shown', [(1, 9), (2, 1), (5, 4), (50, 9)])
def test_a_terminal_shows_what_fits(screen, rows, shown):
  page = screen(rows).page()
  assert len(page) == shown
  assert page[0].startswith('lmtpq 1 ')


@pytest.mark.parametrize('key', [b'q', b'Q', b'xyq'])
def test_q_ends_it_at_once_without_enter_and_restores_the_terminal(screen, key):
  shown = screen(50)
  shown.await_page()
  assert not termios.tcgetattr(shown.slave)[3] & (termios.ICANON | termios.ECHO)
  os.write(shown.master, key)
  assert shown.process.wait(LIMIT) == 0
  assert termios.tcgetattr(shown.slave) == shown.before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_restores_the_terminal(screen, number):
  shown = screen(50)
  shown.await_page()
  shown.process.send_signal(number)
  assert shown.process.wait(LIMIT) == 0
  assert termios.tcgetattr(shown.slave) == shown.before


def test_another_key_does_not_end_it(screen):
  shown = screen(50)
  shown.await_page()
  seen = shown.written.count(CLEAR)
  os.write(shown.master, b'x')
  shown.read_until(lambda: shown.written.count(CLEAR) > seen + 1)
  assert shown.process.poll() is None


def test_it_ends_with_its_terminal(screen):
  shown = screen(50)
  shown.await_page()
  os.close(shown.slave)
  os.close(shown.master)
  shown.master = shown.slave = -1
  assert shown.process.wait(LIMIT) == 0


def test_a_daemon_that_goes_may_come_back(screen, control):
  shown = screen(50)
  shown.await_page()
  known, control.answer = control.answer, b''
  shown.read_until(lambda: b'no daemon answers at' in shown.written)
  control.answer = known
  shown.written = b''
  shown.read_until(lambda: b'lmtpq 1 ' in shown.written)


def test_output_that_no_one_reads_is_an_error(control, command):
  reading, writing = os.pipe()
  os.close(reading)
  done = subprocess.run(command(control.path), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=LIMIT)
  os.close(writing)
  assert done.returncode == 74, done
  assert 'standard output' in done.stderr, done
