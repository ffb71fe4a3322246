"""One mailbox that stalls: mail for others passes, and each recipient gets it once."""

import pytest

from fixtures.process import wait_until

from .daemon import Daemon, Stopwatch, all_start, message, send

# No wait in these tests may end by itself.
PATIENT = 'wait-timeout = 30m\n'


def stalled(daemon: Daemon, *users: str, times: int = 1) -> tuple:
  """Deliveries to these users, of whom `hot` stalls; and what ends the stall."""
  gate = daemon.store.hold_for('hot')
  deliveries = [daemon.in_background(*users) for _ in range(times)]
  wait_until(lambda: daemon.store.busy.get('hot') == times, f'{times} stall')
  return gate, deliveries


def released(gate, deliveries: list):
  gate.set()
  for one in deliveries:
    all_start(one.end(), '250')


# trap: mailbox-convoy
@pytest.mark.parametrize('threads', [1, 2])
def test_mail_for_others_passes_a_mailbox_that_stalls(new_daemon, threads):
  daemon = new_daemon(f'{PATIENT}threads = {threads}\n')
  gate, deliveries = stalled(daemon, 'hot', times=10)
  for users in (['hot', 'bob'], ['bob', 'hot', 'dave'], ['hot', 'erin', 'bob'], ['hot']):
    deliveries.append(daemon.in_background(*users))
  daemon.wait_for_waiting(for_mailboxes=4)
  assert sorted(daemon.store.boxes()) == ['bob'] * 3 + ['dave', 'erin'], 'without hot'
  for users in (['bob'], ['dave'], ['dave', 'bob', 'erin']):
    all_start(daemon.deliver(*users), '250')
  assert 'hot' not in daemon.store.boxes(), 'it still stalls'
  assert daemon.store.most_busy['hot'] == 10
  assert all(store['waiting'] == 0 for store in daemon.status()['stores']), 'connections are free'
  released(gate, deliveries)
  boxes = daemon.store.boxes()
  assert {user: boxes.count(user) for user in boxes} == {'hot': 14, 'bob': 5, 'dave': 3, 'erin': 2}
  assert len(set(daemon.store.filed)) == len(boxes), 'nobody has a message twice'
  assert daemon.store.most_busy['hot'] == 10


def test_mail_for_others_passes_messages_that_stall_before_it_is_their_turn(new_daemon):
  """The store files for hot first, and bob's part of ten messages has to wait for that."""
  daemon = new_daemon(PATIENT)
  gate, deliveries = stalled(daemon, 'hot', 'bob', times=8)
  deliveries += [daemon.in_background('hot', 'bob') for _ in range(4)]
  wait_until(lambda: daemon.store.busy['hot'] == 10, 'hot is at its limit')
  daemon.wait_for_waiting(for_mailboxes=2)
  for users in (['bob'], ['carol', 'bob'], ['bob', 'bob+lists']):
    all_start(daemon.deliver(*users), '250')
  assert 'hot' not in daemon.store.boxes(), 'it still stalls'
  released(gate, deliveries)
  boxes = daemon.store.boxes()
  assert (boxes.count('hot'), boxes.count('bob')) == (12, 15), boxes
  assert len(set(daemon.store.filed)) == len(boxes), 'nobody has a message twice'


@pytest.mark.parametrize('limit, users', [
    ('', ['bob', 'hot']), ('recipient-limit = 1\n', ['hot', 'bob'])], ids=['filed', 'not-sent'])
def test_only_the_mailbox_that_stalls_stays_occupied(new_daemon, limit, users):
  daemon = new_daemon(f'{PATIENT}mailbox-limit = 1\n{limit}')
  gate, deliveries = stalled(daemon, *users)
  all_start(daemon.deliver('bob'), '250')
  released(gate, deliveries)
  assert sorted(daemon.store.boxes()) == ['bob', 'bob', 'hot']


def test_after_wait_timeout_only_the_busy_mailbox_is_deferred(new_daemon):
  daemon = new_daemon('mailbox-limit = 1\nwait-timeout = 700ms\n')
  gate, deliveries = stalled(daemon, 'hot')
  watch = Stopwatch()
  replies = daemon.deliver('alice', 'hot', 'bob', 'hot+lists')
  watch.at_least(0.69, 'waiting')
  all_start(replies[::2], '250')
  all_start(replies[1::2], '451 4.2.1 Mailbox busy: ')
  log = [line for line in daemon.process.log_lines('dsn=4.2.1') if 'event=delivery' in line]
  assert len(log) == 2 and all(' relay=none ' in line for line in log), log
  assert daemon.store.boxes() == ['alice', 'bob'], daemon.store.boxes()
  released(gate, deliveries)
  all_start(daemon.deliver('hot'), '250')


