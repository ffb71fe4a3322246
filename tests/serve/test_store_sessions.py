"""Connections that a store refuses, ends or closes: what becomes of the message, and of the log."""

import re

import pytest

from fixtures.process import wait_until

from .daemon import Daemon, all_start, message

HOUR = 'no TRACE to this store for an hour'


def forgets_lhlo_at_rset(connection, line):
  """As GNU Mailutils' lmtpd: after RSET every command but LHLO and QUIT is out of sequence."""
  verb = line.split(' ')[0]
  reset = any(said == 'RSET' for said in connection.commands[:-1])
  return '503 5.5.1 LHLO first' if reset and verb in ('TRACE', 'MAIL', 'RCPT', 'DATA') else ''


def limits_messages(number: int):
  """A session's later messages are refused."""
  def at_command(connection, line):
    over = len(connection.said('MAIL')) > number
    return '452 4.5.3 Too many messages' if over and line.startswith('MAIL') else ''
  return at_command


@pytest.mark.parametrize('offers', [('PIPELINING', 'TRACE'), ('TRACE',)], ids=['pipelining', 'one at a time'])
@pytest.mark.parametrize('habit, connections', [(forgets_lhlo_at_rset, 10), (limits_messages(3), 4)],
                         ids=['forgets LHLO at RSET', 'takes three messages'])
def test_a_session_that_the_store_refuses_costs_no_message(daemon, offers, habit, connections):
  daemon.store.offers = offers
  daemon.store.at_command = habit
  users = [f'u{number}' for number in range(10)]
  with daemon.dial() as client:
    for user in users:
      all_start(client.deliver(message(user)), '250')
  assert daemon.store.boxes() == users
  assert len(daemon.store.connections) == connections, 'the message goes over a new one at once'
  log = daemon.process.log_text()
  assert log.count('event=connection-lost ') == connections - 1, log
  assert 'event=store-failed' not in log and 'event=trace-refused' not in log, log


def test_many_clients_get_through_to_a_store_that_forgets_lhlo(new_daemon):
  daemon = new_daemon('connections = 3\n')
  daemon.store.at_command = forgets_lhlo_at_rset
  users = [f'u{number}' for number in range(30)]
  all_start(daemon.deliver_at_once(*users), '250')
  assert sorted(daemon.store.boxes()) == sorted(users)


@pytest.mark.parametrize('refusal', ['550 5.7.1 Sender refused', '552 5.3.4 Too large', '452 4.3.1 Disk full'])
def test_a_message_that_is_refused_for_its_own_sake_is_sent_once(daemon, refusal):
  daemon.store.offers = ('PIPELINING',)
  all_start(daemon.deliver(), '250')
  daemon.store.at_command = lambda _, line: refusal if line.startswith('MAIL') else ''
  all_start(daemon.deliver('bob'), refusal[:9])
  daemon.store.at_command = lambda *_: ''
  all_start(daemon.deliver('carol'), '250')
  assert len(daemon.store.connections) == 1, 'the connection stays'
  assert len(daemon.store.connections[0].said('MAIL')) == 3


def test_on_a_new_connection_the_refusal_stands(daemon):
  all_start(daemon.deliver(), '250')
  daemon.store.at_command = lambda _, line: '452 4.5.3 Enough' if line.startswith('MAIL') else ''
  all_start(daemon.deliver('bob'), '452 4.5.3')
  mails = [len(connection.said('MAIL')) for connection in daemon.store.connections]
  assert mails == [2, 1], 'tried once more, over a new connection'


def hangs_up_on_trace(*last_words: str):
  def at_command(connection, line):
    if line.startswith('TRACE'):
      connection.end(*last_words)
    return ''
  return at_command


@pytest.mark.parametrize('last_words', [(), ('421 4.7.0 bad command',)], ids=['silently', '421'])
def test_a_store_that_hangs_up_on_trace_gets_mail_without_it(daemon, last_words):
  daemon.store.at_command = hangs_up_on_trace(*last_words)
  users = [f'u{number}' for number in range(5)]
  for user in users:
    all_start(daemon.deliver(user), '250')
  assert daemon.store.boxes() == users
  assert len(daemon.store.connections) == 2, 'the second has no TRACE, and stays'
  assert not daemon.store.connections[1].said('TRACE')
  daemon.store.connections[1].end()
  wait_until(lambda: 'event=connection-lost destination=' in daemon.process.log_text(), 'the end is seen')
  all_start(daemon.deliver('later'), '250')
  assert not daemon.store.connections[2].said('TRACE'), 'nor has a new connection, for an hour'
  log = daemon.process.log_text()
  assert log.count('event=trace-paused ') == 1 and HOUR in log, log
  assert 'event=store-failed' not in log, log


