"""A store of a soak: it keeps a line for each message and recipient, in place of the message.

What it is: SoakStore, a process that serves LMTP at a unix socket; a line is in its file before the
  reply is sent, and stays when the process is killed. By its own draws it defers some recipients,
  and sometimes hangs up after it has filed.
What it does not know: lmtpq, what is right.
Called by: scene.py. tests/peers/store files into Maildirs: a million files are too many.
Threads and lifetimes: start(), then kill() or stop(), and again over the same file; in the process
  one thread for each connection. SIGUSR1 makes it slow, SIGUSR2 fast again.
"""

import multiprocessing
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from random import Random

from fixtures.process import die_with_parent, send_signal, suspend, wait_until
from fixtures.scratch import unix_listens

from . import mail

END = b'\r\n.\r\n'
DEFERRED = 0.002  # share of the recipients
HANGS_UP = 0.0005  # the same, after it has filed
SLOW = 0.04  # seconds at most, before it files, and before it replies
OFFERS = (b'250-store.test\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n'
          b'250 SIZE\r\n')


class SoakStore:
  def __init__(self, socket_path: Path, lines: Path, seed: int):
    self.path = socket_path
    self.lines = lines
    self.seed = seed
    self.starts = 0
    self.process: multiprocessing.Process | None = None

  @property
  def address(self) -> str:
    return f'unix:{self.path}'

  def start(self):
    self.starts += 1
    self.path.unlink(missing_ok=True)
    self.process = multiprocessing.get_context('fork').Process(target=self._serve, daemon=True)
    self.process.start()
    wait_until(lambda: unix_listens(self.path), f'{self.path} listens')

  def kill(self):
    self.process.kill()
    self.process.join()

  stop = kill  # there is nothing to tidy up

  def pause(self):
    suspend(self.process.pid)

  def resume(self):
    send_signal(self.process.pid, signal.SIGCONT)

  def slow(self, wanted: bool):
    send_signal(self.process.pid, signal.SIGUSR1 if wanted else signal.SIGUSR2)

  def _serve(self):
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that of the terminal is for the run
    process = Process(self.lines, Random(self.seed * 1000 + self.starts))
    signal.signal(signal.SIGUSR1, lambda *_: setattr(process, 'slow', True))
    signal.signal(signal.SIGUSR2, lambda *_: setattr(process, 'slow', False))
    with socket.socket(socket.AF_UNIX) as listener:
      listener.bind(str(self.path))
      listener.listen(256)
      while True:
        taken, _ = listener.accept()
        threading.Thread(target=process.connection, args=(taken,), daemon=True).start()


class Process:
  def __init__(self, lines: Path, random: Random):
    self.lines = os.open(lines, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    self.random = random
    self.slow = False

  def connection(self, taken: socket.socket):
    try:
      with taken:
        taken.sendall(b'220 store.test LMTP ready\r\n')
        self._converse(taken)
    except OSError:
      pass  # the daemon has gone

  def _converse(self, taken: socket.socket):
    recipients: list[str] = []
    rest = b''
    while piece := taken.recv(65536):
      *lines, rest = (rest + piece).split(b'\r\n')
      replies = []
      for line in lines:
        verb = line[:4].upper()
        if verb == b'LHLO':
          replies.append(OFFERS)
        elif verb == b'QUIT':
          taken.sendall(b'221 2.0.0 bye\r\n')
          return
        elif verb == b'RCPT':
          recipients.append(line[9:line.index(b'>')].decode())
          replies.append(b'250 2.1.5 ok\r\n')
        elif verb == b'DATA':  # the last of its group (RFC 2920, 3.1)
          replies.append(b'354 go ahead\r\n' if recipients else b'503 5.5.1 no recipients\r\n')
          if recipients:
            taken.sendall(b''.join(replies))
            replies = []
            if not self._take(taken, recipients):
              return
            recipients = []
        else:
          recipients = [] if verb in (b'MAIL', b'RSET') else recipients
          replies.append(b'250 2.0.0 ok\r\n')
      if replies:
        taken.sendall(b''.join(replies))

  def _take(self, taken: socket.socket, recipients: list[str]) -> bool:
    """Until the end of data; false: the connection is over, by either side."""
    pieces, last = [], b''
    while not last.endswith(END):
      piece = taken.recv(262144)
      if not piece:
        return False
      pieces.append(piece)
      last = (last + piece)[-len(END):]
    text = b''.join(pieces)[:-3].replace(b'\r\n.', b'\r\n')
    number = re.search(rb'^Message-ID: <(\d+)@', text, re.M)
    told = f'{number[1].decode() if number else "?"} %s {mail.digest(text)}\n'
    return all(self._file(taken, to, (told % to).encode()) for to in recipients)

  def _file(self, taken: socket.socket, to: str, line: bytes) -> bool:
    if self.random.random() < DEFERRED:
      taken.sendall(b'451 4.3.0 not now\r\n')
      return True
    self._pause()
    os.write(self.lines, line)
    self._pause()
    if self.random.random() < HANGS_UP:
      return False
    taken.sendall(f'250 2.1.5 <{to}> has it\r\n'.encode())
    return True

  def _pause(self):
    if self.slow:
      time.sleep(self.random.random() * SLOW)
