"""2,000 clients that say nothing and 200 that send, over at most 20 connections to the store.

Two stores: one that answers at once, so that lmtpq is what is slow; and one that takes a second for
each message, so that each message waits for a connection and the longest wait shows whether the
waiters keep their order.
"""

import resource
import threading
from dataclasses import dataclass

from crowd_load import Crowd, Seen
from figures import Failed, Row, at_most
from meter import connections_to
from postfix import Sink

IDLE, ACTIVE, CONNECTIONS = 2000, 200, 20
DEADLINE = 60  # seconds that a message may wait for a connection
DESCRIPTORS = 8192


@dataclass
class Outcome:
  seen: Seen
  peak: int
  most: int  # connections to the store at a time


class Watch(threading.Thread):
  """The most connections to the store at a time."""

  def __init__(self, port: int):
    super().__init__(daemon=True)
    self.port = port
    self.most = 0
    self.over = threading.Event()

  def run(self):
    while not self.over.wait(0.2):
      self.most = max(self.most, connections_to(self.port))

  def stop(self) -> int:
    self.over.set()
    self.join()
    return self.most


def through(setting, name: str, messages: int, *sink_options: str) -> Outcome:
  sink = Sink(setting.scratch, setting.postfix, f'sink-crowd-{name}', *sink_options)
  sink.start()
  serve = setting.serve(sink.address, f'--connections={CONNECTIONS}',
                        f'--wait-timeout={DEADLINE}s')
  serve.start()
  watch = Watch(sink.port)
  watch.start()
  seen = Crowd(serve.port, IDLE, ACTIVE, messages).run()
  most, peak = watch.stop(), serve.meter().peak()
  arrived = sink.counters()['mesg']
  serve.stop()
  sink.stop()
  if seen.failures or arrived != ACTIVE * messages:
    raise Failed(f'{name}: {len(seen.failures)} clients failed ({seen.failures[:1]}); '
                 f'{seen.delivered} delivered, {arrived} arrived, of {ACTIVE * messages}')
  if seen.idle_alive != IDLE:
    raise Failed(f'{name}: {seen.idle_alive} of {IDLE} idle clients are left')
  return Outcome(seen, peak, most)


def run(setting) -> list[Row]:
  most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
  if most < DESCRIPTORS:
    raise Failed(f'{most} descriptors are allowed, {DESCRIPTORS} are needed')
  resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, most))
  fast = through(setting, 'fast', 20)
  slow = through(setting, 'slow', 2, '-w', '1')
  peak = max(fast.peak, slow.peak) / 1e6
  connections = max(fast.most, slow.most)
  who = f'{IDLE:,} idle clients and {ACTIVE} that send'
  ideal = ACTIVE / CONNECTIONS
  return [
      at_most(f'{who}, all delivered: connections to the store at a time', f'**{connections}**',
              connections, CONNECTIONS),
      at_most('the same, peak memory of `lmtpq serve` (VmHWM)', f'**{peak:.0f} MB**', peak, 250,
              ' MB'),
      at_most(f'the same, {ACTIVE * 20:,} messages, longest wait for an answer to the dot',
              f'**{max(fast.seen.waits):.2f} s**', max(fast.seen.waits), DEADLINE, ' s'),
      at_most(f'the same, {ACTIVE * 2} messages to a store that takes a second for each '
              f'(in order each waits {ideal:.0f} s)', f'**{max(slow.seen.waits):.1f} s**',
              max(slow.seen.waits), DEADLINE, ' s')]
