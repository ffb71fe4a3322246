"""The real Sendmail in its default mode, background delivery, to Cyrus by TCP.

What is compared: the stock cyrusv2 mailer, which dials Cyrus itself for each message; the same M line
  pointed at the socket of `lmtpq serve`; and `lmtpq relay`, a process for each message. Each to a
  port that asks for nothing, and to one that wants TLS and a login.
What it does not know: what Sendmail's own queue costs; that is in all of them.
"""

import statistics
import subprocess
import time
from dataclasses import dataclass, field

from fixtures import mailers
from fixtures.messages import message
from fixtures.process import wait_until
from fixtures.sendmail import Sendmail

from figures import Failed, Row, against, at_least, ratio
from middle import Serve
from setting import PASSWORD, USER, SecureCyrus
from smtp_load import submit_seconds

# How the store wants to be spoken to: not at all, by the cheapest login there is (for those who log
# in for each message), and by what lmtpq chooses when it may.
PLAIN, SCRAM = 'PLAIN', 'SCRAM-SHA-256'
KINDS = ('', PLAIN, SCRAM)
CONNECTIONS = 10


@dataclass
class Way:
  name: str
  mechanism: str  # one of KINDS
  sendmail: Sendmail
  seconds: list[float] = field(default_factory=list)

  @property
  def mailbox(self) -> str:
    return self.name + kind_of(self.mechanism)


def kind_of(mechanism: str) -> str:
  return mechanism.replace('-', '').lower() or 'open'


def login_lines(setting, mechanism: str) -> str:
  """For an .mc: Sendmail's client logs in at whatever server it is."""
  folder = setting.scratch.folder(f'authinfo-{mechanism}', 0o700)
  subprocess.run(['makemap', 'hash', folder / 'authinfo'], check=True, timeout=30, capture_output=True,
                 input=f'AuthInfo: "U:{USER}" "P:{PASSWORD}" "M:{mechanism}"\n'.encode())
  return (f"FEATURE(`authinfo', `hash -o {folder}/authinfo')\n"
          f"define(`confAUTH_MECHANISMS', `{mechanism}')\n")


def ways_of(setting, store: SecureCyrus, mechanism: str) -> tuple[list[Way], Serve]:
  scratch, kind = setting.scratch, kind_of(mechanism)
  address = store.tcp_address if mechanism else store.open_address
  options = ([*store.secure_options(), f'--auth-mechanisms={mechanism}'] if mechanism else
             ['--tls=none'])
  log = scratch.path / f'bg-{kind}.log'
  serve = setting.serve(address, *options)
  lines = login_lines(setting, mechanism) if mechanism else ''

  def mta(name: str, lines_of_mailer: str, more: str = '') -> Way:
    return Way(name, mechanism, Sendmail(scratch, f'bg-{name}-{kind}', lines_of_mailer, more,
                                      quota_mailer='cyrusv2'))

  # Sendmail asks the DNS for a name, even this one.
  return [mta('stock', mailers.stock(address.replace('localhost', '[127.0.0.1]')), lines),
          mta('relay', mailers.lmtpq(address, log, ' '.join(options), user='root',
                                     program=mailers.in_reach(scratch))),
          mta('serve', mailers.stock(f'unix:{serve.socket}'))], serve


def one_turn(way: Way, store: SecureCyrus, count: int):
  """From the first connection of the clients until the last message is filed."""
  before = store.filed(way.mailbox)
  messages = [message(b'x' * 70 + b'\r\n' + b'y' * 700 + b'\r\n') for _ in range(count)]
  way.sendmail.start('background')
  start = time.monotonic()
  submit_seconds(way.sendmail.port, messages, CONNECTIONS, f'{way.mailbox}@store.test')
  wait_until(lambda: time.sleep(0.02) or store.filed(way.mailbox) - before >= count,
             f'{way.mailbox}: all are filed', 120)
  way.seconds.append(time.monotonic() - start)
  way.sendmail.stop()
  if (arrived := store.filed(way.mailbox) - before) != count:
    raise Failed(f'{way.mailbox}: {arrived} of {count} arrived')


def run(setting) -> list[Row]:
  store = setting.secure_cyrus('bg-cyrus', f'{PLAIN} {SCRAM}')
  store.start()
  ways, servers = [], [store]
  for mechanism in KINDS:
    found, serve = ways_of(setting, store, mechanism)
    ways += found
    servers.insert(0, serve)
  store.add_mailboxes([*(way.mailbox for way in ways), 'postmaster'])
  for serve in servers[:-1]:
    serve.start()
  for way in ways:
    one_turn(way, store, 20)
    way.seconds.clear()
  logins, rounds = len(store.logins()), min(3, setting.pairs)
  for number in range(rounds):
    first = number % len(ways)
    for way in ways[first:] + ways[:first]:
      one_turn(way, store, setting.messages)
  expect_logins(store.logins()[logins:], 2 * rounds * setting.messages)
  for server in servers:
    server.stop()
  return rows_of(setting, ways, rounds)


def expect_logins(seen: list[tuple[str, str]], of_each: int):
  """The stock mailer and relay log in for each message, all of them in TLS."""
  used = {mechanism: sum(how.startswith(mechanism) and how.endswith('+TLS') for _, how in seen)
          for mechanism in (PLAIN, SCRAM)}
  if min(used.values()) < of_each or sum(used.values()) != len(seen):
    raise Failed(f'{used} logins, not {of_each} each, or others: {set(seen)}')


def rows_of(setting, ways: list[Way], rounds: int) -> list[Row]:
  rates = {(way.name, way.mechanism): [setting.messages / one for one in way.seconds] for way in ways}
  form, rows = '{:,.0f}/s', []
  what = (f'{setting.messages} messages of 1 kB through Sendmail in background delivery to Cyrus by '
          f'TCP, {{}}, {rounds} rounds: messages a second by `lmtpq {{}}` against stock `cyrusv2`')
  for mechanism in reversed(KINDS):
    how = f'TLS and AUTH {mechanism}' if mechanism else 'neither TLS nor AUTH'
    stock = rates['stock', mechanism]
    for name in ('serve', 'relay'):
      ours = rates[name, mechanism]
      text = what.format(how, name)
      if name == 'serve' and mechanism:
        rows.append(at_least(text, against(ours, stock, form), ratio(ours, stock), 2))
      else:
        rows.append(Row(text, against(ours, stock, form)))
  return rows
