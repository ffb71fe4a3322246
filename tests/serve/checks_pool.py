"""The pool of connections to a store: how many, how long, and in which state."""

import threading
import time

from house import House, Watch, all_start, expect, message
from fixtures.process import wait_until


def a_thousand_messages_take_one_connection_and_all_ignore_the_quota():
  with House('ignore-quota = always\nconnection-uses = 0\n') as house, house.dial() as client:
    for _ in range(1000):
      all_start(client.bring(message()), '250')
    expect(len(house.store.connections) == 1, f'T63: {len(house.store.connections)} connections')
    rcpts = house.store.connections[0].said('RCPT')
    expect(len(rcpts) == 1000, len(rcpts))
    expect(all(line.endswith(' IGNOREQUOTA') for line in rcpts), 'T65')
    resets = house.store.connections[0].said('RSET')
    expect(len(resets) >= 999, f'each on a reused connection begins with RSET: {len(resets)}')


def clients_one_after_another_share_one_connection():
  with House() as house:
    for _ in range(20):
      all_start(house.bring(), '250')
    expect(len(house.store.connections) == 1, len(house.store.connections))


def a_connection_that_the_store_has_closed_is_not_used():
  for last_words in ((), ('421 4.4.1 bye',)):
    with House() as house:
      all_start(house.bring(), '250')
      house.store.connections[0].end(*last_words)
      time.sleep(0.05)
      all_start(house.bring('bob'), '250')
      expect(house.store.boxes() == ['alice', 'bob'], f'T61: {house.store.boxes()}')
      expect(len(house.store.connections) == 2, 'another connection')
      expect(len(house.store.connections[0].said('MAIL')) == 1, 'nothing more on the first')


def bytes_that_wait_on_an_idle_connection_are_no_reply():
  """A 250 that nobody asked for must not be taken for the next command's."""
  with House() as house:
    all_start(house.bring(), '250')
    house.store.connections[0].send('250 2.1.5 Success')
    time.sleep(0.05)
    house.store.at_rcpt = lambda _: '550 5.1.1 User unknown'
    all_start(house.bring('nobody'), '550')
    expect(len(house.store.connections) == 2, 'another connection')


def _breaks_off(reply: str):
  """At the second use: the store answers RSET thus, and then no more."""
  def at_command(connection, line):
    if line == 'RSET' and len(connection.said('MAIL')) == 1 and at_command.left:
      at_command.left -= 1
      if not reply:
        connection.end()
      return reply
    return ''
  at_command.left = 1
  return at_command


def a_refused_rset_or_a_death_behind_it_costs_no_message():
  for reply in ('500 5.5.1 no', '451 4.3.0 not now', '421 4.3.2 bye', ''):
    with House() as house:
      all_start(house.bring(), '250')
      house.store.at_command = _breaks_off(reply)
      all_start(house.bring('bob'), '250')
      expect(house.store.boxes() == ['alice', 'bob'], f'T62, T66: {reply!r} {house.store.boxes()}')
      expect(len(house.store.connections) == 2, f'{reply!r}: another connection')


def there_are_never_more_connections_than_allowed():
  with House('connections = 3\n') as house:
    house.store.at_final = lambda _: time.sleep(0.01) or ''
    all_start(house.bring_at_once(*(f'u{number}' for number in range(30))), '250')
    expect(house.store.most_open <= 3, house.store.most_open)
    expect(len(house.store.filed) == 30, len(house.store.filed))


def who_waits_is_served_in_order():
  with House('connections = 1\n') as house:
    held = [house.held('first')]
    for number in range(8):
      before = len(held)
      held.append(_Waiting(house, f'u{number}'))
      time.sleep(0.04)
      expect(len(held) == before + 1, 'waits')
    house.store.hold.set()
    for one in held:
      all_start(one.end(), '250')
    expect(house.store.boxes() == ['first', *(f'u{number}' for number in range(8))],
           house.store.boxes())


class _Waiting(threading.Thread):
  def __init__(self, house: House, user: str):
    super().__init__(daemon=True)
    self.house, self.user = house, user
    self.answers: list[str] = []
    self.start()

  def run(self):
    self.answers = self.house.bring(self.user)

  def end(self) -> list[str]:
    self.join(10)
    return self.answers


def nobody_waits_longer_than_his_deadline():
  with House('connections = 1\nwait-timeout = 700ms\n') as house:
    held = house.held('first')
    watch = Watch()
    answers = house.bring_at_once('a', 'b', 'c')
    watch.within(0.6, 1.5, 'waiting')
    all_start(answers, '451 4.4.5')
    house.store.hold.set()
    all_start(held.end(), '250')
    expect(house.store.boxes() == ['first'], house.store.boxes())
    all_start(house.bring_at_once('a', 'b', 'c'), '250')


def _with_idle_ones(house: House, number: int):
  """That many connections that have served, and their users."""
  house.store.hold.clear()
  waiting = [_Waiting(house, f'u{one}') for one in range(number)]
  wait_until(lambda: sum(house.store.busy.values()) == number, 'all are in use', 5)
  house.store.hold.set()
  for one in waiting:
    all_start(one.end(), '250')


