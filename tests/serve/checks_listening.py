"""The sockets: where, whose, and who was there before."""

import grp
import os
import pwd
import socket
import stat
import subprocess

from house import FRONT, House, all_start, expect, message
from fixtures import tags
from fixtures.scratch import free_port, unix_listens
from lmtp import Client

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


def _last_rcpt(peer) -> str:
  return peer.connections[-1].said('RCPT')[-1]


def each_listener_has_its_own_settings():
  with House(start=False) as house:
    other = house.peer('other')
    (house.folder / 'keys').touch(mode=0o600)
    (house.folder / 'keys').write_text(KEY + '\n')
    house.configure('', TWO)
    house.serve.start()
    all_start(house.bring(name='always'), '250')
    expect(_last_rcpt(house.store).endswith(' IGNOREQUOTA'), 'always')
    all_start(house.bring(name='plain'), '250')
    expect(not _last_rcpt(house.store).endswith('IGNOREQUOTA'), 'no tag, no IGNOREQUOTA')
    tagged = message()
    tagged.header = tags.field(tags.signed(KEY, message_id=tagged.identity))
    with house.dial('plain') as plain, house.dial('elsewhere') as elsewhere:
      all_start(plain.bring(tagged), '250')
      all_start(elsewhere.bring(tagged), '250')
    expect(_last_rcpt(house.store).endswith(' IGNOREQUOTA'), 'the tag counts there')
    expect(other.boxes() == ['alice'], 'its own destination')
    expect(not _last_rcpt(other).endswith('IGNOREQUOTA'), 'it has no keys for the tag')


def a_unix_socket_has_the_mode_and_the_owner_that_are_set():
  user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
  if os.geteuid() == 0:
    user, group = 'nobody', 'mail'
  lines = f'listen-mode = 0620\nlisten-owner = {user}:{group}\n'
  with House('', FRONT + lines + FRONT.replace('front', 'plain')) as house:
    facts = (house.folder / 'front').stat()
    expect(stat.S_IMODE(facts.st_mode) == 0o620, oct(facts.st_mode))
    expect(facts.st_uid == pwd.getpwnam(user).pw_uid, facts.st_uid)
    expect(facts.st_gid == grp.getgrnam(group).gr_gid, facts.st_gid)
    facts = (house.folder / 'plain').stat()
    expect(stat.S_IMODE(facts.st_mode) == 0o660, oct(facts.st_mode))


def a_stale_socket_file_is_replaced():
  with House() as house:
    house.serve.kill()
    expect((house.folder / 'front').exists(), 'what is killed leaves its file')
    house.serve.start()
    all_start(house.bring(), '250')


def a_socket_on_which_another_listens_is_left_alone():
  with House() as house:
    second = subprocess.run([house.serve.program, 'serve', '--config', house.serve.config],
                            capture_output=True, timeout=10, text=True)
    expect(second.returncode == 78, second.returncode)
    expect('another program listens there' in second.stderr, second.stderr)
    all_start(house.bring(), '250')


def a_file_that_is_no_socket_is_left_alone():
  with House(start=False) as house:
    (house.folder / 'front').write_text('precious')
    ran = subprocess.run([house.serve.program, 'serve', '--config', house.serve.config],
                         capture_output=True, timeout=10, text=True)
    expect(ran.returncode == 78 and 'no socket' in ran.stderr, ran)
    expect((house.folder / 'front').read_text() == 'precious', 'it is as it was')


def the_socket_file_goes_with_the_daemon():
  with House() as house:
    house.serve.terminate()
    expect(house.serve.wait() == 0, 'status')
    expect(not (house.folder / 'front').exists(), 'the file is there')


def over_tcp_this_machine_is_let_in():
  port = free_port()
  with House('', f'[listener.tcp]\naddress = inet:127.0.0.1:{port}\n') as house:
    with Client(f'inet:127.0.0.1:{port}') as client:
      all_start(client.bring(message()), '250')


def _start_with(house: House, listener: socket.socket, name: str):
  """As systemd does: descriptor 3, and who is meant. bash: other shells know one digit."""
  house.serve.before = ['bash', '-c', f'LISTEN_FDS=1 LISTEN_FDNAMES={name} LISTEN_PID=$$ '
                        f'exec "$@" 3<&{listener.fileno()}', 'bash']
  os.set_inheritable(listener.fileno(), True)
  house.serve.pass_fds = (listener.fileno(),)
  house.serve.start()


def a_socket_that_systemd_passes_is_used_and_outlives_the_daemon():
  for name in ('front', 'some.socket'):  # by FileDescriptorName=, or by its address
    with House(start=False) as house, socket.socket(socket.AF_UNIX) as listener:
      listener.bind(str(house.folder / 'front'))
      listener.listen(16)
      inode = (house.folder / 'front').stat().st_ino
      _start_with(house, listener, name)
      expect((house.folder / 'front').stat().st_ino == inode, 'it is the same socket')
      all_start(house.bring(), '250')
      house.serve.terminate()
      expect(house.serve.wait() == 0, 'status')
      expect(unix_listens(house.folder / 'front'), 'who dials meanwhile waits for the next one')
      _start_with(house, listener, name)
      all_start(house.bring(), '250')


def a_passed_socket_that_no_listener_takes_is_told_of():
  with House(start=False) as house, socket.socket(socket.AF_UNIX) as listener:
    listener.bind(str(house.folder / 'stray'))
    listener.listen(16)
    _start_with(house, listener, 'stray')
    house.wait_for_log('no listener has this address')
    all_start(house.bring(), '250')
