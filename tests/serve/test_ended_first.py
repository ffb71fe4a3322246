"""The daemon ends a session first: what its client sent before it could know, and what it has not read.

trap: closed-with-input-unread
trap: closed-with-replies-unread
"""

import select
import signal
import socket

import pytest

from fixtures.lmtp_client import Client
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, all_start, message, send

TCP = FRONT + '[listener.tcp]\naddress = inet:127.0.0.1:{port}\n'
USERS = [f'u{number}' for number in range(19)]


def over_tcp(new_daemon, settings: str = '', **more):
  port = free_port()
  daemon = new_daemon(settings, TCP.replace('{port}', str(port)), **more)
  return daemon, Client(f'inet:127.0.0.1:{port}')


def rest_of(client: Client) -> bytes:
  """ConnectionResetError: the daemon closed with input unread."""
  text = client.buffer
  while received := client.socket.recv(65536):
    text += received
  return text


@pytest.mark.parametrize('command, answer', [('QUIT', b'221'), ('MAIL FROM:<next@x>', b'421')])
@pytest.mark.parametrize('half_closes', [False, True])
def test_a_command_that_came_before_a_stop_is_answered(new_daemon, command, answer, half_closes):
  daemon, client = over_tcp(new_daemon)
  with client:
    daemon.store.hold.clear()
    send(client, *USERS)
    wait_until(daemon.store.all_busy, 'the store has it')
    client.send(f'{command}\r\n'.encode())
    if half_closes:
      client.socket.shutdown(socket.SHUT_WR)
    daemon.process.terminate()
    daemon.wait_for_log('event=draining')
    daemon.store.hold.set()
    assert daemon.process.wait() == 0, 'status'
    lines = rest_of(client).splitlines()
    assert [line[:3] for line in lines] == [b'250'] * len(USERS) + [answer], lines
  assert not daemon.process.log_lines('event=reply-lost'), 'nobody knows of any'


def test_a_command_after_the_end_of_a_session_does_not_reset_it(new_daemon):
  """The daemon sends 421, and has not read all."""
  daemon, client = over_tcp(new_daemon, 'max-idle-commands = 3\n')
  with client:
    client.send(b'NOOP\r\n' * 20_000)  # more than is read at once
    client.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: daemon.status()['clients'] == 0, 'the session has ended')
    assert b'\r\n421 4.7.0 ' in rest_of(client)


def test_a_client_that_does_not_close_keeps_its_place_for_seconds_only(new_daemon):
  daemon, client = over_tcp(new_daemon)
  with client:
    client.send(b'QUIT\r\n')
    assert client.reply().startswith('221')
    wait_until(lambda: daemon.status()['clients'] == 0, 'its place is free')


def leaves_unread(daemon, client: Client):
  send(client, 'bob')
  daemon.wait_for_log('status=sent')
  wait_until(lambda: select.select([client.socket], [], [], 0)[0], 'its reply has come')


def is_announced(daemon):
  daemon.wait_for_log('event=reply-lost')
  line, = daemon.process.log_lines('event=reply-lost')
  assert 'error="did not read the reply; possible duplicate"' in line, line
  assert 'to=<bob@store.test>' in line, line


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR2])
def test_what_was_not_read_when_the_daemon_ends_is_announced(daemon, number):
  with daemon.dial() as client:
    leaves_unread(daemon, client)
    if number == signal.SIGTERM:
      daemon.process.terminate()
    else:
      daemon.process.upgrade()
    is_announced(daemon)


def test_what_was_not_read_until_the_input_timeout_is_announced(new_daemon):
  daemon = new_daemon('input-timeout = 500ms\n')
  with daemon.dial() as client:
    leaves_unread(daemon, client)
    is_announced(daemon)


def test_what_was_not_read_before_a_421_is_announced(new_daemon):
  daemon = new_daemon('max-idle-commands = 3\n')
  with daemon.dial() as client:
    leaves_unread(daemon, client)
    client.send(b'NOOP\r\n' * 10)
    is_announced(daemon)


def test_what_was_not_read_when_its_listener_goes_is_announced(daemon):
  with daemon.dial() as client:
    leaves_unread(daemon, client)
    daemon.reload('', FRONT.replace('front', 'other'))
    client.send(b'MAIL FROM:<a@b>\r\n')
    is_announced(daemon)


def test_a_client_that_is_slow_to_read_when_the_daemon_ends_is_not_announced(daemon):
  """It reads in the 2 seconds that it has, and closes."""
  for _ in range(5):  # which a loaded machine can exceed
    with daemon.dial() as client:
      leaves_unread(daemon, client)
      daemon.process.terminate()
      daemon.wait_for_log('event=draining')
      assert client.reply().startswith('250')
    assert daemon.process.wait() == 0, 'status'
    if not daemon.process.log_lines('event=reply-lost'):
      return
    daemon.process.log.unlink()
    daemon.process.start()
  raise AssertionError('announced each time, although it was read')


def test_what_was_read_is_not_announced(new_daemon):
  daemon, client = over_tcp(new_daemon)
  with client, daemon.dial() as other:
    for each in client, other:
      all_start(each.deliver(message('bob')), '250')
    daemon.process.terminate()
    assert daemon.process.wait() == 0, 'status'
  assert not daemon.process.log_lines('event=reply-lost')
