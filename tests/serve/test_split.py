"""Messages whose recipients are on several stores: what their parts cost while the stores stall."""

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.process import wait_until

from .daemon import Daemon, all_start

STORES = 8
MESSAGES = 40
STALLED = 40  # more than a message may have under way where memory is short
FEW = 8  # threads that come and go: those that write the log, and look after the pools


def split_over(new_daemon, number: int) -> Daemon:
  """A recipient on each of the stores: `0` on the first, and so on."""
  daemon = new_daemon(f'connections = {MESSAGES}\nmailbox-limit = {MESSAGES}\n'
                      'route-file = {folder}/routes\n', start=False)
  stores = [daemon.another_store(f'store{i}') for i in range(number)]
  (daemon.folder / 'routes').write_text(
      ''.join(f'{i}@store.test {store.address}\n' for i, store in enumerate(stores)))
  daemon.process.start()
  return daemon


@pytest.fixture
def split(new_daemon) -> Daemon:
  return split_over(new_daemon, STORES)


def threads(daemon: Daemon) -> int:
  return len(os.listdir(f'/proc/{daemon.process.pid}/task'))


@pytest.mark.parametrize('stage', ['LHLO', 'DATA', 'final reply'])
def test_parts_that_wait_for_stalled_stores_take_no_threads(split, stage):
  go_on = threading.Event()
  stalled = []

  def stall(*_) -> str:
    stalled.append(1)
    while not go_on.wait(0.5) and not split.store.over.is_set():
      pass
    return ''

  for store in split.stores[1:]:
    if stage == 'final reply':
      store.at_final = stall
    else:
      store.at_command = lambda _, line: stall() if line.startswith(stage) else ''
  users = [str(i) for i in range(STORES)]
  all_start(split.deliver(name='front'), '250')  # to the default store: everything has started
  idle = threads(split)
  with ThreadPoolExecutor(MESSAGES) as pool:
    sent = [pool.submit(split.deliver, *users) for _ in range(MESSAGES)]
    most = []

    def all_stalled() -> bool:
      most.append(threads(split))
      return len(stalled) == MESSAGES * STORES
    try:
      wait_until(all_stalled, f'{MESSAGES * STORES} parts are at their stores')
    finally:
      go_on.set()
    for one in sent:
      all_start(one.result(60), '250')
  assert max(most) <= idle + FEW, f'{idle} threads when idle, then {max(most)}'
  filed = Counter(box for store in split.stores for box in store.boxes())
  assert filed == Counter({'alice': 1} | dict.fromkeys(users, MESSAGES)), filed
  assert split.process.count(' status=sent ') == MESSAGES * STORES + 1


# trap: many-stalled-stores
@pytest.mark.parametrize('stage', ['LHLO', 'DATA'])
def test_stores_that_stall_hold_back_no_other_store_of_a_message(new_daemon, stage):
  daemon = split_over(new_daemon, STALLED + STORES)
  go_on = threading.Event()

  def stall(_, line: str) -> str:
    while line.startswith(stage) and not go_on.wait(0.1) and not daemon.store.over.is_set():
      pass
    return ''
  first, *others = daemon.stores
  for store in others[:STALLED]:
    store.at_command = stall
  message = daemon.in_background(*(str(i) for i in range(STALLED + STORES)))
  try:
    wait_until(lambda: all(store.filed for store in others[STALLED:]), 'the other stores have it')
    assert not any(store.filed for store in others[:STALLED])
  finally:
    go_on.set()
  all_start(message.end(), '250')
  assert [len(store.filed) for store in others] == [1] * len(others)
  assert not first.filed
