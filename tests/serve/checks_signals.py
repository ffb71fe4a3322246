"""SIGTERM, and what is told to who started us."""

import re
import signal
import socket
import time

from house import FRONT, House, Watch, all_start, expect, message
from lmtp import Client, Gone
from fixtures.process import send_signal, wait_until
from fixtures.scratch import free_port


def sigterm_sends_idle_clients_away_at_once():
  with House() as house:
    clients = [house.dial() for _ in range(5)]
    all_start(clients[0].bring(message()), '250')
    watch = Watch()
    house.serve.terminate()
    for client in clients:
      said = client.socket.recv(500)
      expect(said == b'' or said.startswith(b'421 4.3.2 '), said)
    expect(house.serve.wait() == 0, 'status')
    watch.within(0, 1.5, 'the end')
    wait_until(lambda: house.store.connections[0].ended, 'the store is left', 2)
    expect(house.store.connections[0].said('QUIT'), 'the store was told goodbye')


def sigterm_waits_for_the_answer_of_a_message_under_way():
  with House() as house:
    held = house.held('alice', 'bob')
    house.serve.terminate()
    house.wait_for_log('event=draining')
    time.sleep(0.2)
    expect(house.serve.alive(), 'it waits')
    house.store.hold.set()
    all_start(held.end(), '250')
    expect(house.serve.wait() == 0, 'status')
    expect(sorted(house.store.boxes()) == ['alice', 'bob'], 'filed once')
    expect('possible duplicate' not in house.serve.log_text(), 'nothing is in doubt')


def sigterm_lets_a_client_end_the_message_that_it_is_sending():
  with House() as house, house.dial() as client:
    one = message()
    replies = client.envelope(one)
    client.send(b'Subject: half\r\n\r\n')
    house.serve.terminate()
    house.wait_for_log('event=draining')
    client.send(b'the rest\r\n.\r\n')
    all_start(client.answers(one, replies), '250')
    expect(house.serve.wait() == 0, 'status')
    expect(house.store.boxes() == ['alice'], 'filed once')


def while_it_ends_new_clients_are_refused_for_now():
  with House() as house:
    held = house.held()
    house.serve.terminate()
    house.wait_for_log('event=draining')
    try:
      with house.dial(seconds=2) as client:
        expect(client.greeting.startswith('421 4.'), client.greeting)
    except Gone as gone:
      expect('connect' in str(gone), gone)
    house.store.hold.set()
    all_start(held.end(), '250')


def _is_cut(house: House, held, least: float, most: float, watch: Watch):
  status = house.serve.wait(10)
  watch.within(least, most, 'the end')
  expect(status == 0, f'status {status}')
  answers = held.end()
  all_start(answers, '451 4.4.2')
  expect('possible duplicate' in answers[0], answers)
  expect('event=cutting' in house.serve.log_text(), 'the log says so')
  expect('possible duplicate' in house.serve.log_text(), 'the log owns up')


def a_second_sigterm_cuts_what_is_under_way_and_owns_up():
  with House() as house:
    held = house.held()
    house.serve.terminate()
    house.wait_for_log('event=draining')
    watch = Watch()
    house.serve.terminate()
    _is_cut(house, held, 0, 2, watch)


def drain_timeout_cuts_what_is_under_way_and_owns_up():
  with House('drain-timeout = 1s\n') as house:
    held = house.held()
    watch = Watch()
    house.serve.terminate()
    _is_cut(house, held, 0.9, 3, watch)


def _brought(house: House, user: str):
  """A client whose message is whole, and who waits for the answer."""
  client, one = house.dial(), message(user)
  replies = client.envelope(one)
  client.send(one.text() + b'.\r\n')
  return client, one, replies


def who_waits_for_a_connection_or_a_mailbox_when_it_is_cut_is_told_to_come_again():
  """Sent then, a message would be filed after its client was left without an answer."""
  with House('connections = 1\nmailbox-limit = 1\n') as house:
    held = house.held('first')
    waiting = [_brought(house, user) for user in ('first', 'second', 'third')]
    time.sleep(0.2)
    house.serve.terminate()
    house.wait_for_log('event=draining')
    watch = Watch()
    house.serve.terminate()
    _is_cut(house, held, 0, 2, watch)
    for client, one, replies in waiting:
      all_start(client.answers(one, replies), '451 4.4.2 Connection to the store lost: lmtpq is')
      client.close()
    house.store.hold.set()
    time.sleep(0.1)
    expect(house.store.boxes() == ['first'], f'nothing more was sent: {house.store.boxes()}')


