"""SIGHUP: a file is applied completely or not at all, and no client is disconnected."""

import os
import pwd
import socket
from pathlib import Path
from urllib.request import urlopen

import pytest

from fixtures.lmtp_client import Gone
from fixtures.process import wait_until
from fixtures.scratch import free_port

from .daemon import FRONT, Daemon, all_start, message

ALWAYS = 'ignore-quota = always\n'
SECOND = FRONT.replace('front', 'second')


def ignored_quota(daemon: Daemon) -> bool:
  return daemon.store.connections[-1].said('RCPT')[-1].endswith(' IGNOREQUOTA')


def test_a_valid_file_applies_to_the_next_message_of_a_connected_client(daemon):
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
    assert not ignored_quota(daemon), 'not yet'
    daemon.reload(ALWAYS)
    all_start(client.deliver(message()), '250')
    assert ignored_quota(daemon), 'from now on'
    assert len(daemon.store.connections) == 1, 'the connection to the store is kept'


def test_a_broken_file_changes_nothing_and_the_log_has_its_line(daemon):
  broken = {'no-such-thing = 1\n': 'lmtpq.conf:4', 'connections = many\n': 'lmtpq.conf:4',
            f'{ALWAYS}max-rcpts = 0\n': 'lmtpq.conf:5', 'tag-keys = {folder}/none\n': 'tag-keys'}
  with daemon.dial() as client:
    for text, place in broken.items():
      before = len(daemon.process.log_text())
      daemon.reload(text, word='previous configuration kept')
      logged = daemon.process.log_text()[before:]
      assert place in logged, f'{place}: {logged}'
      all_start(client.deliver(message()), '250')
      assert not ignored_quota(daemon), 'nothing of it is applied'
    for listeners in (f'{FRONT}{SECOND}no-such-thing = 1\n', f'{FRONT}[listener.second]\n'):
      daemon.reload(ALWAYS, listeners, word='previous configuration kept')
      all_start(client.deliver(message()), '250')
      assert not ignored_quota(daemon), 'nothing of it is applied'
      assert not (daemon.folder / 'second').exists(), 'none of its sockets is open'


def test_a_file_without_listeners_changes_nothing(daemon):
  """As one that is empty, or cut at the end of a line."""
  whole = daemon.process.config.read_text()
  for text in ('', '# nothing\n', whole[:whole.index('[listener.')]):
    logged = daemon.process.count('event=reload-failed error="no listener; ')
    daemon.process.config.write_text(text)
    daemon.process.hang_up()
    wait_until(lambda: daemon.process.count('event=reload-failed error="no listener; ') > logged,
               'it is refused')
    all_start(daemon.deliver(), '250')


def test_what_a_start_would_refuse_changes_nothing(daemon):
  for settings, listeners, why in (
      ('', FRONT + 'listen-owner = no-such-user\n', 'no user no-such-user'),
      ('user = no-such-user\n', FRONT, 'no such user'),
      ('log = /nonexistent/log\n', FRONT, '/nonexistent/log')):
    before = len(daemon.process.log_text())
    daemon.reload(settings, listeners, word='previous configuration kept')
    assert why in daemon.process.log_text()[before:], why
    all_start(daemon.deliver(), '250')


def test_a_directory_for_the_routes_takes_a_restart(daemon):
  """libldap must be ready before there are threads."""
  daemon.reload('route-ldap = ldap://127.0.0.1:1\nroute-ldap-base = o=x\n', word='previous configuration kept')
  [line] = daemon.process.log_lines('event=reload-failed')
  assert 'lmtpq.conf:4: route-ldap: restart the daemon to begin with an LDAP directory' in line, line
  all_start(daemon.deliver(), '250')


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
@pytest.mark.parametrize('mode', [0o600, 0o644])
def test_a_file_that_the_user_cannot_read_is_told_at_the_start(new_daemon, mode):
  """Where root could: the next reload will fail."""
  daemon = new_daemon('user = nobody\n', start=False)
  for folder in (daemon.folder, daemon.process.folder):
    folder.chmod(0o777)
  daemon.process.config.chmod(mode)
  daemon.process.start()
  lines = daemon.process.log_lines('event=reload-will-fail')
  assert len(lines) == (mode == 0o600), lines
  assert all('level=warning' in line and 'user=nobody' in line and 'lmtpq.conf: Permission denied' in line
             for line in lines), lines


def test_a_broken_file_opens_no_socket(daemon):
  bad = f'{FRONT}{SECOND}[listener.third]\naddress = unix:{{folder}}/no/such/place\n'
  daemon.reload('', bad, word='previous configuration kept')
  assert not (daemon.folder / 'second').exists(), 'a socket of it is there'
  all_start(daemon.deliver(), '250')


