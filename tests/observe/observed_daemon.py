"""A daemon to be observed: stores, a configuration, clients, and what it reports about itself.

What it is: `lmtpq serve` with a listener for each kind of outcome, the store of tests/peers, a
  store that closes the connection after the end of data, and one without TLS; all ended by end().
What it does not know: what is right.
Called by: test_observation.
Failure: OSError or subprocess.TimeoutExpired after LIMIT seconds.
"""

import re
import socket
import subprocess
import threading
import urllib.request
from pathlib import Path

from fixtures.lmtp_client import Client, Message
from fixtures.lmtp_store import LmtpStore
from fixtures.process import wait_until
from fixtures.scratch import Scratch, free_port
from fixtures.serve import Serve

LIMIT = 60.0
NOBODY = 4_000_000  # a uid that no test runs as


class DyingStore:
  """Speaks LMTP without extensions. It greets when `greets` is set, and closes the connection after
  the end of data; when `slow` is set, it sets `taken`, waits for `answer` and replies 250."""

  def __init__(self):
    self.listener = socket.create_server(('127.0.0.1', 0))
    self.address = 'inet:127.0.0.1:%d' % self.listener.getsockname()[1]
    self.slow = threading.Event()  # set: the final reply waits for `answer`
    self.answer = threading.Event()
    self.taken = threading.Event()
    self.greets = threading.Event()
    self.greets.set()
    threading.Thread(target=self.run, daemon=True).start()

  def run(self):
    while True:
      try:
        client, _ = self.listener.accept()
      except OSError:
        return
      threading.Thread(target=self.serve, args=[client], daemon=True).start()

  def serve(self, client):
    try:
      self.talk(client)
    except OSError:
      pass  # the daemon hung up

  def talk(self, client):
    with client, client.makefile('rwb') as lines:
      def say(text):
        lines.write(text + b'\r\n')
        lines.flush()
      self.greets.wait(LIMIT)
      say(b'220 fake')
      for line in lines:
        verb = line[:4].upper()
        if verb == b'DATA':
          say(b'354 go')
          while lines.readline() not in (b'.\r\n', b''):
            pass
          if not self.slow.is_set():
            return
          self.taken.set()
          self.answer.wait(LIMIT)
        say(b'221 bye' if verb == b'QUIT' else b'250 ok')


class ObservedDaemon:
  def __init__(self, scratch: Scratch, program: Path):
    self.folder = scratch.path
    self.port = free_port()
    self.dying = DyingStore()
    self.received = 0  # bytes of all messages
    self.store = LmtpStore(scratch)
    self.store.options = ['--quota', 'full=0']
    for user in ('alice', 'full'):
      self.store.add_mailbox(user)
    self.store.start()
    self.process = Serve(self.folder, program=program)
    self.configure()
    self.process.start()

  def configure(self, more: str = ''):
    where = self.folder
    (where / 'routes').write_text(f'moved@ error:5.1.6 Moved\nelsewhere@ {self.dying.address}\n')
    self.process.write(f'''
spool-dir = {where}
metrics = 127.0.0.1:{self.port}
connections = 7
max-clients = 50
tls = none
route-file = {where}/routes
destination = {self.store.address}
[listener.plain]
address = unix:{where}/plain
[listener.quota]
address = unix:{where}/quota
ignore-quota = always
[listener.dead]
address = unix:{where}/dead
destination = unix:{where}/nobody
[listener.dying]
address = unix:{where}/dying
destination = {self.dying.address}
[listener.closed]
address = unix:{where}/closed
clients = uid:{NOBODY}
[listener.tls]
address = unix:{where}/tls
destination = {self.dying.address.replace('127.0.0.1', 'localhost')}
[destination.localhost]
tls = encrypt
{more}''')

  def reload(self):
    before = self.process.count('event=reload')
    self.process.hang_up()
    wait_until(lambda: self.process.count('event=reload') > before, 'a reload')

  def dial(self, listener: str) -> Client:
    return Client(f'unix:{self.folder}/{listener}')

  def deliver(self, listener: str, *recipients: str, **parts) -> list[str]:
    """The codes of the replies after the end of data."""
    message = Message(list(recipients), **parts)
    self.received += len(message.text())
    with self.dial(listener) as client:
      codes = [reply[:3] for reply in client.deliver(message)]
      client.ask('QUIT')
    return codes

  def status(self, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([self.process.program, 'serve', '--config', '/dev/null', '--status',
                           '--control', f'{self.folder}/control', *options],
                          capture_output=True, text=True, timeout=LIMIT)

  def scrape(self) -> 'Scrape':
    with urllib.request.urlopen(f'http://127.0.0.1:{self.port}/metrics', timeout=LIMIT) as answer:
      return Scrape(answer.read().decode())

  def end(self):
    self.dying.answer.set()
    self.process.stop()
    self.store.stop()
    self.dying.listener.close()


class Scrape:
  """Prometheus's text format: `text[name, label=value ...]` is a sample."""

  SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
  LABEL = re.compile(r'(\w+)="([^"]*)",?')

  def __init__(self, text: str):
    self.types = dict(re.findall(r'^# TYPE (\w+) (\w+)$', text, re.M))
    self.helped = set(re.findall(r'^# HELP (\w+) \S', text, re.M))
    self.samples = {}
    for line in text.splitlines():
      if not line.startswith('#'):
        name, labels, value = self.SAMPLE.fullmatch(line).groups()
        key = name, frozenset(self.LABEL.findall(labels or ''))
        assert key not in self.samples, f'twice: {line}'
        self.samples[key] = float(value)

  def get(self, name: str, **labels: str) -> float | None:
    return self.samples.get((name, frozenset(labels.items())))

  def labels(self, name: str) -> set[str]:
    """Names of the labels that any sample of the family has."""
    return {label for sample, labels in self.samples
            for label, _ in labels if family(sample, self.types) == name}


def family(sample: str, types: dict[str, str]) -> str:
  """The family of a sample; those of a histogram have further names."""
  for end in ('_bucket', '_sum', '_count'):
    if sample.endswith(end) and types.get(sample[:-len(end)]) in ('histogram', 'summary'):
      return sample[:-len(end)]
  return sample
