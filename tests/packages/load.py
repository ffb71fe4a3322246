"""Mail that comes in without a pause while something happens, and the count of what was filed.

What it is: senders.py in the network of a booted system, and what it reports. A message counts as
  soon as Sendmail accepted it.
Failure: a Failed that names the messages which are lost, were refused, or came twice for no reason
  that a log names.
"""

import re
import subprocess
import threading
from collections import Counter
from pathlib import Path

from .system import Failed

CLIENTS, PAUSE = 4, 0.08  # at most 50 messages a second
# What announces that a message may come twice: ours, and Sendmail's when its connection was cut.
ANNOUNCED = ('possible duplicate', 'stat=Deferred', 'stat=I/O error')


class Load:
  def __init__(self, system):
    self.system = system
    self.said: list[str] = []
    self.process = subprocess.Popen(
        ['nsenter', '-t', system.first, '-n', '/usr/bin/python3', '-B',
         Path(__file__).with_name('senders.py'), str(CLIENTS), str(PAUSE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    self.reader = threading.Thread(target=self.read)
    self.reader.start()

  def read(self):
    for line in self.process.stdout:
      self.said.append(line)

  def reports(self) -> dict[str, list[int]]:
    reports = {'accepted': [], 'unsure': [], 'refused': []}
    for line in self.said:
      what, number = line.split()[:2]
      reports[what].append(int(number))
    return reports

  def accepted(self) -> int:
    return len(self.reports()['accepted'])

  def wait_for(self, number: int):
    self.system.wait_for(lambda: self.accepted() >= number)

  def stop(self):
    self.process.stdin.close()
    self.reader.join()
    self.process.wait()
    self.process.stdout.close()

  def count(self) -> Counter:
    """Number -> how often it was filed, when the queue is empty."""
    def is_empty() -> bool:
      if self.system.waits():
        self.system.run_queue()
      return self.system.waits() == 0
    self.system.wait_for(is_empty)
    subjects = self.system.subjects('alice') + self.system.subjects('bob')
    return Counter(int(subject.split()[1]) for subject in subjects if subject.startswith('load '))

  def judge(self):
    filed, reports = self.count(), self.reports()
    lost = sorted(set(reports['accepted']) - set(filed))
    doubled = sorted(number for number, times in filed.items() if times > 1)
    silent = sorted(set(doubled) - set(reports['unsure']) - self.announced())
    if lost or silent or reports['refused']:
      raise Failed(f'lost {lost}, doubled without a word {silent}, refused {reports["refused"]}')
    print(f'{self.accepted()} accepted, {len(filed)} filed, {len(doubled)} of them twice')

  def announced(self) -> set[int]:
    """Those of whose doubles a log warns, by Sendmail's queue ids."""
    lines = self.system.lines
    numbers = {}
    for line in lines:
      if found := re.search(r' (\w{14}): from=.* msgid=<(\d+)@load>', line):
        numbers[found[1]] = int(found[2])
    warned = set()
    for line in lines:
      if any(words in line for words in ANNOUNCED):
        warned |= {numbers[queue_id] for queue_id in re.findall(r'\w{14}', line)
                   if queue_id in numbers}
    return warned
