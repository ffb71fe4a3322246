"""Many SMTP clients at a time, and what became of every message that they brought.

What it is: `connections` threads, each with one connection that brings message after message; a
  client that is refused or cut off for a time connects again and brings the same message.
Failure: the first exception of a thread is raised by finish().
"""

import smtplib
import threading
import time
from collections.abc import Callable

from .messages import message_id


class Load:
  def __init__(self, port: int, sender: str, to: list[str], make: Callable[[], bytes],
               connections: int, messages: int):
    self.port = port
    self.sender = sender
    self.to = to
    self.make = make
    self.messages = messages
    self.taken: list[str] = []  # Message-IDs that Sendmail answered 250 for
    self.refusals: list[str] = []  # 4xx answers
    self.failures: list[BaseException] = []
    self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(connections)]

  def start(self):
    for thread in self.threads:
      thread.start()

  def running(self) -> bool:
    return any(thread.is_alive() for thread in self.threads)

  def finish(self, seconds: float = 60):
    end = time.monotonic() + seconds
    for thread in self.threads:
      thread.join(max(0.0, end - time.monotonic()))
    if self.failures:
      raise self.failures[0]
    if self.running():
      raise AssertionError(f'the load has not ended after {seconds} s')

  def work(self):
    try:
      left = [self.make() for _ in range(self.messages)]
      while left:
        self.bring(left)
    except BaseException as failure:  # told by finish()
      self.failures.append(failure)

  def bring(self, left: list[bytes]):
    """Over one connection, as many as it takes."""
    try:
      with smtplib.SMTP('127.0.0.1', self.port, 'client.test', timeout=30) as client:
        while left:
          client.sendmail(self.sender, self.to, left[-1])
          self.taken.append(message_id(left.pop()))
    except smtplib.SMTPResponseException as answer:
      self.temporary(answer.smtp_code, answer.smtp_error)
    except smtplib.SMTPRecipientsRefused as refused:
      for code, text in refused.recipients.values():
        self.temporary(code, text)

  def temporary(self, code: int, text: bytes | str):
    if code // 100 != 4:
      raise AssertionError(f'Sendmail refused for good: {code} {text!r}')
    self.refusals.append(f'{code} {text!r}')
    time.sleep(0.02)
