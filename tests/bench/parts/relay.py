"""What one process of `lmtpq relay` costs: its start, its memory, TLS and a login, a queue run."""

import os
import resource
import statistics
import subprocess
import time
from pathlib import Path

from fixtures import mailers
from fixtures.cyrus import Cyrus
from fixtures.messages import message
from fixtures.sendmail import Sendmail

from figures import Failed, Row, against, at_most, ratio
from meter import status_bytes
from relay_load import relay_cost


def start(setting) -> list[Row]:
  """CPU from start to greeting: a whole process that greets and meets its end."""
  used = []
  for _ in range(200):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run([setting.lmtpq, 'relay', '--log=stderr', 'unix:/nonexistent'], input=b'',
                         capture_output=True)
    if not ran.stdout.startswith(b'220 '):
      raise Failed(f'no greeting: {ran.stdout!r}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
  # Some kernels count CPU in ticks of 10 ms: only the mean over many starts is true there.
  mean = statistics.mean(used) * 1000
  return [at_most(f'CPU of `lmtpq relay` from start to greeting and exit, mean of {len(used)} starts, '
                  'fork and exec included', f'**{mean:.2f} ms**', mean, 4, ' ms')]


def memory(setting) -> list[Row]:
  """For a message of 100 MB, into our store."""
  folder = setting.scratch.folder('memory')
  (folder / 'mail' / 'alice').mkdir(parents=True)
  socket = folder / 'lmtp'
  store = subprocess.Popen([setting.store, '--listen', f'unix:{socket}', '--dir', folder / 'mail',
                            '--log', folder / 'log'], stdout=subprocess.PIPE)
  store.stdout.readline()
  relay = subprocess.Popen([setting.lmtpq, 'relay', f'--log={folder}/lmtpq.log', f'unix:{socket}'],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
  block = (b'x' * 75 + b'\r\n') * 13618  # a MiB, less a few bytes
  relay.stdin.write(b'LHLO mx\r\nMAIL FROM:<a@mail.test>\r\nRCPT TO:<alice>\r\nDATA\r\n'
                    b'Message-ID: <large@mail.test>\r\n\r\n')
  for _ in range(100):
    relay.stdin.write(block)
  relay.stdin.write(b'.\r\n')
  relay.stdin.flush()
  reply = b''
  while b'250 2.1.5 Success' not in reply:
    reply = relay.stdout.readline()
    if not reply or reply.startswith((b'4', b'5')):
      raise Failed(f'not delivered: {reply!r}')
  # The kernel's high-water mark; getrusage's would count the parent's memory before exec.
  peak = status_bytes(relay.pid, 'VmHWM') / 2**20
  relay.stdin.write(b'QUIT\r\n')
  relay.stdin.close()
  _, _, used = os.wait4(relay.pid, 0)
  stored = sum(path.stat().st_size for path in (folder / 'mail/alice/new').iterdir())
  store.terminate()
  store.wait()
  return [at_most(f'peak memory of `lmtpq relay` for one message of {stored / 1e6:.0f} MB (VmHWM)',
                  f'**{peak:.1f} MiB**', peak, 16, ' MiB'),
          Row('the same message, CPU of `lmtpq relay`', f'{used.ru_utime + used.ru_stime:.2f} s')]


def secure(setting) -> list[Row]:
  """Messages of 4 KiB over one connection to Cyrus by TCP: TLS and AUTH, or neither."""
  count = 5 * setting.messages
  store = setting.secure_cyrus('cyrus-tls', 'SCRAM-SHA-256')
  store.start()
  store.add_mailboxes(['plain', 'secure'])
  log = setting.scratch.path / 'secure.log'
  common = [f'--log={log}', '--config=/dev/null', '--tag-keys=none']
  ways = {'plain': [*common, '--tls=none', store.open_address],
          'secure': [*common, *store.secure_options(), store.tcp_address]}
  used = {name: [] for name in ways}
  for name, way in ways.items():
    relay_cost(setting.lmtpq, way, name, 10)
  for pair in range(setting.pairs):
    for name in ways if pair % 2 == 0 else reversed(ways):
      used[name].append(relay_cost(setting.lmtpq, ways[name], name, count) / count)
  for name in ways:
    if (arrived := store.filed(name)) != 10 + setting.pairs * count:
      raise Failed(f'{name}: {arrived} arrived')
  if log.read_text().count('auth=SCRAM-SHA-256-PLUS auth-user=lmtpuser') != setting.pairs + 1:
    raise Failed('not one login a process')
  store.stop()
  return [at_most(f'CPU of `lmtpq relay` for a message of 4 KiB, {count:,} messages over one connection '
                  'to Cyrus by TCP: TLS 1.3 and a login by SCRAM-SHA-256-PLUS, both handshakes and the '
                  f'start included, against neither, {setting.pairs} pairs',
                  against(used['secure'], used['plain'], '{:.0f} us', 1e6),
                  ratio(used['secure'], used['plain']), 1.5)]


def queue_run_seconds(sendmail, store, mailbox, count) -> float:
  """Puts the messages into the queue, then times the one queue run that delivers them."""
  before = len(store.message_ids(mailbox))
  for _ in range(count):
    sendmail.submit(message(b'x' * 70 + b'\r\n' * 1 + b'y' * 700 + b'\r\n'),
                    f'{mailbox}@store.test')
  sendmail.stop()
  start = time.monotonic()
  sendmail.run_queue(300)
  took = time.monotonic() - start
  arrived = len(store.message_ids(mailbox)) - before
  if sendmail.queued() or arrived != count:
    raise Failed(f'{arrived} of {count} arrived, {len(sendmail.queued())} queued')
  return took


def queue_run(setting) -> list[Row]:
  """Messages of 1 kB in one queue run to Cyrus over its unix socket."""
  store, scratch = Cyrus(setting.scratch), setting.scratch
  store.start()
  store.add_mailboxes(['stock', 'ours', 'postmaster'])
  stock = Sendmail(scratch, 'stock', mailers.stock(store.address), quota_mailer='cyrusv2')
  ours = Sendmail(scratch, 'ours', mailers.lmtpq(store.address, Path(scratch.path / 'lmtpq.log'),
                                               program=mailers.in_reach(scratch)))
  times = {'stock': [], 'ours': []}
  queue_run_seconds(stock, store, 'stock', setting.messages)  # warms lmtpd
  for pair in range(setting.pairs):
    turns = [('stock', stock), ('ours', ours)]
    for name, sendmail in turns if pair % 2 == 0 else reversed(turns):
      times[name].append(queue_run_seconds(sendmail, store, name, setting.messages))
  store.stop()
  return [at_most(f'{setting.messages} messages of 1 kB in one queue run to Cyrus over its unix socket: '
                  f'`lmtpq relay` against the stock `cyrusv2` mailer, {setting.pairs} pairs',
                  against(times['ours'], times['stock'], '{:.3f} s'),
                  ratio(times['ours'], times['stock']), 1.1)]
