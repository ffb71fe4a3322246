"""A run of a soak: when a fault happens, what is printed, and how it ends.

What it is: Soak.run(), from the first message to the report; it returns whether all is as it must be.
Called by: run.
Failure: what is an error of the harness, or a daemon that does not do what a fault needs, is an
  exception; the report so far is printed before.
"""

import signal
import statistics
import time
from collections import Counter
from pathlib import Path
from random import Random

from .scene import FAULTS, REPLACE, Scene
from .verdict import Verdict

EACH = 2500  # messages between two faults, on average; each fault happens once at least
STUCK = 120  # seconds without any message that is done
LONG_RUN = 200_000  # messages from which on memory is judged
HALF = 0.5  # of the run, after which one process serves to the end: what leaks must show
GROWTH = 1.05  # of memory, from the second tenth of that process's life on, which is the seventh


class Soak:
  def __init__(self, folder: Path, program: Path, seed: int, messages: int, rate: float):
    self.scene = Scene(folder, program, seed, messages, rate)
    self.seed, self.messages = seed, messages
    self.random = Random(seed)
    further = max(0, messages // EACH - len(FAULTS))
    names = [*FAULTS, *self.random.choices(list(FAULTS), k=further)]
    ends = [HALF if name in REPLACE else 0.95 for name in names]
    self.plan = sorted((int(self.random.uniform(0.02, end) * messages), name)
                       for end, name in zip(ends, names))
    self.happened: Counter[str] = Counter()
    self.samples: list[int] = []  # kB, one each percent
    self.percent = self.done = 0
    self.interrupted = False
    self.scene.pause = self.pause

  def run(self) -> bool:
    signal.signal(signal.SIGINT, self.interrupt)
    self.began = self.progress = time.monotonic()
    self.scene.start()
    try:
      while self.goes_on():
        self.pause(0.1)
        self.scene.look()
        if self.plan and self.done >= self.plan[0][0]:
          name = self.plan.pop(0)[1]
          FAULTS[name](self.scene, self.random)
          self.happened[name] += 1
    finally:
      self.seconds = time.monotonic() - self.began
      self.scene.end()
      good = self.report()
    return good

  def goes_on(self) -> bool:
    """What was planned happens, also if the last messages are faster."""
    running = self.scene.clients.running()
    self.look()
    return not self.interrupted and bool(running or self.plan and self.done == self.messages)

  def interrupt(self, *_):
    self.interrupted = True

  def pause(self, seconds: float):
    end = time.monotonic() + seconds
    while True:
      self.look()
      left = end - time.monotonic()
      if left <= 0 or self.interrupted:
        return
      time.sleep(min(left, 0.2))

  def look(self):
    done = sum(self.scene.clients.done)
    now = time.monotonic()
    if done > self.done:
      self.done, self.progress = done, now
    elif now > self.progress + STUCK:
      raise AssertionError(f'no message was delivered for {STUCK} s')
    self.scene.tail.read()
    while self.percent < self.done * 100 // self.messages:
      self.percent += 1
      self.samples.append(self.scene.memory() or (self.samples[-1] if self.samples else 0))
      if self.percent == self.done * 100 // self.messages:
        self.show(now)

  def show(self, now: float):
    clients = self.scene.clients
    print(f'{self.percent:3}%  {self.done:,} messages, {self.done / (now - self.began):,.0f}/s, '
          f'{sum(clients.deferrals):,} answers 4xx, {sum(clients.losses):,} connections lost, '
          f'{sum(self.happened.values())} faults, RSS {self.samples[-1] / 1024:.1f} MB', flush=True)

  def report(self) -> bool:
    verdict = Verdict(self.scene.records, self.seed, self.messages)
    done = sum(self.scene.clients.done)
    print(f'\nseed {self.seed}, {self.messages:,} messages'
          f'{", interrupted" if self.interrupted else ""}: {done:,} done in {self.seconds:,.0f} s, '
          f'{done / self.seconds:,.0f}/s')
    faults = (f'{name} {times}' for name, times in sorted(self.happened.items()))
    print('faults: ' + ', '.join(faults))
    print(verdict.report())
    steady = self.show_memory()
    sanitizers = self.scene.serve.sanitizers()
    if sanitizers:
      print(sanitizers)
    complete = done == self.messages or self.interrupted
    good = verdict.good and steady and complete and not sanitizers
    print('GOOD' if good else 'NOT GOOD', flush=True)
    return good

  def show_memory(self) -> bool:
    """A row for each tenth of the run."""
    print('RSS of the daemon, MB, at each percent:')
    for tenth in range(0, len(self.samples), 10):
      row = self.samples[tenth:tenth + 10]
      print(f'  {tenth:3}% ' + ''.join(f'{sample / 1024:7.1f}' for sample in row))
    if len(self.samples) < 100:
      return True
    ratio = statistics.median(self.samples[90:]) / statistics.median(self.samples[60:70])
    judged = self.messages >= LONG_RUN
    print(f'median of the last tenth to that of the seventh: {ratio:.3f}, '
          + (f'at most {GROWTH}' if judged else f'judged from {LONG_RUN:,} messages on'))
    return not judged or ratio <= GROWTH