def test_the_replies_before_the_busy_mailbox_are_passed_on(new_daemon):
  daemon = new_daemon(f'{PATIENT}mailbox-limit = 1\n')
  gate, deliveries = stalled(daemon, 'hot')
  with daemon.dial() as client:
    send(client, 'alice', 'hot', 'bob')
    assert client.reply().startswith('250'), 'alice, while hot waits'
    daemon.wait_for_waiting(for_mailboxes=1)
    assert daemon.store.boxes() == ['alice', 'bob']
    released(gate, deliveries)
    all_start([client.reply(), client.reply()], '250')
  assert daemon.store.boxes() == ['alice', 'bob', 'hot', 'hot']


@pytest.mark.parametrize('settings, section, one_mailbox, others', [
    ('', '', ['hot+lists', 'HOT', 'Hot+a+b'], ['hot-lists', '+hot', 'hotter']),
    ('recipient-delimiter = -+\n', '', ['hot-lists', 'hot+lists'], ['hot_lists']),
    ('recipient-delimiter =\n', '', ['Hot'], ['hot+lists', 'hot-lists']),
    ('', '[destination.here]\ndestination = {store}\nrecipient-delimiter = -\n', ['hot-lists'],
     ['hot+lists'])], ids=['default', 'two', 'none', 'section'])
def test_addresses_of_one_mailbox_share_its_limit(new_daemon, settings, section, one_mailbox,
                                                  others):
  front = '[listener.front]\naddress = unix:{folder}/front\n'
  daemon = new_daemon(f'{PATIENT}mailbox-limit = 1\n{settings}', f'{front}{section}')
  gate, deliveries = stalled(daemon, 'hot')
  for number, user in enumerate(one_mailbox, 1):
    deliveries.append(daemon.in_background(user))
    daemon.wait_for_waiting(for_mailboxes=number)
  for user in others:
    all_start(daemon.deliver(user), '250')
  assert daemon.store.boxes() == others, daemon.store.boxes()
  released(gate, deliveries)
  assert sorted(daemon.store.boxes()) == sorted(['hot', *one_mailbox, *others])


TRUSTED = '[listener.front]\naddress = unix:{folder}/front\ntrusted-clients = all\n'


def test_a_later_transaction_of_a_message_has_its_trace_and_quotas(new_daemon):
  daemon = new_daemon(f'{PATIENT}mailbox-limit = 1\n', TRUSTED)
  gate, deliveries = stalled(daemon, 'hot')
  with daemon.dial() as client:
    for command in ('TRACE abc', 'MAIL FROM:<>', 'RCPT TO:<hot@store.test> IGNOREQUOTA',
                    'RCPT TO:<bob@store.test>', 'RCPT TO:<dave@store.test> IGNOREQUOTA'):
      assert client.ask(command).startswith('250'), command
    assert client.ask('DATA').startswith('354')
    client.send(message('x').text() + b'.\r\n')
    daemon.wait_for_waiting(for_mailboxes=1)
    released(gate, deliveries)
    all_start([client.reply() for _ in range(3)], '250')
  commands = [line for connection in daemon.store.connections for line in connection.commands]
  assert commands.count('TRACE abc') == 2, commands
  for rcpt in ('RCPT TO:<hot@store.test> IGNOREQUOTA', 'RCPT TO:<bob@store.test>',
               'RCPT TO:<dave@store.test> IGNOREQUOTA'):
    assert commands.count(rcpt) == 1, commands
  assert sorted(daemon.store.boxes()) == ['bob', 'dave', 'hot', 'hot']


def test_a_connection_lost_in_a_later_transaction_costs_nobody_a_message(new_daemon):
  daemon = new_daemon(f'{PATIENT}mailbox-limit = 1\n')
  gate, deliveries = stalled(daemon, 'hot')
  deliveries.append(daemon.in_background('bob', 'hot', 'dave'))
  daemon.wait_for_waiting(for_mailboxes=1)
  lost = []

  def loses_one(connection, line: str) -> str:
    if line.startswith('RCPT TO:<hot') and not lost:
      lost.append(line)
      connection.end()
    return ''
  daemon.store.at_command = loses_one
  released(gate, deliveries)
  assert lost
  assert sorted(daemon.store.boxes()) == ['bob', 'dave', 'hot', 'hot']


def test_a_mailbox_that_stalls_is_passed_by_mail_from_a_route(new_daemon):
  """Each route has its own transactions."""
  daemon = new_daemon(start=False)
  other = daemon.another_store('other')
  (daemon.folder / 'routes').write_text(f'bob@ {other.address}\n')
  daemon.configure(f'{PATIENT}mailbox-limit = 1\nroute-file = {daemon.folder}/routes\n')
  daemon.process.start()
  gate, deliveries = stalled(daemon, 'hot')
  deliveries.append(daemon.in_background('hot', 'bob', 'dave'))
  daemon.wait_for_waiting(for_mailboxes=1)
  wait_until(lambda: (other.boxes(), daemon.store.boxes()) == (['bob'], ['dave']), 'both are filed')
  released(gate, deliveries)
  assert sorted(daemon.store.boxes()) == ['dave', 'hot', 'hot'] and other.boxes() == ['bob']