def test_tls_files_that_cannot_be_read_change_nothing(daemon):
  store = 'inet:127.0.0.1:1'
  for name in ('tls-ca-file', 'tls-cert', 'tls-crl-file'):
    before = len(daemon.process.log_text())
    daemon.reload('', f'{FRONT}destination = {store}\n[destination.127.0.0.1]\ntls = encrypt\n'
                  f'{name} = {{folder}}/none-there\n', word='previous configuration kept')
    logged = daemon.process.log_text()[before:]
    assert 'none-there' in logged, logged
    all_start(daemon.deliver(), '250')
  daemon.process.terminate()
  daemon.process.wait()
  with pytest.raises(AssertionError, match='none-there'):
    daemon.process.start()


def test_a_missing_file_changes_nothing(daemon):
  daemon.process.config.unlink()
  daemon.process.hang_up()
  daemon.wait_for_log('previous configuration kept')
  all_start(daemon.deliver(), '250')


def test_the_log_says_which_settings_are_new_changed_or_gone(daemon):
  elsewhere = f'{SECOND}destination = unix:{{folder}}/elsewhere\n'
  second, store = (f'unix:{daemon.folder}/{name}' for name in ('second', 'elsewhere'))
  daemon.reload('', f'{FRONT}{elsewhere}')
  daemon.reload('', f'{FRONT}{ALWAYS}{elsewhere}')
  daemon.reload('', FRONT)
  lines = [line.partition('event=')[2] for line in daemon.process.log_text().splitlines()]
  for event, change in ((f'listener-settings listener={second} name=second ', 'new'),
                        (f'store-settings destination={store} ', 'new'),
                        (f'listener-settings listener=unix:{daemon.folder}/front name=front ', 'changed'),
                        (f'listener-settings listener={second} ', 'gone'),
                        (f'store-settings destination={store} ', 'gone')):
    assert [line for line in lines if line.startswith(event) and line.endswith(f' change={change}')], (event, lines)


def test_the_log_names_the_options_of_a_store_that_differ_from_the_defaults(new_daemon):
  daemon = new_daemon('connections = 7\nidle-timeout = 5m\n')
  line, = daemon.process.log_lines('event=store-settings')
  assert line.endswith(f'destination={daemon.store.address} connections=7'), line


def test_a_listener_without_keys_is_named_after_each_reload(daemon):
  warning = f'event=no-keys listener=unix:{daemon.folder}/front effect="every tag is rejected, every quota is honoured"'
  config = daemon.process.config
  config.write_text(config.read_text().replace('tag-keys = none\n', ''))
  for number in (1, 2):
    daemon.process.hang_up()
    wait_until(lambda: daemon.process.count('event=reloaded') == number, 'it has reloaded')
    if not Path('/etc/lmtpq/tag.keys').exists():
      wait_until(lambda: daemon.process.count(warning) == number, 'the warning')
  daemon.reload('')
  assert daemon.process.count('event=no-keys') in (0, 2)


def test_another_tcp_port_is_another_store_for_those_without_a_port(daemon):
  elsewhere = f'{FRONT}{SECOND}destination = inet:127.0.0.1, smtp:127.0.0.1, inet:127.0.0.1:24\n'
  for port in (2003, 2004):
    daemon.reload(f'tcp-port = {port}\n', elsewhere)
  stores = [line.partition('destination=')[2]
            for line in daemon.process.log_lines('event=store-settings') if '127.0.0.1' in line]
  assert sorted(stores) == ['inet:127.0.0.1 tcp-port=2003 change=new',
                            'inet:127.0.0.1 tcp-port=2004 change=changed',
                            'inet:127.0.0.1:24 change=new', 'smtp:127.0.0.1 change=new']
  all_start(daemon.deliver(), '250')


FIXED = {'user': 'root', 'log': '{folder}/other-log', 'threads': '2'}


def of_restarts(daemon: Daemon, settings: str, listeners: str | None = None) -> list[str]:
  """Which options need a restart after this reload, and at which listener."""
  before = daemon.process.count('event=restart-needed')
  daemon.reload(settings, listeners)
  lines = daemon.process.log_lines('event=restart-needed')[before:]
  assert all('effect="the change takes effect after a restart"' in line for line in lines), lines
  return sorted(line.partition('option=')[2].replace(str(daemon.folder), '') for line in lines)


def test_an_option_that_takes_a_restart_is_logged_and_no_other_is(daemon):
  for option, value in FIXED.items():
    assert [line.split()[0] for line in of_restarts(daemon, f'{option} = {value}\n')] == [option]
  port = free_port()
  assert of_restarts(daemon, 'max-clients = 9\nbalance = weight\ndrain-timeout = 1s\n'
                     'mailbox-limit = 7\nlog-level = debug\ncontrol = {folder}/other\n'
                     f'metrics = 127.0.0.1:{port}\n') == []


def test_mode_and_owner_of_an_open_socket_take_a_restart(daemon):
  changed = f'{FRONT}listen-mode = 0600\nlisten-owner = {pwd.getpwuid(os.geteuid()).pw_name}\n'
  effect = ' effect="the change takes effect after a restart" listener=unix:/front'
  assert of_restarts(daemon, '', changed) == ['listen-mode' + effect, 'listen-owner' + effect]
  new = f'{SECOND}listen-mode = 0600\n'
  assert of_restarts(daemon, '', FRONT + new) == [], 'a new socket is made with its options'


