"""What a reload takes away from clients that are connected: it ends with their next message, and
always temporarily. A message that began before is finished as it began."""

import os

import pytest

from fixtures.lmtp_client import Client
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, Daemon, all_start, message

SECOND = FRONT.replace('front', 'second')
ME = f'uid:{os.geteuid()}'
TRUSTED = f'{FRONT}trusted-clients = {ME}\n'
STRUCK = f'{FRONT}clients = uid:4242\n'
MAIL = 'MAIL FROM:<sender@mail.test>'
IGNORE_QUOTA = ' IGNOREQUOTA'


def is_sent_away(client: Client, command: str, words: str):
  reply = client.ask(command)
  assert reply.startswith('421 4.') and words in reply, reply
  assert client.at_end(), 'it is closed after the 421'


def finish(client: Client, one) -> list[str]:
  """A message after RCPT."""
  assert client.ask('DATA').startswith('354')
  client.send(one.text() + b'.\r\n')
  return [client.reply() for _ in one.recipients]


@pytest.mark.parametrize('command', [MAIL, 'RSET', 'LHLO client.test'])
def test_a_client_that_is_struck_from_the_list_is_sent_away_with_its_next_message(daemon, command):
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
    daemon.reload('', STRUCK)
    all_start([client.ask('NOOP')], '250')
    is_sent_away(client, command, f"421 4.7.1 {ME} is not among this listener's clients")
  assert len(daemon.store.filed) == 1
  line = daemon.process.log_lines('event=client-refused')[-1]
  assert f'client={ME} listener=unix:{daemon.folder}/front reply="421 4.7.1 ' in line, line


def test_over_tcp_as_well_also_where_the_client_pipelines(new_daemon):
  address = f'inet:127.0.0.1:{free_port()}'
  listener = f'[listener.tcp]\naddress = {address}\n'
  daemon = new_daemon('', listener)
  with Client(address) as client:
    all_start(client.deliver(message()), '250')
    daemon.reload('', f'{listener}clients = 192.0.2.0/24\n')
    client.send(f'{MAIL}\r\nRCPT TO:<alice@store.test>\r\nDATA\r\n'.encode())
    assert client.reply().startswith('421 4.7.1 127.0.0.1 ')
    assert client.at_end(), 'nothing more is answered'


def test_a_message_that_began_before_is_finished(daemon):
  one = message('alice', 'bob')
  with daemon.dial() as client:
    all_start([client.ask(MAIL), *(client.ask(f'RCPT TO:<{to}>') for to in one.recipients)], '250')
    daemon.reload('', STRUCK)
    all_start(finish(client, one), '250')
    is_sent_away(client, MAIL, 'is not among')
  assert daemon.store.boxes() == ['alice', 'bob']


def test_a_client_that_is_no_longer_trusted_must_connect_again(new_daemon):
  """It may have been told IGNOREQUOTA, and 555 would bounce the mail that has it."""
  daemon = new_daemon('', TRUSTED)
  with daemon.dial() as client, daemon.dial() as unused:
    all_start(client.deliver(message(), IGNORE_QUOTA), '250')
    assert daemon.store.connections[-1].said('RCPT')[-1].endswith(IGNORE_QUOTA)
    daemon.reload('', FRONT)
    for one in (client, unused):
      is_sent_away(one, MAIL, f'{ME} may no longer use IGNOREQUOTA and TRACE, connect again')
  with daemon.dial() as client:
    assert not {'250-IGNOREQUOTA', '250-TRACE'} & set(client.offers)
    all_start(client.deliver(message()), '250')
    assert not daemon.store.connections[-1].said('RCPT')[-1].endswith(IGNORE_QUOTA)


def test_a_message_keeps_the_trust_with_which_it_began(new_daemon):
  daemon = new_daemon('', TRUSTED)
  one = message()
  with daemon.dial() as client:
    all_start([client.ask(MAIL), client.ask(f'RCPT TO:<{one.recipients[0]}>{IGNORE_QUOTA}')], '250')
    daemon.reload('', FRONT)
    all_start(finish(client, one), '250')
  assert daemon.store.connections[-1].said('RCPT')[-1].endswith(IGNORE_QUOTA)


def test_a_client_whose_trust_stays_or_comes_goes_on(new_daemon):
  daemon = new_daemon('', TRUSTED)
  with daemon.dial() as client:
    for listeners in (f'{TRUSTED}clients = all\n', TRUSTED):
      daemon.reload('', listeners)
      all_start(client.deliver(message(), IGNORE_QUOTA), '250')
  daemon.reload('', FRONT)
  with daemon.dial() as client:
    daemon.reload('', TRUSTED)
    all_start(client.deliver(message()), '250')


def test_connections_above_a_lower_limit_for_each_client_end(daemon):
  clients = [daemon.dial() for _ in range(5)]
  daemon.reload('max-clients-each = 2\n')
  served = [client for client in clients if stays(daemon, client)]
  assert len(served) == 2, f'{len(served)} of five'
  for client in served:
    all_start(client.deliver(message()), '250')
    client.close()


def stays(daemon: Daemon, client: Client) -> bool:
  before = daemon.status()['clients']
  reply = client.deliver(message())[0]
  if reply.startswith('250'):
    return True
  assert reply.startswith('421 4.7.0 Too many connections from uid:'), reply
  wait_until(lambda: daemon.status()['clients'] < before, 'its place is free')
  return False


def test_a_listener_that_is_removed_ends_with_the_message_under_way(daemon):
  one = message()
  with daemon.dial() as busy, daemon.dial() as idle:
    all_start([busy.ask(MAIL), busy.ask(f'RCPT TO:<{one.recipients[0]}>')], '250')
    daemon.reload('', SECOND)
    is_sent_away(idle, MAIL, '421 4.3.2 No longer served here')
    all_start(finish(busy, one), '250')
    is_sent_away(busy, MAIL, '421 4.3.2 No longer served here')
  assert len(daemon.store.filed) == 1
