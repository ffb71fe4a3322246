"""A daemon to be watched: stores, a configuration, clients, and what it tells of itself.

What it is: `lmtpq serve` with listeners for each kind of fate, the store of tests/peers, a store that
  dies behind the dot, and one without TLS; all in one folder, all ended by close().
What it does not know: what is right.
Called by: observe.
Failure: OSError or subprocess.TimeoutExpired after LIMIT seconds.
"""

import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

LIMIT = 10.0
NOBODY = 4_000_000  # a uid that no test runs as


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


class FakeStore:
  """Speaks LMTP without extensions, and hangs up behind the dot; after `answer`, it says 250."""

  def __init__(self):
    self.listener = socket.create_server(('127.0.0.1', 0))
    self.address = 'inet:127.0.0.1:%d' % self.listener.getsockname()[1]
    self.slow = threading.Event()  # set: the answer to the dot waits for `answer`
    self.answer = threading.Event()
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
      say(b'220 fake')
      for line in lines:
        verb = line[:4].upper()
        if verb == b'DATA':
          say(b'354 go')
          while lines.readline() not in (b'.\r\n', b''):
            pass
          if not self.slow.is_set():
            return
          self.answer.wait(LIMIT)
        say(b'221 bye' if verb == b'QUIT' else b'250 ok')


class Client:
  def __init__(self, path: Path):
    self.socket = socket.socket(socket.AF_UNIX)
    self.socket.settimeout(LIMIT)
    self.socket.connect(str(path))
    self.lines = self.socket.makefile('rb')
    self.greeting = self.reply()

  def reply(self) -> str:
    while True:
      line = self.lines.readline().decode()
      if line[3:4] != '-':
        return line.rstrip()

  def say(self, line: str) -> str:
    self.socket.sendall(line.encode() + b'\r\n')
    return self.reply()

  def begin(self, recipients: list[str]):
    self.say('LHLO client')
    self.say('MAIL FROM:<sender@example.org>')
    for recipient in recipients:
      self.say(f'RCPT TO:<{recipient}>')
    self.say('DATA')

  def send(self, recipients: list[str], body: str = 'hello') -> list[str]:
    """The codes after the dot."""
    self.begin(recipients)
    self.socket.sendall(f'Subject: test\r\n\r\n{body}\r\n.\r\n'.encode())
    return [self.reply()[:3] for _ in recipients]

  def close(self):
    self.lines.close()
    self.socket.close()


class Daemon:
  def __init__(self, binary: str, store: str, folder: Path):
    self.binary = binary
    self.folder = folder
    self.port = free_port()
    self.fake = FakeStore()
    self.children = []
    for user in ('alice', 'full'):
      (folder / 'mail' / user).mkdir(parents=True)
    self.start([store, '--listen', f'unix:{folder}/store', '--dir', f'{folder}/mail',
                '--quota', 'full=0', '--log', f'{folder}/store.log'])
    self.configure()
    self.wait_for(lambda: (folder / 'store').exists())
    self.process = self.start([binary, 'serve', '--config', f'{folder}/conf'])
    self.wait_for(lambda: (folder / 'control').exists() and 'event=serving' in self.log())

  def start(self, command: list[str]):
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    self.children.append(child)
    return child

  def configure(self, more: str = ''):
    where = self.folder
    (where / 'conf').write_text(f'''
log = {where}/log
tag-keys = none
spool-dir = {where}
metrics = 127.0.0.1:{self.port}
control = {where}/control
connections = 7
max-clients = 50
tls = none
destination = unix:{where}/store
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
destination = {self.fake.address}
[listener.closed]
address = unix:{where}/closed
clients = uid:{NOBODY}
[listener.tls]
address = unix:{where}/tls
destination = {self.fake.address.replace('127.0.0.1', 'localhost')}
[destination.localhost]
tls = encrypt
{more}''')

  def log(self) -> str:
    path = self.folder / 'log'
    return path.read_text() if path.exists() else ''

  @staticmethod
  def wait_for(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
      if time.monotonic() > deadline:
        raise TimeoutError('it did not come to that')
      time.sleep(0.01)

  def reload(self):
    before = self.log().count('event=reload')
    self.process.send_signal(signal.SIGHUP)
    self.wait_for(lambda: self.log().count('event=reload') > before)

  def send(self, listener: str, recipients: list[str], body: str = 'hello') -> list[str]:
    client = Client(self.folder / listener)
    codes = client.send(recipients, body)
    client.say('QUIT')
    client.close()
    return codes

  def status(self, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([self.binary, 'serve', '--config', '/dev/null', '--status',
                           '--control', f'{self.folder}/control', *options],
                          capture_output=True, text=True, timeout=LIMIT)

  def scrape(self) -> 'Scrape':
    with urllib.request.urlopen(f'http://127.0.0.1:{self.port}/metrics', timeout=LIMIT) as answer:
      return Scrape(answer.read().decode())

  def close(self):
    self.fake.answer.set()
    for child in reversed(self.children):
      child.terminate()
      try:
        child.wait(LIMIT)
      except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    self.fake.listener.close()


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
  """A histogram's samples have names of their own."""
  for end in ('_bucket', '_sum', '_count'):
    if sample.endswith(end) and types.get(sample[:-len(end)]) in ('histogram', 'summary'):
      return sample[:-len(end)]
  return sample
