"""The sockets: their place, mode and owner, and what the daemon does about those that exist."""

import grp
import os
import pwd
import socket
import stat
import subprocess

import pytest

from fixtures import tags
from fixtures.lmtp_client import Client
from fixtures.scratch import free_port, unix_listens

from .daemon import FRONT, all_start, message

KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8='
TWO = """[listener.plain]
address = unix:{folder}/plain
tag-keys = {folder}/keys
ignore-quota = tagged
[listener.always]
address = unix:{folder}/always
ignore-quota = always
[listener.elsewhere]
address = unix:{folder}/elsewhere
destination = unix:{folder}/other
"""


def last_rcpt(store) -> str:
  return store.connections[-1].said('RCPT')[-1]


def test_each_listener_has_its_own_settings(new_daemon):
  daemon = new_daemon(start=False)
  other = daemon.another_store('other')
  (daemon.folder / 'keys').touch(mode=0o600)
  (daemon.folder / 'keys').write_text(KEY + '\n')
  daemon.configure('', TWO)
  daemon.process.start()
  all_start(daemon.deliver(name='always'), '250')
  assert last_rcpt(daemon.store).endswith(' IGNOREQUOTA'), 'always'
  all_start(daemon.deliver(name='plain'), '250')
  assert not last_rcpt(daemon.store).endswith('IGNOREQUOTA'), 'no tag, no IGNOREQUOTA'
  tagged = message()
  tagged.header = tags.field(tags.signed(KEY, message_id=tagged.identity))
  with daemon.dial('plain') as plain, daemon.dial('elsewhere') as elsewhere:
    all_start(plain.deliver(tagged), '250')
    all_start(elsewhere.deliver(tagged), '250')
  assert last_rcpt(daemon.store).endswith(' IGNOREQUOTA'), 'the tag counts there'
  assert other.boxes() == ['alice'], 'its own destination'
  assert not last_rcpt(other).endswith('IGNOREQUOTA'), 'it has no keys for the tag'


def test_a_unix_socket_has_the_mode_and_the_owner_that_are_set(new_daemon):
  user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
  if os.geteuid() == 0:
    user, group = 'nobody', 'mail'
  lines = f'listen-mode = 0620\nlisten-owner = {user}:{group}\n'
  daemon = new_daemon('', FRONT + lines + FRONT.replace('front', 'plain'))
  facts = (daemon.folder / 'front').stat()
  assert stat.S_IMODE(facts.st_mode) == 0o620, oct(facts.st_mode)
  assert facts.st_uid == pwd.getpwnam(user).pw_uid, facts.st_uid
  assert facts.st_gid == grp.getgrnam(group).gr_gid, facts.st_gid
  facts = (daemon.folder / 'plain').stat()
  assert stat.S_IMODE(facts.st_mode) == 0o660, oct(facts.st_mode)


def test_a_stale_socket_file_is_replaced(daemon):
  daemon.process.kill()
  assert (daemon.folder / 'front').exists(), 'what is killed leaves its file'
  daemon.process.start()
  all_start(daemon.deliver(), '250')


def test_a_socket_on_which_another_listens_is_left_alone(daemon):
  second = subprocess.run([daemon.process.program, 'serve', '--config', daemon.process.config],
                          capture_output=True, timeout=60, text=True)
  assert second.returncode == 78, second.returncode
  assert 'another program listens there' in second.stderr, second.stderr
  all_start(daemon.deliver(), '250')


def test_a_file_that_is_no_socket_is_left_alone(new_daemon):
  daemon = new_daemon(start=False)
  (daemon.folder / 'front').write_text('precious')
  ran = subprocess.run([daemon.process.program, 'serve', '--config', daemon.process.config],
                       capture_output=True, timeout=60, text=True)
  assert ran.returncode == 78 and 'is not a socket' in ran.stderr, ran
  assert (daemon.folder / 'front').read_text() == 'precious', 'it is as it was'


def test_the_socket_file_goes_with_the_daemon(daemon):
  daemon.process.terminate()
  assert daemon.process.wait() == 0, 'status'
  assert not (daemon.folder / 'front').exists(), 'the file is there'


