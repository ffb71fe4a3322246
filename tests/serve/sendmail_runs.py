"""The fault run with the real Sendmail in front: its queue runs meet a daemon that comes and goes.

What it is: a queue of mail in a private Sendmail, queue runs until it is empty, and the count at
  the store.
What it does not know: how the daemon is set (scene.py).
Called by: faults; as root, as Sendmail wants to be.
Failure: the verdicts.
"""

import re
import time

from lmtp import Message
from fixtures import mailers
from fixtures.load import Load
from fixtures.sendmail import Sendmail
from runs import scene_of, unless
from scene import MAILBOXES, Scene, few

SUBMITTERS = 4
RUNNERS = 2  # queue runs at a time
RESTARTS = 8  # about


def fill_queue(sendmail: Sendmail, wanted) -> list[Load]:
  """Brought by SMTP, each to one mailbox; none is delivered yet."""
  sendmail.start()
  loads = [Load(sendmail.port, 'sender@mail.test', [f'u{number % MAILBOXES}@store.test'],
                lambda: Message([]).text(), 1, wanted.messages // SUBMITTERS)
           for number in range(SUBMITTERS)]
  for load in loads:
    load.start()
  for load in loads:
    load.finish(wanted.seconds)
  sendmail.stop()
  return loads


def run_until_empty(sendmail: Sendmail, scene: Scene, seconds: float) -> int:
  """Queue runs side by side, and a daemon that is restarted while they go on; how often it was.

  Not too often: once a run found nobody, it defers all the rest of its mail unseen.
  """
  end = time.monotonic() + seconds
  runs, restarts, seen = [], 0, 0
  while time.monotonic() < end:
    runs = [run for run in runs if run.child.poll() is None]
    if not runs and not sendmail.queued():
      return restarts
    while len(runs) < RUNNERS:
      runs.append(sendmail.start_queue_run())
    time.sleep(0.05)
    if scene.filed_at(scene.stores[0]) - seen > scene.wanted.messages / RESTARTS:
      scene.serve.terminate()
      scene.serve.wait(30)
      scene.serve.start()
      restarts += 1
      seen = scene.filed_at(scene.stores[0])
  for run in runs:
    run.stop()
  return restarts


def under_queue_runs(wanted):
  with scene_of('sendmail', wanted) as scene:
    lines = mailers.stock(f'unix:{scene.socket}')
    sendmail = Sendmail(scene.scratch, 'mta', lines, quota_mailer='cyrusv2')
    began = time.monotonic()
    sent = {identity for load in fill_queue(sendmail, wanted) for identity in load.taken}
    filled = time.monotonic() - began
    scene.serve.start()
    began = time.monotonic()
    restarts = run_until_empty(sendmail, scene, wanted.seconds)
    took = time.monotonic() - began
    filed = scene.filed()
    yield from count(scene, sendmail, sent, filed)
    yield 'the daemon was restarted under it', unless(restarts > 2, f'{restarts} times')
    deferred = len(sendmail.log_lines('stat=Deferred'))
    doubled = sum(1 for times in filed.values() if times > 1)
    yield (f'{len(sent)} messages queued in {filled:.1f} s, {took:.1f} s, {restarts} restarts, '
           f'{len(sendmail.log_lines("stat=Sent"))} sent, {sum(filed.values())} filed, '
           f'{doubled} doubled, {len(scene.owned_up())} possible duplicates logged, '
           f'{deferred} deferrals')


def count(scene: Scene, sendmail: Sendmail, sent: set[str], filed):
  identities = {line.partition(': from=')[0].rpartition(' ')[2]:
                re.search(r'msgid=(\S+?),', line).group(1)
                for line in sendmail.log_lines(': from=')}
  owned = {identities.get(qid) for qid in scene.owned_up()}
  doubled = {identity for (identity, _), times in filed.items() if times > 1}
  there = {identity for identity, _ in filed}
  yield 'every message is taken in the end', few('queued', sorted(sendmail.queued()))
  yield 'all were sent that should be', unless(len(sent) >= scene.wanted.messages, f'{len(sent)}')
  yield 'none is lost', few('sent, and not filed', sorted(sent - there))
  yield 'none bounces', few('bounces', sendmail.log_lines('DSN: '))
  yield 'doubles are owned up to', few('filed twice, unlogged', sorted(doubled - owned))
  yield 'no sanitizer has anything to say', scene.serve.sanitizers()


SENDMAIL_RUNS = {"daemon restarted under Sendmail's queue runs": under_queue_runs}
