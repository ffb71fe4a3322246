"""The pool of connections to a store: how many, how long, and in which state."""

import re
import socket
import time

import pytest

from fixtures.process import wait_until

from .daemon import FRONT, Daemon, Stopwatch, all_start, message


def test_a_thousand_messages_take_one_connection_and_all_ignore_the_quota(new_daemon):
  daemon = new_daemon('ignore-quota = always\nconnection-uses = 0\n')
  with daemon.dial() as client:
    for _ in range(1000):
      all_start(client.deliver(message()), '250')
    assert len(daemon.store.connections) == 1, f'{len(daemon.store.connections)} connections'
    rcpts = daemon.store.connections[0].said('RCPT')
    assert len(rcpts) == 1000, len(rcpts)
    assert all(line.endswith(' IGNOREQUOTA') for line in rcpts)
    resets = daemon.store.connections[0].said('RSET')
    assert len(resets) >= 999, f'each on a reused connection begins with RSET: {len(resets)}'


def test_clients_one_after_another_share_one_connection(daemon):
  for _ in range(20):
    all_start(daemon.deliver(), '250')
  assert len(daemon.store.connections) == 1, len(daemon.store.connections)


@pytest.mark.parametrize('last_words', [(), ('421 4.4.1 bye',)], ids=['silently', '421'])
def test_a_connection_that_the_store_has_closed_is_not_used(daemon, last_words):
  all_start(daemon.deliver(), '250')
  daemon.store.connections[0].end(*last_words)
  time.sleep(0.05)
  all_start(daemon.deliver('bob'), '250')
  assert daemon.store.boxes() == ['alice', 'bob'], daemon.store.boxes()
  assert len(daemon.store.connections) == 2, 'another connection'
  assert len(daemon.store.connections[0].said('MAIL')) == 1, 'nothing more on the first'


def test_bytes_that_wait_on_an_idle_connection_are_no_reply(daemon):
  """An unsolicited 250 must not be taken for the next command's."""
  all_start(daemon.deliver(), '250')
  daemon.store.connections[0].send('250 2.1.5 Success')
  time.sleep(0.05)
  daemon.store.at_rcpt = lambda _: '550 5.1.1 User unknown'
  all_start(daemon.deliver('nobody'), '550')
  assert len(daemon.store.connections) == 2, 'another connection'


def breaks_off(reply: str):
  """At the second use the store replies to RSET with this, once; '': it closes the connection."""
  def at_command(connection, line):
    if line == 'RSET' and len(connection.said('MAIL')) == 1 and at_command.left:
      at_command.left -= 1
      if not reply:
        connection.end()
      return reply
    return ''
  at_command.left = 1
  return at_command


@pytest.mark.parametrize('reply', ['500 5.5.1 no', '451 4.3.0 not now', '421 4.3.2 bye', ''])
def test_a_connection_that_fails_at_rset_costs_no_message(daemon, reply):
  all_start(daemon.deliver(), '250')
  daemon.store.at_command = breaks_off(reply)
  all_start(daemon.deliver('bob'), '250')
  assert daemon.store.boxes() == ['alice', 'bob'], daemon.store.boxes()
  assert len(daemon.store.connections) == 2, 'another connection'


def test_there_are_never_more_connections_than_allowed(new_daemon):
  daemon = new_daemon('connections = 3\n')
  daemon.store.at_final = lambda _: time.sleep(0.01) or ''
  all_start(daemon.deliver_at_once(*(f'u{number}' for number in range(30))), '250')
  assert daemon.store.most_open <= 3, daemon.store.most_open
  assert len(daemon.store.filed) == 30, len(daemon.store.filed)


def test_deliveries_that_wait_are_served_in_order(new_daemon):
  daemon = new_daemon('connections = 1\n')
  users = [f'u{number}' for number in range(8)]
  deliveries = [daemon.held('first')]
  for number, user in enumerate(users, 1):
    deliveries.append(daemon.in_background(user))
    daemon.wait_for_waiting(for_connections=number)
  daemon.store.hold.set()
  for one in deliveries:
    all_start(one.end(), '250')
  assert daemon.store.boxes() == ['first', *users]