def test_over_tcp_local_clients_are_accepted(new_daemon):
  port = free_port()
  new_daemon('', f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\n')
  with Client(f'inet:127.0.0.1:{port}') as client:
    all_start(client.deliver(message()), '250')


@pytest.mark.parametrize('name', ['front', 'some.socket'], ids=['by name', 'by address'])
def test_a_socket_that_systemd_passes_is_used_and_outlives_the_daemon(new_daemon, name):
  daemon = new_daemon(start=False)
  with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(str(daemon.folder / 'front'))
    listener.listen(16)
    inode = (daemon.folder / 'front').stat().st_ino
    daemon.start_with([listener], name)
    assert (daemon.folder / 'front').stat().st_ino == inode, 'it is the same socket'
    all_start(daemon.deliver(), '250')
    daemon.process.terminate()
    assert daemon.process.wait() == 0, 'status'
    assert unix_listens(daemon.folder / 'front'), 'clients that dial now wait for the next one'
    daemon.start_with([listener], name)
    all_start(daemon.deliver(), '250')


def offers(address: str) -> set[str]:
  with Client(address) as client:
    return {line[4:] for line in client.offers[1:]}


# trap: pipelining-refused
def test_pipelining_is_offered_over_tcp_and_not_over_a_unix_socket(new_daemon):
  """RFC 2033 section 5 wants it, and Sendmail, which usually dials a unix socket, does not bear it."""
  ports = {switch: free_port() for switch in ('', 'yes', 'no')}
  listeners = ''
  for switch, port in ports.items():
    line = f'offer-pipelining = {switch}\n' if switch else ''
    listeners += (f'[listener.tcp{switch}]\naddress = inet:127.0.0.1:{port}\n{line}'
                  f'[listener.unix{switch}]\naddress = unix:{{folder}}/front{switch}\n{line}')
  daemon = new_daemon('', listeners)
  for switch, port in ports.items():
    over_tcp, over_unix = offers(f'inet:127.0.0.1:{port}'), offers(f'unix:{daemon.folder}/front{switch}')
    assert ('PIPELINING' in over_tcp) == (switch != 'no'), (switch, over_tcp)
    assert ('PIPELINING' in over_unix) == (switch == 'yes'), (switch, over_unix)
    # What RFC 2033 and amavisd-new want besides.
    assert {'ENHANCEDSTATUSCODES', '8BITMIME'} <= over_tcp, over_tcp


def test_a_passed_tcp_socket_offers_pipelining(new_daemon):
  port = free_port()
  daemon = new_daemon('', f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\n', start=False)
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', port))
    listener.listen(16)
    daemon.start_with([listener], 'some.socket')
    assert 'PIPELINING' in offers(f'inet:127.0.0.1:{port}')


def test_the_limit_that_is_offered_is_the_one_that_holds(new_daemon):
  daemon = new_daemon('max-rcpts = 2\n', FRONT + FRONT.replace('front', 'large') + 'max-rcpts = 50000\n')
  assert 'LIMITS RCPTMAX=50000' in offers(f'unix:{daemon.folder}/large')
  with daemon.dial() as client:
    assert '250-LIMITS RCPTMAX=2' in client.offers, client.offers
    replies = client.deliver(message('a', 'b', 'c'))
    all_start(replies[:2], '250')
    all_start(replies[2:], '452 4.5.3')


FLIGHT = (b'MAIL FROM:<s@mail.test>\r\nRCPT TO:<alice@store.test>\r\nRCPT TO:<nobody@store.test>\r\n'
          b'RCPT TO:<no@end\r\nRCPT TO:<bob@store.test>\r\nDATA\r\n')
EXPECTED = ['250 2.1.0', '250 2.1.5', '250 2.1.5', '553 5.1.3', '250 2.1.5', '354']


def test_a_pipelined_flight_in_any_segments_is_answered_in_order(new_daemon):
  port = free_port()
  daemon = new_daemon('', f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\n')
  daemon.store.at_rcpt = lambda address: '550 5.1.1 User unknown' if 'nobody' in address else ''
  with Client(f'inet:127.0.0.1:{port}') as client:
    # Each segment is a packet: Client sets TCP_NODELAY. The last round is one packet a byte.
    for cut in (len(FLIGHT), 90, 31, 7, 1):
      for start in range(0, len(FLIGHT), cut):
        client.send(FLIGHT[start:start + cut])
      replies = [client.reply() for _ in EXPECTED]
      for reply, expected in zip(replies, EXPECTED):
        assert reply.startswith(expected), (cut, replies)
      # The message, and more commands after it, before any reply is read.
      client.send(b'Subject: x\r\n\r\nhello\r\n.\r\nRSET\r\nNOOP\r\n')
      finals = [client.reply() for _ in range(5)]
      for reply, expected in zip(finals, ('250 2.1.5', '550 5.1.1', '250 2.1.5', '250 2.0.0', '250 2.0.0')):
        assert reply.startswith(expected), (cut, finals)
  assert daemon.store.boxes() == ['alice', 'bob'] * 5, daemon.store.boxes()