def behind_a_kept_connection_that_fails_comes_a_new_one():
  """A firewall that forgot them all, or a recipient who kills the store's process: one kept
  connection is the price, not all of them one after another."""
  with House('connections = 5\nrset-timeout = 400ms\n') as house:
    _with_idle_ones(house, 5)
    old = list(house.store.connections)
    house.store.at_command = lambda connection, _: time.sleep(5) if connection in old else ''
    watch = Watch()
    all_start(house.bring('bob'), '250')
    watch.within(0.3, 0.9, 'one silent connection')
  with House('connections = 9\n') as house:
    _with_idle_ones(house, 6)
    def ended():
      return sum(bool(connection.ended) for connection in house.store.connections)
    before = ended()
    house.store.at_command = _dies_of('poison')
    all_start(house.bring('poison'), '451 4.4.2')
    # The client hears of it before the store's thread has written it down.
    wait_until(lambda: ended() - before >= 2, 'two connections die')
    expect(ended() - before == 2, f'a kept one and a new one died, not {ended() - before}')


def _dies_of(word: str):
  def at_command(connection, line):
    if word in line:
      connection.end()
    return ''
  return at_command


def a_connection_has_so_many_uses():
  with House('connection-uses = 3\n') as house, house.dial() as client:
    for _ in range(10):
      all_start(client.bring(message()), '250')
    uses = [len(connection.said('MAIL')) for connection in house.store.connections]
    expect(uses == [3, 3, 3, 1], uses)


def a_connection_lives_so_long():
  with House('connection-lifetime = 500ms\nidle-timeout = 1h\n') as house, house.dial() as client:
    watch = Watch()
    while len(house.store.connections) < 3:
      all_start(client.bring(message()), '250')
      time.sleep(0.01)
    watch.within(0.85, 2.5, 'two lifetimes')
    first = house.store.connections[0]
    expect(0.4 < first.ended - first.began < 1, first.ended - first.began)


def an_idle_connection_is_given_up():
  with House('idle-timeout = 500ms\n') as house:
    all_start(house.bring(), '250')
    connection = house.store.connections[0]
    wait_until(lambda: connection.ended, 'it is given up', 4)
    expect(0.4 < connection.ended - connection.began < 2.6, connection.ended - connection.began)
    expect(connection.commands[-1] == 'QUIT', connection.commands[-1])
    all_start(house.bring(), '250')


def a_sick_store_is_left_alone():
  with House('dial-backoff = 20s\n') as house:
    house.store.greeting = '421 4.3.2 closed for repairs'
    watch = Watch()
    answers = [house.bring()[0] for _ in range(20)] + house.bring_at_once(*'abcdefgh')
    watch.within(0, 2, 'failing')
    all_start(answers, '451 4.4.1')
    expect(all('closed for repairs' in answer for answer in answers), 'the reason is kept')
    expect(len(house.store.connections) == 1, f'{len(house.store.connections)} dials')


def a_store_that_is_well_again_is_found():
  with House('dial-backoff = 200ms\n') as house:
    house.store.greeting = '421 4.3.2 closed for repairs'
    all_start(house.bring(), '451 4.4.1')
    house.store.greeting = '220 store.test'
    dials = len(house.store.connections)
    wait_until(lambda: len(house.store.connections) > dials, 'it is dialled without a message', 4)
    wait_until(lambda: house.bring()[0].startswith('250'), 'and mail is taken', 4)
    expect(len(house.store.connections) <= dials + 2, 'no message dialled it')


def who_has_no_time_left_makes_no_store_sick():
  """Its client would be gone before the answer: it is told to come again, and others pass."""
  with House('mta-timeout = 2s\ndata-done-timeout = 1s\nmailbox-limit = 1\n'
             'idle-timeout = 50ms\nlhlo-timeout = 10s\n') as house:
    held = house.held('busy')
    watch = Watch()
    with house.dial() as client:
      all_start(client.bring(message('busy')), '451 4.4.5')
      watch.within(0.5, 0.98, 'waiting for the mailbox')
    house.store.hold.set()
    held.end()
    all_start(house.bring('calm'), '250')
    expect('failed=' not in house.serve.log_text(), 'nobody dials in vain')


def deliveries_to_one_mailbox_are_limited_and_others_pass():
  with House('mailbox-limit = 2\nconnections = 10\n') as house:
    house.store.hold.clear()
    waiting = [_Waiting(house, user) for user in ('busy',) * 5 + ('Busy', 'calm')]
    wait_until(lambda: house.store.busy.get('calm'), 'calm passes', 5)
    time.sleep(0.2)
    expect(_busy(house) == 2, house.store.busy)
    house.store.hold.set()
    for one in waiting:
      all_start(one.end(), '250')
    expect(house.store.most_open <= 4, f'who waits holds none: {house.store.most_open}')


def _busy(house: House) -> int:
  return sum(count for name, count in house.store.busy.items() if name.lower() == 'busy')


for _slow in (an_idle_connection_is_given_up, a_connection_lives_so_long,
              a_thousand_messages_take_one_connection_and_all_ignore_the_quota,
              a_store_that_is_well_again_is_found, nobody_waits_longer_than_his_deadline):
  _slow.seconds = 2
