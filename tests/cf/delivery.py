"""A private queue and a real queue run, with the fake mailer of fake_lmtpq in P=.

What it is: messages from the command line into a queue, `sendmail -qf`, what the mailer saw.
What it does not know: a network; there is no daemon.
Routing: USER@HOST.store.test goes to cyrusv2 with HOST as $h, USER@HOST.quota.test to cyrusv2q.
Lifetimes: the files of a Site are removed with the scratch folder.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from .configuration import INCLUDE, Cf, define, is_root, mc

PRIVATE = r"""
define(`QUEUE_DIR', `@DIR@/queue')
define(`ALIAS_FILE', `@DIR@/aliases')
define(`STATUS_FILE', `@DIR@/statistics')
define(`confDOMAIN_NAME', `mail.test')
define(`confQUEUE_LA', `999')
define(`confMIN_QUEUE_AGE', `0')
define(`confDELIVERY_MODE', `queueonly')
define(`confLOCAL_MAILER', `cyrusv2')
FEATURE(`nocanonify')
"""
RULES = r"""
LOCAL_RULE_0
R$* < @ $+ .store.test > $*	$#cyrusv2 $@ $2 $: $1
R$* < @ $+ .quota.test > $*	$#cyrusv2q $@ $2 $: $1
"""
FAKE = Path(__file__).with_name('fake_lmtpq')


class Site:
  def __init__(self, cf: Cf, name: str, knobs: str = ''):
    self.log = cf.log
    self.dir = cf.scratch.folder(f'site-{name}')
    self.log_start = len(self.log.read_text(errors='replace'))
    (self.dir / 'queue').mkdir(mode=0o700)
    (self.dir / 'aliases').write_text('')
    self.records_dir = cf.scratch.folder(f'site-{name}/records', 0o1777)
    shutil.copy(FAKE, self.dir / 'lmtpq')
    ours = define('LMTPQ_MAILER_PATH', str(self.dir / 'lmtpq'))
    if not is_root():  # only root can become another user; the default is cyrus:mail
      ours += define('LMTPQ_MAILER_USER', f'{os.getuid()}:{os.getgid()}')
    self.cf = cf.make(mc(PRIVATE.replace('@DIR@', str(self.dir)) + ours + knobs,
                         INCLUDE + RULES))
    self.cf.run('-bi')

  def send(self, *recipients: str, body: str = 'hello\n', sender: str = 'sender@example.org'):
    said = self.cf.run('-odq', '-i', '-f', sender, '--', *recipients,
                       given=f'Subject: test\n\n{body}')
    if said:
      raise AssertionError(f'Sendmail did not queue the message: {said}')

  def converse(self, *commands: str) -> list[str]:
    """By SMTP with `sendmail -bs`, each line after the reply to the last one: the last line of the
    greeting and of each reply. It ends where Sendmail hangs up."""
    said: list[str] = []
    with subprocess.Popen(self.cf.command('-bs', '-odq'), env=self.cf.cf.environment, bufsize=0,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
      for command in ('', *commands):
        if command:
          program.stdin.write(f'{command}\r\n'.encode())
        while (line := program.stdout.readline().decode())[3:4] == '-':
          pass
        said.append(line.strip())
        if not line or line.startswith('421'):
          break
    return said

  def run_queue(self) -> float:
    """One queue run, in the foreground; its seconds."""
    began = time.monotonic()
    self.cf.run('-qf')
    return time.monotonic() - began

  def queued(self) -> int:
    return len(list((self.dir / 'queue').glob('[qh]f*')))

  def processes(self) -> list[dict]:
    """One record for each process of the mailer, oldest first."""
    return [json.loads(path.read_text()) for path in sorted(self.records_dir.glob('*.json'))]

  def deliveries(self) -> dict[str, list[str]]:
    """The last argument, which is the DEST -> the recipients that went there, sorted."""
    found: dict[str, list[str]] = {}
    for process in self.processes():
      for message in process['messages']:
        found.setdefault(process['arguments'][-1], []).extend(message['recipients'])
    return {destination: sorted(users) for destination, users in found.items()}

  def log_lines(self, having: str) -> list[str]:
    text = self.log.read_text(errors='replace')[self.log_start:]
    return [line for line in text.splitlines() if having in line]
