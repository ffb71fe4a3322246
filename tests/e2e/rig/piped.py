"""lmtpq relay without Sendmail: a client that hands it message after message, when it likes.

What it is: smtplib's LMTP client on lmtpq's standard input and output.
What it does not know: the store.
Lifetimes: from Piped() to quit(); the process is reaped by it, or by the end of the test class.
"""

import os
import resource
import signal
import smtplib
import socket
import subprocess
from pathlib import Path

from .scratch import Scratch


def core_files_of_any_size():
  resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def environment_of(scratch: Scratch) -> dict[str, str]:
  """For a sanitizer build: where its reports go; and it must not turn off cores by itself."""
  reports = scratch.path / 'sanitizer'
  reports.mkdir(exist_ok=True)
  reports.chmod(0o777)
  return os.environ | {
      name: f'log_path={reports}/report{more}:{os.environ.get(name, "")}'
      for name, more in (('ASAN_OPTIONS', ':disable_coredump=0'), ('UBSAN_OPTIONS', ''))}


class Piped(smtplib.LMTP):
  def __init__(self, scratch: Scratch, command: list, folder: Path):
    """folder: where it runs, and where a core file of it would be."""
    ours, its = socket.socketpair()
    with its:
      self.child = subprocess.Popen([str(word) for word in command], stdin=its, stdout=its,
                                    cwd=folder, env=environment_of(scratch),
                                    preexec_fn=core_files_of_any_size)
    self.ours = ours
    ours.settimeout(60)
    super().__init__('relay', 24)

  def _get_socket(self, host, port, timeout):
    return self.ours

  def deliver(self, raw: bytes, sender: str, *recipients: str) -> dict:
    """What was refused: recipient -> (code, text)."""
    try:
      return self.sendmail(sender, recipients, raw)
    except smtplib.SMTPRecipientsRefused as refused:
      return refused.recipients

  def end(self):
    self.quit()
    if self.child.wait(timeout=30) != 0:
      raise AssertionError(f'lmtpq relay ended with {self.child.returncode}')


def dumps_core(child: subprocess.Popen) -> bool:
  """Kills it by SIGABRT; does the system write a core of it?"""
  os.kill(child.pid, signal.SIGABRT)
  word = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
  child.wait(timeout=30)
  if word.si_code not in (os.CLD_KILLED, os.CLD_DUMPED):
    raise AssertionError(f'it had ended before, with {word.si_status}')
  return word.si_code == os.CLD_DUMPED