def test_listeners_come_and_go(daemon):
  daemon.reload('', FRONT + SECOND)
  all_start(daemon.deliver(name='second'), '250')
  daemon.reload('', SECOND)
  wait_until(lambda: not (daemon.folder / 'front').exists(), 'its file is removed')
  with pytest.raises(Gone):
    daemon.dial()
  all_start(daemon.deliver(name='second'), '250')
  daemon.reload('', FRONT)
  all_start(daemon.deliver(), '250')


def test_the_limits_of_a_pool_can_be_changed(new_daemon):
  daemon = new_daemon('connections = 1\n')
  daemon.deliver_at_once('a', 'b', 'c')
  assert daemon.store.most_open == 1, daemon.store.most_open
  daemon.reload('connections = 2\n')
  daemon.store.hold.clear()
  held = [daemon.held('a'), daemon.held('b')]
  daemon.store.hold.set()
  for one in held:
    all_start(one.end(), '250')


def test_another_store_can_be_named_while_mail_flows(daemon):
  with daemon.dial() as client:
    all_start(client.deliver(message()), '250')
    other = daemon.another_store('other')
    daemon.reload('', FRONT + 'destination = unix:{folder}/other\n')
    all_start(client.deliver(message()), '250')
    assert (len(daemon.store.filed), len(other.filed)) == (1, 1), 'one each'


def test_the_log_file_is_opened_again(daemon):
  old = daemon.process.log.rename(daemon.folder / 'rotated')
  daemon.process.hang_up()
  daemon.wait_for_log('event=reloaded')
  assert 'event=reloaded' not in old.read_text(), 'it is in the new file'


def test_the_log_level_can_be_changed(daemon):
  daemon.configure('log-level = error\n')
  daemon.process.hang_up()
  wait_until(lambda: daemon.status()['reloads'] == 1, 'it is applied')
  all_start(daemon.deliver('silent'), '250')
  daemon.reload('')
  all_start(daemon.deliver('logged'), '250')
  assert (daemon.process.count('<silent@'), daemon.process.count('<logged@')) == (0, 1)


def test_a_higher_mailbox_limit_lets_in_those_that_wait(new_daemon):
  daemon = new_daemon('mailbox-limit = 1\n')
  held = [daemon.held('alice')]
  held += [daemon.in_background('alice') for _ in range(3)]
  daemon.wait_for_waiting(for_mailboxes=3)
  daemon.reload('mailbox-limit = 3\n')
  wait_until(lambda: daemon.store.all_busy() == 3, 'two more are at the store')
  daemon.wait_for_waiting(for_mailboxes=1)
  daemon.reload('mailbox-limit = 1\n')
  held.append(daemon.in_background('alice'))
  daemon.wait_for_waiting(for_mailboxes=2)
  daemon.store.most_busy.clear()
  daemon.store.hold.set()
  for one in held:
    all_start(one.end(), '250')
  assert daemon.store.most_busy['alice'] <= 3, 'none goes beyond'


def read_metrics(port: int) -> str:
  with urlopen(f'http://127.0.0.1:{port}/metrics', timeout=60) as page:
    return page.read().decode()


def test_metrics_and_control_can_be_moved(daemon):
  old, new = daemon.process.folder / 'control', daemon.folder / 'elsewhere'
  port, other = free_port(), free_port()
  daemon.reload(f'control = {new}\nmetrics = 127.0.0.1:{port}\n')
  assert 'lmtpq_reloads_total{result="good"} 1' in read_metrics(port)
  assert daemon.process.status(new)['reloads'] == 1
  assert not old.exists(), 'the former socket is removed'
  for _ in range(2):  # the second time they are as they were
    daemon.reload(f'control = {new}\nmetrics = 127.0.0.1:{other}\n')
    assert 'lmtpq_build_info' in read_metrics(other)
  with pytest.raises(OSError, match='refused'):
    read_metrics(port)
  daemon.reload('')
  assert daemon.status()['reloads'] == 4
  with pytest.raises(OSError, match='refused'):
    read_metrics(other)


def test_an_address_of_the_metrics_that_is_taken_changes_nothing(daemon):
  with socket.create_server(('127.0.0.1', 0)) as taken:
    daemon.reload(f'{ALWAYS}control = {{folder}}/elsewhere\n'
                  f'metrics = 127.0.0.1:{taken.getsockname()[1]}\n', word='previous configuration kept')
  line = daemon.process.log_lines('event=reload-failed')[-1]
  assert 'metrics: ' in line and 'cannot listen' in line, line
  assert daemon.status()['failed_reloads'] == 1, 'at the former socket'
  assert not (daemon.folder / 'elsewhere').exists()
  all_start(daemon.deliver(), '250')
  assert not ignored_quota(daemon)