def test_no_delivery_waits_longer_than_wait_timeout(new_daemon):
  daemon = new_daemon('connections = 1\nwait-timeout = 700ms\n')
  held = daemon.held('first')
  watch = Stopwatch()
  replies = daemon.deliver_at_once('a', 'b', 'c')  # the store has not answered the first yet
  watch.at_least(0.69, 'waiting')
  all_start(replies, '451 4.4.5')
  daemon.store.hold.set()
  all_start(held.end(), '250')
  assert daemon.store.boxes() == ['first'], daemon.store.boxes()
  all_start(daemon.deliver_at_once('a', 'b', 'c'), '250')


def with_idle_connections(daemon: Daemon, number: int):
  """That many connections that have served a message."""
  daemon.store.hold.clear()
  deliveries = [daemon.in_background(f'u{one}') for one in range(number)]
  wait_until(lambda: daemon.store.all_busy() == number, 'all are in use')
  daemon.store.hold.set()
  for one in deliveries:
    all_start(one.end(), '250')


def test_after_a_kept_connection_that_is_silent_a_new_one_is_used(new_daemon):
  """As when a firewall has forgotten them all: one timeout is the price, not one for each."""
  daemon = new_daemon('connections = 5\nrset-timeout = 400ms\n')
  with_idle_connections(daemon, 5)
  store = daemon.store
  old = list(store.connections)
  store.at_command = lambda connection, _: store.over.wait() and '' if connection in old else ''
  watch = Stopwatch()
  all_start(daemon.deliver('bob'), '250')
  watch.at_least(0.39, 'one silent connection')
  assert sum(bool(connection.said('RSET')) for connection in old) == 1, 'one of them was tried'


def test_after_a_kept_connection_that_dies_a_new_one_is_used(new_daemon):
  """A recipient at which the store's process dies costs two connections, not all of them."""
  daemon = new_daemon('connections = 9\n')
  with_idle_connections(daemon, 6)
  def ended() -> int:
    return sum(bool(connection.ended) for connection in daemon.store.connections)
  before = ended()
  daemon.store.at_command = dies_of('poison')
  all_start(daemon.deliver('poison'), '451 4.4.2')
  # The client may have the reply before the store's thread has recorded the end.
  wait_until(lambda: ended() - before >= 2, 'two connections die')
  assert ended() - before == 2, f'a kept one and a new one died, not {ended() - before}'


def dies_of(word: str):
  def at_command(connection, line):
    if word in line:
      connection.end()
    return ''
  return at_command


def test_connection_uses_limits_the_messages_of_a_connection(new_daemon):
  daemon = new_daemon('connection-uses = 3\n')
  with daemon.dial() as client:
    for _ in range(10):
      all_start(client.deliver(message()), '250')
    uses = [len(connection.said('MAIL')) for connection in daemon.store.connections]
    assert uses == [3, 3, 3, 1], uses


def test_connection_lifetime_limits_the_age_of_a_connection(new_daemon):
  daemon = new_daemon('connection-lifetime = 500ms\nidle-timeout = 1h\n')
  with daemon.dial() as client:
    watch = Stopwatch()
    for lifetimes in (1, 2):
      while len(daemon.store.connections) < lifetimes + 1:
        all_start(client.deliver(message()), '250')
        time.sleep(0.01)
      watch.at_least(0.4 * lifetimes, f'{lifetimes} lifetimes')
    wait_until(lambda: daemon.store.connections[0].ended, 'the first is closed')


def test_idle_timeout_closes_a_connection(new_daemon):
  daemon = new_daemon('idle-timeout = 500ms\n')
  all_start(daemon.deliver(), '250')
  connection = daemon.store.connections[0]
  wait_until(lambda: connection.ended, 'it is closed')
  assert connection.ended - connection.began >= 0.49, connection.ended - connection.began
  assert connection.commands[-1] == 'QUIT', connection.commands[-1]
  all_start(daemon.deliver(), '250')