def test_clients_at_once_at_a_store_that_hangs_up_on_trace(daemon):
  daemon.store.at_command = hangs_up_on_trace()
  users = [f'u{number}' for number in range(20)]
  all_start(daemon.deliver_at_once(*users), '250')
  assert sorted(daemon.store.boxes()) == sorted(users), 'each once'
  assert daemon.process.count('event=trace-paused ') == 1, 'and it is said once'


def test_a_connection_that_the_store_closes_while_idle_is_in_the_log(new_daemon):
  """One line, although no message comes that would find it; and it is not kept."""
  daemon = new_daemon('idle-timeout = 1h\n')
  all_start(daemon.deliver(), '250')
  daemon.store.connections[0].end('421 4.4.1 idle for too long')
  daemon.wait_for_log('event=connection-lost ')
  line, = re.findall('event=connection-lost .*', daemon.process.log_text())
  assert re.fullmatch(r'event=connection-lost destination=unix:\S+ relay=unix:\S+ idle=\d+\.\ds conn-use=1 '
                      r'error="[^"]*421 4\.4\.1 idle for too long"', line), line
  wait_until(lambda: daemon.status()['stores'][0]['idle'] == 0, 'it is gone from the pool')


@pytest.mark.parametrize('last_words', [(), ('421 4.4.1 idle for too long',)], ids=['silently', '421'])
def test_why_a_message_finds_its_connection_closed_is_true_in_the_log(daemon, last_words):
  """By the message's own look, which must come before that of the janitor."""
  for number in range(20):
    all_start(daemon.deliver(f'u{number}'), '250')
    daemon.store.connections[-1].end(*last_words)
  all_start(daemon.deliver(), '250')
  wait_until(lambda: daemon.process.count('event=connection-lost ') == 20, 'all are in the log')
  reasons = set(re.findall('event=connection-lost .* error="(.*)"', daemon.process.log_text()))
  expected = ('the store closes the connection: 421 4.4.1 idle for too long' if last_words
              else 'the peer closed the connection while it was idle')
  assert reasons == {expected}, reasons


def test_a_connection_that_we_close_is_not_in_the_log(new_daemon):
  daemon = new_daemon('idle-timeout = 100ms\n')
  all_start(daemon.deliver(), '250')
  wait_until(lambda: daemon.store.connections[0].ended, 'it is closed')
  assert daemon.store.connections[0].commands[-1] == 'QUIT'
  assert 'event=connection-lost' not in daemon.process.log_text()


def test_with_an_idle_timeout_of_0s_no_connection_is_kept(new_daemon):
  daemon = new_daemon('idle-timeout = 0s\n')
  with daemon.dial() as client:
    for number in range(3):
      all_start(client.deliver(message()), '250')
      connection = daemon.store.connections[number]
      wait_until(lambda: connection.ended, 'it is closed')
      assert connection.commands[-1] == 'QUIT', connection.commands
  assert len(daemon.store.connections) == 3
  assert daemon.status()['stores'][0]['idle'] == 0


def downs_and_ups(daemon: Daemon) -> list[str]:
  return re.findall('event=(store-down|store-up) ', daemon.process.log_text())


def test_a_store_that_goes_down_and_comes_back_is_logged_once_each(new_daemon):
  daemon = new_daemon('dial-backoff = 50ms\ndial-backoff-limit = 100ms\n')
  daemon.store.greeting = '421 4.3.2 closed for repairs'
  for _ in range(5):
    all_start(daemon.deliver(), '451 4.4.1')
  dials = len(daemon.store.connections)
  wait_until(lambda: len(daemon.store.connections) > dials, 'it is dialled again, and refuses')
  assert downs_and_ups(daemon) == ['store-down']
  daemon.store.greeting = '220 store.test'
  daemon.wait_for_log('event=store-up ')
  wait_until(lambda: daemon.deliver()[0].startswith('250'), 'mail is taken')
  assert downs_and_ups(daemon) == ['store-down', 'store-up']
  log = daemon.process.log_text()
  assert re.search(r'event=store-down destination=unix:\S+ error="[^"]*closed for repairs', log), log
  assert re.search(r'event=store-up destination=unix:\S+ down=\d+\.\ds\n', log), log
