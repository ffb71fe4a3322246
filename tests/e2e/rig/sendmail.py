"""A private Sendmail: its own .cf, queue, log and port; nothing of the system's is touched.

What it is: Debian's unmodified binary (a copy without the setgid bit), run by a .cf made here; or
  the binary and the cf/ folder that it is handed.
What it does not know: which store the mail goes to; `mailers` are the lines of an .mc file that
  define the mailers cyrusv2 and cyrusv2q (see mailers.py).
Routing: USER@store.test goes to cyrusv2, USER@quota.test to cyrusv2q, USER@mail.test is local,
  which is cyrusv2 too (so bounces to a sender in mail.test come back to the store).
Lifetimes: mail is only queued until run_queue(), unless background() was called.
"""

import os
import re
import shutil
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .preload import private_environment
from .process import Server, wait_until
from .scratch import Scratch, free_port, tcp_listens

CF = '/usr/share/sendmail/cf'

MC = r"""divert(0)dnl
VERSIONID(`a private Sendmail for tests')
OSTYPE(`linux')
define(`confDOMAIN_NAME', `mail.test')
define(`QUEUE_DIR', `@DIR@/queue')
define(`ALIAS_FILE', `@DIR@/aliases')
define(`STATUS_FILE', `@DIR@/statistics')
define(`HELP_FILE', `@DIR@/helpfile')
define(`confPID_FILE', `@DIR@/pid')
define(`confSERVICE_SWITCH_FILE', `@DIR@/service.switch')
define(`confHOSTS_FILE', `@DIR@/hosts')
define(`confTO_IDENT', `0')
define(`confDONT_PROBE_INTERFACES', `True')
define(`confQUEUE_LA', `999')
define(`confREFUSE_LA', `999')
define(`confMIN_QUEUE_AGE', `0')
define(`confMAX_QUEUE_AGE', `')
define(`confDELIVERY_MODE', `queueonly')
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')
define(`confDOUBLE_BOUNCE_ADDRESS', `postmaster')
define(`confLOCAL_MAILER', `cyrusv2')
define(`confLOG_LEVEL', `10')
FEATURE(`no_default_msa')
FEATURE(`nocanonify')
FEATURE(`accept_unresolvable_domains')
RELAY_DOMAIN(`store.test quota.test')
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port=@PORT@')
@OPTIONS@
MAILER(`local')
MAILER(`smtp')
@MAILERS@
LOCAL_CONFIG
Cwmail.test
@ENVIRONMENT@
LOCAL_RULE_0
R$+ < @ store.test $* >	$#cyrusv2 $@ store.test $: $1
R$+ < @ quota.test $* >	$#@QUOTA_MAILER@ $@ store.test $: $1
"""


@dataclass
class Delivery:
  """One recipient of one to= line of the log."""
  qid: str
  to: str
  mailer: str
  relay: str
  dsn: str
  stat: str
  line: str


