"""lmtpq serve with a listener for each of Sendmail's two mailers.

What it is: Daemon, the process with its configuration; CountingSocket, a socket in front of
  another; DaemonMail, a Mail whose Sendmail dials the daemon.
What a caller must know: the daemon runs under what dist/systemd/lmtpq.service forbids; a sanitizer
  build needs more of the kernel, and does not.
"""

import os
import shutil
import socket
import threading
from collections import Counter
from pathlib import Path

from fixtures import mailers
from fixtures.lmtp_store import fields_of
from fixtures.mail import Mail
from fixtures.paths import ROOT, is_sanitized, program
from fixtures.process import HasServer, Server, log_is_written, open_files, wait_until
from fixtures.scratch import Scratch
from fixtures.sendmail import Sendmail

UNIT = ROOT / 'dist/systemd/lmtpq.service'
ACCOUNT = 'nobody'  # in place of the user lmtpq, which need not exist here

CONF = """destination = @STORE@
log = @DIR@/serve.log
control = @DIR@/control
spool-dir = @DIR@
tag-keys = none
@OPTIONS@

[listener.lmtp]
address = unix:@DIR@/lmtp

[listener.lmtpq]
address = unix:@DIR@/lmtpq
ignore-quota = always
"""


def program_in(scratch: Scratch) -> Path:
  """lmtpq, with lmtpq-serve beside it."""
  shutil.copy(program('LMTPQ').with_name('lmtpq-serve'), scratch.path)
  return mailers.in_reach(scratch)


class Daemon(HasServer):
  """lmtpq serve with one listener for each of the two mailers."""

  def __init__(self, scratch: Scratch, name: str, store: str, options: str = ''):
    self.dir = scratch.folder(name)
    shutil.chown(self.dir, ACCOUNT)
    self.log = self.dir / 'serve.log'
    self.conf = self.dir / 'lmtpq.conf'
    self.conf.write_text(CONF.replace('@STORE@', store).replace('@OPTIONS@', options)
                         .replace('@DIR@', str(self.dir)))
    program = program_in(scratch)
    self.command = [program, 'serve', '--config', self.conf]
    if is_sanitized(program):
      self.command += ['--user', ACCOUNT]
    else:
      self.command = [ROOT / 'tests/dist/under_unit', UNIT, ACCOUNT, '--', *self.command]
    self.environment = os.environ | {
        name: f'log_path={scratch.path}/sanitizer/report:{os.environ.get(name, "")}'
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS')}

  def start(self):
    before = len(self.lines('event=serving'))
    self.server = Server(self.command, self.dir / 'serve.out', self.environment)
    self.server.wait_ready(lambda: len(self.lines('event=serving')) > before, 'the daemon serves')

  def lines(self, having: str = '') -> list[dict[str, str]]:
    if self.server:
      log_is_written(self.server.pid)
    text = self.log.read_text(errors='replace') if self.log.exists() else ''
    return [fields_of(line) for line in text.splitlines() if having in line]

  def mailer_lines(self, socket: str = '') -> str:
    """For an .mc file; socket: another one for cyrusv2."""
    return (f"define(`LMTPQ_DAEMON', `{socket or self.dir / 'lmtp'}')\n"
            f"define(`LMTPQ_QUOTA_DAEMON', `{self.dir}/lmtpq')\n"
            f"PUSHDIVERT(7)include(`{ROOT}/cf/mailer/lmtpq.m4')POPDIVERT\n")


class CountingSocket:
  """A socket in front of another, which counts its connections."""

  def __init__(self, path: Path, server: Path):
    self.server = server
    self.connections = 0
    self.listener = socket.socket(socket.AF_UNIX)
    self.listener.bind(str(path))
    self.listener.listen()
    threading.Thread(target=self.run, daemon=True).start()

  def run(self):
    while True:
      client, _ = self.listener.accept()
      self.connections += 1
      server = socket.socket(socket.AF_UNIX)
      server.connect(str(self.server))
      for source, sink in ((client, server), (server, client)):
        threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

  @staticmethod
  def pump(source: socket.socket, sink: socket.socket):
    try:
      while data := source.recv(65536):
        sink.sendall(data)
      sink.shutdown(socket.SHUT_WR)
    except OSError:
      pass  # one of both has gone


class DaemonMail(Mail):
  daemon: Daemon | None = None

  def close(self):
    try:
      super().close()
    finally:
      if self.daemon:
        self.daemon.stop()

  def with_daemon(self, options: str = '', mc_options: str = '', store: str = '',
                  start: bool = True, **more) -> Sendmail:
    self.daemon = Daemon(self.scratch, f'daemon{self.number}', store or self.store.address, options)
    if start:
      self.daemon.start()
    return self.with_mailers(self.daemon.mailer_lines(**more), mc_options)

  def sockets_of_daemon(self) -> int:
    return sum(name.startswith('socket:') for name in open_files(self.daemon.server.pid))

  def recipient_lines(self, qid: str) -> list[dict[str, str]]:
    return wait_until(lambda: [line for line in self.daemon.lines(f'qid={qid} ') if 'to' in line],
                      f'a line on {qid}')

  def assert_filed_once(self, user: str, sent: dict[str, str]):
    filed = Counter(self.store.message_ids(user))
    assert set(filed) == set(sent.values()), 'nothing is lost, nothing is foreign'
    assert [identity for identity, times in filed.items() if times > 1] == []
