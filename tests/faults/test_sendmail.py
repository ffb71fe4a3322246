"""Faults under the real Sendmail: its queue runs meet a daemon that is restarted again and again.

A queue of mail in a private Sendmail, queue runs until it is empty, and the count at the store.
Needs root, as Sendmail does.
"""

import re
import time

import pytest

from fixtures import mailers
from fixtures.lmtp_client import Message
from fixtures.load import Load
from fixtures.sendmail import Sendmail

from .scene import FIGURES, MAILBOXES, Scene

SUBMITTERS = 4
RUNNERS = 2  # queue runs at a time
RESTARTS = 8  # about

pytestmark = pytest.mark.limit(900)


def fill_queue(sendmail: Sendmail, wanted) -> list[Load]:
  """Submitted by SMTP, each to one mailbox; none is delivered yet."""
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
  """Queue runs side by side, and a daemon that is restarted while they go on; returns how often.

  Not too often: a run that found no daemon once defers all its other mail without a try.
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
      scene.serve.wait()
      scene.serve.start()
      restarts += 1
      seen = scene.filed_at(scene.stores[0])
  for run in runs:
    run.stop()
  return restarts


class TestDaemonRestartedUnderQueueRuns:
  @pytest.fixture(scope='class')
  def sendmail(self, scratch, scene):
    lines = mailers.stock(f'unix:{scene.socket}')
    return Sendmail(scratch, 'mta', lines, quota_mailer='cyrusv2')

  @pytest.fixture(scope='class')
  def scene(self, scratch, wanted):
    return Scene(scratch, wanted)

  @pytest.fixture(scope='class', autouse=True)
  def run(self, scene, sendmail, wanted):
    """The run itself, before all tests; they find what came of it in `scene`."""
    began = time.monotonic()
    scene.sent = {identity for load in fill_queue(sendmail, wanted) for identity in load.taken}
    scene.filled = time.monotonic() - began
    scene.serve.start()
    began = time.monotonic()
    try:
      scene.restarts = run_until_empty(sendmail, scene, wanted.seconds)
    finally:
      scene.end()
    scene.took = time.monotonic() - began
    scene.times = scene.filed()
    scene.doubled = {identity for (identity, _), times in scene.times.items() if times > 1}

  def test_every_message_is_taken_in_the_end(self, scene, sendmail, record_property):
    record_property(FIGURES, (
        f'{type(self).__name__[4:]}: {len(scene.sent)} messages queued in {scene.filled:.1f} s, '
        f'{scene.took:.1f} s, {scene.restarts} restarts, '
        f'{len(sendmail.log_lines("stat=Sent"))} sent, {sum(scene.times.values())} filed, '
        f'{len(scene.doubled)} doubled, '
        f'{len(scene.possible_duplicates())} possible duplicates logged, '
        f'{len(sendmail.log_lines("stat=Deferred"))} deferrals'))
    assert not sorted(sendmail.queued())

  def test_all_messages_were_submitted(self, scene):
    assert len(scene.sent) >= scene.wanted.messages // SUBMITTERS * SUBMITTERS

  def test_none_is_lost(self, scene):
    assert not scene.sent - {identity for identity, _ in scene.times}, 'sent, and not filed'

  def test_none_bounces(self, sendmail):
    assert not sendmail.log_lines('DSN: ')

  def test_doubles_are_logged_as_possible_duplicates(self, scene, sendmail):
    identities = {line.partition(': from=')[0].rpartition(' ')[2]:
                  re.search(r'msgid=(\S+?),', line).group(1)
                  for line in sendmail.log_lines(': from=')}
    logged = {identities.get(qid) for qid in scene.possible_duplicates()}
    assert not scene.doubled - logged, 'filed twice, and not logged'

  def test_no_sanitizer_reports(self, scene):
    assert not scene.serve.sanitizers()

  def test_the_daemon_was_restarted_under_it(self, scene):
    assert scene.restarts > 2, 'the run shows nothing'
