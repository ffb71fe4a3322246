"""Signals that would end relay or deliver between end of data and the store's reply.

trap: sigterm-in-mid-message
"""

import signal
import subprocess

import pytest

from fixtures.process import wait_until

from .daemon import send
from .fake_store import FakeStore

NUMBERS = [signal.Signals[f'SIG{name}'] for name in
           'TERM INT HUP QUIT ALRM USR1 USR2 XCPU VTALRM PROF IO PWR STKFLT RTMIN RTMAX'.split()]


@pytest.mark.parametrize('number', NUMBERS, ids=lambda number: number.name)
def test_relay_answers_before_a_signal_ends_it(new_relay, number):
  relay, store = new_relay()
  store.hold.clear()
  send(relay, 'bob')
  wait_until(store.all_busy, 'the store has it')
  relay.child.send_signal(number)
  store.hold.set()
  assert relay.reply().startswith('250'), number
  assert relay.child.wait(60) == 0, 'it ends between messages'
  assert 'possible duplicate' not in relay.log_text()


@pytest.fixture
def deliver(scratch, lmtpq):
  """deliver(before): `lmtpq deliver` whose message the store has and does not answer; its log."""
  folder = scratch.folder('deliver')
  store = FakeStore(folder / 'store')
  store.hold.clear()
  log = folder / 'log'

  def start(*before: str):
    child = subprocess.Popen(
        [*before, lmtpq, 'deliver', f'--log={log}', '--config=/dev/null', '-d', store.address,
         '-f', 'a@b', 'bob@store.test', 'erin@store.test'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(child)
    child.stdin.write(b'Subject: hi\n\nhi\n')
    child.stdin.close()
    wait_until(store.all_busy, 'the store has it')
    return child, log, store
  started: list[subprocess.Popen] = []
  yield start
  for child in started:
    child.kill()
    child.wait(60)
  store.stop()


@pytest.mark.parametrize('number', NUMBERS, ids=lambda number: number.name)
def test_deliver_ends_at_a_signal_and_says_what_may_have_been_filed(deliver, number):
  child, log, _ = deliver()
  child.send_signal(number)
  printed = child.stdout.read().decode()
  assert child.wait(60) == 75, 'a script may try again'
  text = log.read_text()
  assert printed.count('possible duplicate') == 2, printed
  assert text.count('possible duplicate') == 2, text


def test_deliver_under_nohup_goes_on(deliver):
  child, log, store = deliver('nohup')
  child.send_signal(signal.SIGHUP)
  store.hold.set()
  child.stdout.read()
  assert child.wait(60) == 0, log.read_text()


# trap: output-is-lost
@pytest.mark.parametrize('lost', ['>/dev/full', '>&-'])
def test_deliver_whose_outcomes_nobody_reads_does_not_ask_for_a_second_delivery(deliver, lost):
  child, log, store = deliver('sh', '-c', f'exec "$0" "$@" {lost}')
  store.hold.set()
  assert child.wait(60) == 0, log.read_text()
  assert log.read_text().count('status=sent') == 2