def test_a_store_that_is_down_is_not_dialled_again_before_its_time(new_daemon):
  daemon = new_daemon('dial-backoff = 10m\ndial-backoff-limit = 20m\n')
  daemon.store.greeting = '421 4.3.2 closed for repairs'
  replies = [daemon.deliver()[0] for _ in range(20)] + daemon.deliver_at_once(*'abcdefgh')
  all_start(replies, '451 4.4.1')
  assert all('closed for repairs' in reply for reply in replies), 'the reason is kept'
  assert len(daemon.store.connections) == 1, f'{len(daemon.store.connections)} dials'


def test_a_store_that_is_up_again_is_found(new_daemon):
  daemon = new_daemon('dial-backoff = 200ms\n')
  daemon.store.greeting = '421 4.3.2 closed for repairs'
  all_start(daemon.deliver(), '451 4.4.1')
  daemon.store.greeting = '220 store.test'
  dials = len(daemon.store.connections)
  wait_until(lambda: len(daemon.store.connections) > dials, 'it is dialled without a message')
  wait_until(lambda: daemon.deliver()[0].startswith('250'), 'and mail is taken')
  assert len(daemon.store.connections) <= dials + 2, 'no message dialled it'


def test_a_store_that_never_greets_costs_one_short_wait_where_there_is_another(new_daemon):
  """For the last store of a message it would be lhlo-timeout, 5 minutes."""
  daemon = new_daemon(start=False)
  mute = socket.socket(socket.AF_UNIX)
  with mute:
    mute.bind(f'{daemon.folder}/mute')
    mute.listen(64)
    daemon.process.write(daemon.filled(f'dial-backoff = 10m\ndial-backoff-limit = 10m\n'
                                       f'destination = unix:{daemon.folder}/mute, {{store}}\n{FRONT}'))
    daemon.process.start()
    for user in ('first', 'second', 'third'):
      all_start(daemon.deliver(user), '250')
  assert daemon.store.boxes() == ['first', 'second', 'third']
  failed = [line for line in daemon.process.log_text().splitlines() if 'event=store-failed' in line]
  waited = [line for line in failed if 'timed out before the reply to greeting' in line]
  assert len(waited) >= 1, failed
  delays = [float(found) for found in re.findall(r'delays=[0-9.]+/[0-9.]+/[0-9.]+/([0-9.]+)/',
                                                 daemon.process.log_text())]
  assert len(delays) == 3 and 9.9 < delays[0] < 200 and max(delays[1:]) < 9.9, delays


def test_a_delivery_without_time_left_does_not_mark_the_store_down(new_daemon):
  """Its client would be gone before the reply: it is deferred, and others pass."""
  # Of 12 seconds 10 are for the store and a tenth is a margin: it waits for 0.8 seconds.
  daemon = new_daemon('mta-timeout = 12s\ndata-done-timeout = 10s\nmailbox-limit = 1\n'
                      'idle-timeout = 50ms\nlhlo-timeout = 10s\n')
  held = daemon.held('busy')
  watch = Stopwatch()
  all_start(daemon.deliver('busy'), '451 4.2.1')
  watch.at_least(0.79, 'waiting for the mailbox')
  daemon.store.hold.set()
  all_start(held.end(), '250')
  all_start(daemon.deliver('calm'), '250')
  assert 'event=store-failed' not in daemon.process.log_text(), 'no connection failed'


def test_deliveries_to_one_mailbox_are_limited_and_others_pass(new_daemon):
  daemon = new_daemon('mailbox-limit = 2\nconnections = 10\n')
  store = daemon.store
  store.hold.clear()
  deliveries = [daemon.in_background(user) for user in ('busy',) * 5 + ('Busy', 'calm')]
  wait_until(lambda: store.all_busy() == 3, 'two and the other one are at the store')
  daemon.wait_for_waiting(for_mailboxes=4)
  assert store.busy.get('calm'), 'calm passes'
  assert store.busy.get('busy', 0) + store.busy.get('Busy', 0) == 2, store.busy
  store.hold.set()
  for one in deliveries:
    all_start(one.end(), '250')
  assert store.most_open <= 4, f'those that wait hold no connection: {store.most_open}'