class Sendmail:
  def __init__(self, scratch: Scratch, name: str, mailers: str, options: str = '',
               quota_mailer: str = 'cyrusv2q', binary: Path | None = None, cf_folder: str = CF):
    self.dir = scratch.folder(name)
    self.log = self.dir / 'mail.log'
    self.port = free_port()
    self.environment = private_environment(scratch.path, self.log)
    self.cf_folder = cf_folder
    self.binary = self.dir / 'sendmail' if binary else scratch.path / 'sendmail'
    if not self.binary.exists():
      shutil.copyfile(binary or '/usr/libexec/sendmail/sendmail', self.binary)
      self.binary.chmod(0o755)
    (self.dir / 'queue').mkdir(mode=0o700)
    (self.dir / 'aliases').write_text('MAILER-DAEMON: postmaster\n')
    (self.dir / 'service.switch').write_text('hosts files\naliases files\n')
    (self.dir / 'hosts').write_text('127.0.0.1 mail.test localhost\n')
    (self.dir / 'statistics').touch(mode=0o600)
    # The reports of a sanitizer build are not lost with its standard error.
    reports = scratch.path / 'sanitizer'
    reports.mkdir(exist_ok=True)
    reports.chmod(0o777)
    environment = '\n'.join(f'E{name}=log_path={reports}/report:{os.environ.get(name, "")}'
                            for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'))
    self.cf = self.dir / 'sendmail.cf'
    self.make_cf(MC.replace('@DIR@', str(self.dir)).replace('@PORT@', str(self.port))
                 .replace('@MAILERS@', mailers).replace('@OPTIONS@', options)
                 .replace('@ENVIRONMENT@', environment).replace('@QUOTA_MAILER@', quota_mailer))
    self.run('-bi')
    self.daemon: Server | None = None

  def make_cf(self, text: str):
    mc = self.dir / 'sendmail.mc'
    mc.write_text(text)
    cf = self.cf_folder
    made = subprocess.run(['m4', f'-D_CF_DIR_={cf}/', f'{cf}/m4/cf.m4', mc], timeout=30,
                          capture_output=True)
    complaints = made.stderr.decode(errors='replace').strip()
    if made.returncode != 0 or complaints:
      raise AssertionError(f'm4 {mc}: {complaints}')
    self.cf.write_bytes(made.stdout)

  def add_aliases(self, lines: str):
    with (self.dir / 'aliases').open('a') as file:
      file.write(f'{lines}\n')
    self.run('-bi')

  def edit_cf(self, old: str, new: str):
    """For mistakes that are made, and mended, while mail is in the queue."""
    text = self.cf.read_text()
    if old not in text:
      raise AssertionError(f'{self.cf} has no {old!r}')
    self.cf.write_text(text.replace(old, new))

  def command(self, *words: str) -> list[str]:
    return [str(self.binary), '-C', str(self.cf), *words]

  def run(self, *words: str, given: bytes = b'', seconds: float = 60) -> str:
    ran = subprocess.run(self.command(*words), input=given, env=self.environment, timeout=seconds,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return ran.stdout.decode(errors='replace')

  def start(self, delivery_mode: str = 'queueonly'):
    self.daemon = Server(self.command('-bD', f'-ODeliveryMode={delivery_mode}'),
                         self.dir / 'daemon.out', self.environment)
    self.daemon.wait_ready(lambda: tcp_listens(self.port), 'Sendmail listens')

  def stop(self):
    if self.daemon:
      self.daemon.stop()
      self.daemon = None

  def submit(self, raw: bytes, *recipients: str, sender: str = 'sender@mail.test',
             options: tuple[str, ...] = ('BODY=8BITMIME',),
             rcpt_options: tuple[str, ...] = (), client_address: str = '127.0.0.1') -> str:
    """By SMTP to the daemon, which is started if need be; answers the queue id."""
    if not self.daemon:
      self.start()
    with smtplib.SMTP('127.0.0.1', self.port, 'client.test', timeout=60,
                      source_address=(client_address, 0)) as client:
      client.ehlo()
      utf8 = 'SMTPUTF8' in options
      client.command_encoding = 'utf-8' if utf8 else 'ascii'
      self.expect(client.mail(sender, options))
      for recipient in recipients:
        self.expect(client.rcpt(recipient, rcpt_options))
      reply = self.expect(client.data(raw))
    return re.search(r'2\.0\.0 (\w+) Message accepted', reply).group(1)

  def submit_by_program(self, raw: bytes, *recipients: str, sender: str = 'sender@mail.test',
                        delivery_mode: str = 'q') -> str:
    """As a local program does: `sendmail RCPT... < message`, lines end in LF; the queue id."""
    before = set(self.qids())
    said = self.run(f'-od{delivery_mode}', '-oi', '-f', sender, *recipients,
                    given=raw.replace(b'\r\n', b'\n'))
    fresh = set(self.qids()) - before
    if len(fresh) != 1:
      raise AssertionError(f'sendmail took no message: {said} {fresh}')
    return fresh.pop()

  def converse(self, *given: str) -> str:
    """With `sendmail -bs`, as a local program does; each line waits for the answer to the last."""
    said = []
    with subprocess.Popen(self.command('-bs', '-odq'), env=self.environment, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as program:
      for line in ('', *given):
        if line:
          program.stdin.write(f'{line}\r\n'.encode())
          program.stdin.flush()
        said.append(program.stdout.readline().decode())
    return ''.join(said)

  def qids(self) -> list[str]:
    """Of every message taken so far."""
    return [line.partition(': from=')[0].rpartition(' ')[2]
            for line in self.log_lines(': from=')]

  @staticmethod
  def expect(answer: tuple[int, bytes]) -> str:
    code, text = answer
    if code // 100 != 2:
      raise AssertionError(f'Sendmail refused: {code} {text.decode(errors="replace")}')
    return text.decode(errors='replace')

  def run_queue(self, seconds: float = 60):
    """One queue run in the foreground; comes back when every delivery has been tried."""
    run = self.start_queue_run()
    try:
      wait_until(lambda: run.child.poll() is not None, 'the queue run ends', seconds)
    finally:
      run.stop()

  def start_queue_run(self) -> Server:
    return Server(self.command('-qf'), self.dir / 'queue-run.out', self.environment)

  def queued(self) -> set[str]:
    """The ids of the messages in the queue."""
    return {path.name[2:] for path in (self.dir / 'queue').iterdir()
            if path.name.startswith(('qf', 'hf'))}

  def mailq(self) -> str:
    return self.run('-bp')

  def log_lines(self, having: str = '') -> list[str]:
    return [line for line in self.log.read_text(errors='replace').splitlines() if having in line]

  def deliveries(self, qid: str = '') -> list[Delivery]:
    """What the log says of each recipient, in its order; of one message, or of all."""
    found = []
    for line in self.log_lines(': to='):
      head, _, rest = line.partition(': to=')
      identity = head.rpartition(' ')[2]
      if qid and identity != qid:
        continue
      recipients, _, rest = rest.partition(', ')
      rest, _, stat = rest.partition('stat=')
      fields = dict(re.findall(r'(\w+)=(\S*?)(?:,|$)', rest))
      for recipient in recipients.split(','):
        found.append(Delivery(identity, recipient.strip('<>'), fields.get('mailer', ''),
                              fields.get('relay', ''), fields.get('dsn', ''), stat, line))
    return found

  def delivery(self, qid: str, to: str) -> Delivery:
    """The last word of the log on one recipient (USER, or a whole address)."""
    of_user = [one for one in self.deliveries(qid) if to in (one.to, one.to.partition('@')[0])]
    if not of_user:
      raise AssertionError(f'no to= line for {to} of {qid} in the log: {self.log_lines(qid)}')
    return of_user[-1]
