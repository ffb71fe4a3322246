"""What the milter costs: messages through Sendmail with it and without, and its memory."""

import os
import subprocess
import time

from fixtures import mailers
from fixtures.lmtp_store import LmtpStore
from fixtures.messages import message
from fixtures.milter import Milter, filter_lines
from fixtures.process import wait_until
from fixtures.sendmail import Sendmail

from figures import Failed, Row, against, at_most, ratio
from smtp_load import submit_seconds

# As an admin has it: some rules that do not match, and one that does.
RULES = """
[rule.web]
client = 192.0.2.0/24
auth = www
quota = ignore
[rule.lists]
from = *-bounces@lists.example.org
header List-Id = *announce*
limit = 100/hour
quota = ignore
[rule.notices]
client = 127.0.0.1
from = sender@mail.test
max-size = 64k
quota = ignore
"""
QUEUED = 'the same into the queue only, nothing delivered'
RUN = 'the same into the queue, and from there in one queue run'
BACKGROUND = ('through Sendmail to our store, in background delivery (Sendmail\'s default): with the '
              'milter, all with valid tags, against without')


def turn(sendmail, store, mailbox, count):
  """The seconds that `count` messages take, in each of Sendmail's two ways."""
  new = store.mail / mailbox / 'new'
  to = f'{mailbox}@store.test'

  def messages():
    return [message(b'x' * 70 + b'\r\n' + b'y' * 700 + b'\r\n') for _ in range(count)]

  def filed():
    return len(os.listdir(new)) if new.exists() else 0

  # Each turn with an empty mailbox: a large one is slow to look at, and we look while it runs.
  if new.exists():
    for one in new.iterdir():
      one.unlink()
  sendmail.start()
  queued = submit_seconds(sendmail.port, messages(), 10, to)
  sendmail.stop()
  start = time.monotonic()
  sendmail.run_queue(600)
  run = time.monotonic() - start
  if sendmail.queued() or filed() != count:
    raise Failed(f'{filed()} of {count} arrived, {len(sendmail.queued())} queued')
  sendmail.start('background')
  start = time.monotonic()
  submit_seconds(sendmail.port, messages(), 10, to)
  wait_until(lambda: time.sleep(0.05) or filed() >= 2 * count, 'all are filed', 120)
  background = time.monotonic() - start
  sendmail.stop()
  if filed() != 2 * count:
    raise Failed(f'{filed()} of {2 * count} arrived')
  return {QUEUED: queued, RUN: queued + run, BACKGROUND: background}


def rounds_of(setting) -> int:
  return min(3, setting.pairs)  # each takes its time


def speed(setting) -> list[Row]:
  """Messages over 10 connections, all tagged, against the same without a milter."""
  count, scratch = 10 * setting.messages, setting.scratch
  store = LmtpStore(scratch, 'milter-store')
  store.start()
  store.add_mailboxes(['plain', 'tagged'])
  milter = Milter(scratch, 'milter', RULES)
  milter.start()
  program = mailers.in_reach(scratch)
  keys = f'--tag-keys={milter.mailer_keys}'
  turns = [('plain', Sendmail(scratch, 'mta-plain', mailers.lmtpq(
      store.address, scratch.path / 'plain.log', '--tag-keys=none', program=program))),
           ('tagged', Sendmail(scratch, 'mta-tagged', mailers.lmtpq(
               store.address, scratch.path / 'tagged.log', keys, program=program),
               filter_lines(milter.socket)))]
  seen = {'plain': [], 'tagged': []}
  turn(turns[1][1], store, 'tagged', 100)
  for pair in range(rounds_of(setting)):
    for name, sendmail in turns if pair % 2 == 0 else reversed(turns):
      seen[name].append(turn(sendmail, store, name, count))
  tagged = sum('ignorequota=sent' in line and line.endswith('tag-key=first')
               for line in (scratch.path / 'tagged.log').read_text().splitlines())
  if tagged != 2 * (100 + rounds_of(setting) * count):
    raise Failed(f'{tagged} deliveries were by tag')
  milter.stop()
  store.stop()

  def compared(stage: str):
    times = [[one[stage] for one in seen[name]] for name in ('tagged', 'plain')]
    return against(*times, '{:.2f} s'), ratio(*times)

  return [at_most(f'{count:,} messages of 1 kB over 10 SMTP connections {BACKGROUND}, '
                  f'{rounds_of(setting)} pairs', *compared(BACKGROUND), 1.1),
          *(Row(stage, compared(stage)[0]) for stage in (RUN, QUEUED))]


def memory(setting) -> list[Row]:
  """By tests/milter/memory, which brings its own load."""
  program = os.path.join(os.path.dirname(__file__), '../../milter/memory')
  ran = subprocess.run([program, setting.milter], capture_output=True, text=True, timeout=300)
  lines = [line.split() for line in ran.stdout.splitlines()]
  if ran.returncode not in (0, 1) or len(lines) < 5:
    raise Failed(ran.stderr.strip() or ran.stdout)
  (early, before, _), (late, after, rate) = lines[2:4]
  grown = int(after) - int(before)
  return [at_most(f'memory of `lmtpq-milter` (VmRSS) after {int(early):,} and after {int(late):,} '
                  'messages over 10 connections, 1,000 reconnects (`tests/milter/memory`)',
                  f'{before} kB and {after} kB: **{grown:+d} kB**', grown / 1024, 2, ' MiB'),
          Row('the same, messages a second', f'{int(rate):,}')]