def a_half_message_does_not_hold_up_the_end():
  with House('drain-timeout = 500ms\n') as house, house.dial() as client:
    client.envelope(message())
    client.send(b'Subject: half\r\n')
    watch = Watch()
    house.serve.terminate()
    house.serve.wait(10)
    watch.within(0.4, 2.5, 'the end')
    expect(not house.store.filed, 'nothing was filed')


class _Notified:
  """What NOTIFY_SOCKET was told, without STATUS and WATCHDOG."""

  def __init__(self, house: House):
    self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    self.socket.bind(str(house.folder / 'notify'))
    self.socket.settimeout(5)
    house.serve.environment['NOTIFY_SOCKET'] = str(house.folder / 'notify')

  def next(self) -> str:
    while True:
      said = self.socket.recv(4096).decode()
      if not said.startswith('STATUS='):
        return said


def systemd_is_told_of_ready_reloading_and_stopping():
  with House(start=False) as house:
    told = _Notified(house)
    house.serve.start()
    expect(told.next().strip() == 'READY=1', 'ready')
    house.serve.hang_up()
    expect(re.fullmatch(r'RELOADING=1\nMONOTONIC_USEC=\d+', told.next().strip()), 'reloading')
    expect(told.next().strip() == 'READY=1', 'ready again')
    house.serve.write('nonsense\n')
    house.serve.hang_up()
    expect(told.next().startswith('RELOADING=1'), 'a broken file too')
    expect(told.next().strip() == 'READY=1', 'ready again')
    house.serve.terminate()
    expect(told.next().strip() == 'STOPPING=1', 'stopping')
    expect(house.serve.wait() == 0, 'status')
    told.socket.close()


def a_store_that_answers_no_quit_is_waited_for_once():
  with House('quit-timeout = 600ms\n') as house:
    house.store.hold.clear()
    waiting = [_brought(house, f'u{number}') for number in range(6)]
    wait_until(lambda: sum(house.store.busy.values()) == 6, 'all are in use', 5)
    house.store.hold.set()
    for client, one, replies in waiting:
      all_start(client.answers(one, replies), '250')
      client.close()
    house.store.at_command = lambda _, line: (time.sleep(5) or '') if line == 'QUIT' else ''
    watch = Watch()
    house.serve.terminate()
    expect(house.serve.wait() == 0, 'status')
    watch.within(0.5, 2, 'the end')
    wait_until(lambda: all(connection.said('QUIT') for connection in house.store.connections),
               'each is told goodbye', 2)


def sigint_is_as_good_as_sigterm():
  with House() as house:
    all_start(house.bring(), '250')
    send_signal(house.serve.pid, signal.SIGINT)
    expect(house.serve.wait() == 0, 'status')


TCP = FRONT + '[listener.tcp]\naddress = inet:127.0.0.1:{port}\n'


def _who_says_all_and_is_told_nothing(house: House, port: int) -> Client:
  client = Client(f'inet:127.0.0.1:{port}') if port else house.dial()
  one = message()
  client.envelope(one)
  client.send(one.text() + b'.\r\n')
  return client


def a_client_that_is_gone_before_its_answer_is_owned_up_to():
  """Over TCP what is written to one who has gone is taken, too."""
  for port in (0, free_port()):
    with House(listeners=TCP.replace('{port}', str(port)) if port else FRONT) as house:
      house.store.hold.clear()
      client = _who_says_all_and_is_told_nothing(house, port)
      wait_until(lambda house=house: sum(house.store.busy.values()), 'the store has it', 5)
      client.close()
      house.store.hold.set()
      wait_until(lambda house=house: house.store.filed, 'it is filed', 5)
      house.wait_for_log('possible duplicate')


def a_client_that_is_gone_without_reading_its_answer_is_owned_up_to():
  for port in (0, free_port()):
    with House(listeners=TCP.replace('{port}', str(port)) if port else FRONT) as house:
      client = _who_says_all_and_is_told_nothing(house, port)
      house.wait_for_log('status=sent')
      time.sleep(0.1)
      client.close()
      house.wait_for_log('possible duplicate')


def a_client_that_leaves_behind_its_answer_is_no_possible_duplicate():
  with House() as house:
    for last in (b'', b'QUIT\r\n'):
      with house.dial() as client:
        all_start(client.bring(message()), '250')
        client.send(last)
    with house.dial() as client:  # all at once, QUIT too, and its side closed
      one = message()
      client.send(f'MAIL FROM:<{one.sender}>\r\nRCPT TO:<alice>\r\nDATA\r\n'.encode()
                  + one.text() + b'.\r\nQUIT\r\n')
      client.socket.shutdown(socket.SHUT_WR)
      said = [client.reply() for _ in range(5)]
      expect(said[3].startswith('250') and said[4].startswith('221'), said)
    time.sleep(0.1)
    expect('possible duplicate' not in house.serve.log_text(), house.serve.log_lines('duplicate'))
