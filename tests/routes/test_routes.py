"""Routes out of a real directory: a private slapd, asked as the daemon asks it.

No root, no network beyond loopback. The rules of asking as such: tests/unit/directory_*_test.cpp
have them.
"""

import os
import re
import socket
from pathlib import Path

import pytest

from fixtures.process import wait_until
from fixtures.scratch import free_port

from .directory import Asker, same_answers
from .slapd import ADMIN
from .slow_link import SlowLink

ALICE = {'alice@example.org': 'inet:imap1.example.org'}
NO_ALICE = {'alice@example.org': '451 4.4.3 No route: ...'}
DAVE = {'dave@example.org': 'default'}


def test_the_attribute_names_the_store(directory):
  asker = directory.asker(directory.slapd().uri)
  same_answers(asker, {
      'alice@example.org': 'inet:imap1.example.org',
      'ALICE@Example.Org': 'inet:imap1.example.org',
      'alice+lists@example.org': 'inet:imap1.example.org',
      'robert@example.org': 'inet:imap2.example.org:2003',
      'carol@example.org': 'unix:/run/carol/lmtp',
      'erin@example.org': 'inet:imap1 inet:imap2:24',
      'mailed@example.org': 'inet:imap4',
      'anybody@sales.example.org': 'inet:imap9',
      'same@example.org': 'inet:imap1',
      'dave@example.org': 'default',
      'nobody@example.org': 'default',
      'alice': 'default',
  })


def test_an_entry_that_cannot_be_used_is_temporary(directory):
  asker = directory.asker(directory.slapd().uri)
  same_answers(asker, {
      'twins@example.org': '451 4.4.3 No route: two entries of the directory name different stores',
      'broken@example.org': '451 4.4.3 No route: in the directory: "host:99999": ...',
      'horde@example.org': '451 4.4.3 No route: Size limit exceeded',
  })
  same_answers(directory.asker(directory.servers[0].uri, '--route-ldap-base=dc=nowhere'),
               {'alice@example.org': '451 4.4.3 No route: No such object'})


def test_an_address_stays_one_value(directory):
  """A star in it matches no other address, a bracket ends no filter."""
  asker = directory.asker(directory.slapd().uri)
  same_answers(asker, {
      'star*(x)\\\\y@example.org': 'no address',
      '"star*(x)\\\\\\\\y"@example.org': 'default',
      'ali*@example.org': 'default',
      '*@example.org': 'default',
      '"alice@example.org)(uid=*"': 'default',
      '"*)(mailHost=*"@example.org': 'default',
      'al\xefce@example.org': 'default',
  })


def test_values_without_order_are_sorted(directory):
  asker = directory.asker(directory.slapd().uri, '--route-ldap-attribute=description')
  same_answers(asker, {'many@example.org': 'inet:imap5 inet:imap6'})


def test_a_filter_can_name_the_parts(directory):
  asker = directory.asker(directory.slapd().uri,
                          '--route-ldap-filter=(&(uid=%u)(mailLocalAddress=*@%d))')
  same_answers(asker, {'alice@example.org': 'default', 'alice': 'default'})
  asker = directory.asker(directory.servers[0].uri, '--route-ldap-filter=(uid=%u)')
  same_answers(asker, {'alice@anywhere': 'inet:imap1.example.org',
                       'bob+d': 'inet:imap2.example.org:2003'})


def test_a_login_is_the_bind_dns(directory):
  uri = directory.slapd().uri
  same_answers(directory.asker(uri), {'secret@example.org': 'default'})
  login = [f'--route-ldap-bind-dn={ADMIN}',
           f'--route-ldap-password-file={directory.password_file()}']
  same_answers(directory.asker(uri, *login), {'secret@example.org': 'inet:imap8'})
  directory.password_file('wrong\n')
  asker = directory.asker(uri, *login)
  found, _ = asker.ask('alice@example.org')
  assert found == f'451 4.4.3 No route: {uri}: Invalid credentials'
  assert asker.lines_with('wrong') == 0


def test_tls_is_verified(directory):
  good = directory.slapd()
  ca = f'--route-ldap-ca-file={directory.authority.path("ca.pem")}'
  stranger = f'--route-ldap-ca-file={directory.authority.path("stranger.pem")}'
  starttls = '--route-ldap-tls=starttls'
  same_answers(directory.asker(good.uri, starttls, ca), ALICE)
  same_answers(directory.asker(good.tls_uri, ca), ALICE)
  for uri, more in ((good.uri, [starttls]), (good.tls_uri, [])):
    # Whatever ldap.conf says.
    env = {'LDAPTLS_REQCERT': 'never', 'LDAPTLS_CACERT': directory.authority.path('stranger.pem')}
    same_answers(directory.asker(uri, *more, stranger, env=env), NO_ALICE)
    env.pop('LDAPTLS_CACERT')
    same_answers(directory.asker(uri, *more, env=env), NO_ALICE)
  nowhere = directory.asker(good.uri, starttls, '--route-ldap-ca-file=/nowhere')
  found, _ = nowhere.ask('alice@example.org')
  assert found == f'451 4.4.3 No route: {good.uri}: cannot read the CA certificates (--route-ldap-ca-file)'
  for name in ('wrong_address', 'expired'):
    bad = directory.slapd(name)
    same_answers(directory.asker(bad.uri, starttls, ca), NO_ALICE)
    same_answers(directory.asker(bad.tls_uri, ca), NO_ALICE)


def test_a_socket_will_do(directory):
  same_answers(directory.asker(directory.slapd().socket_uri), ALICE)


def test_answers_are_kept_for_a_while(directory):
  slapd = directory.slapd()
  keeps = directory.asker(slapd.uri, '--route-ldap-cache=10m', '--route-ldap-negative-cache=10m')
  forgets = directory.asker(slapd.uri, '--route-ldap-cache=1s', '--route-ldap-negative-cache=1s')
  same_answers(keeps, ALICE | DAVE)
  same_answers(forgets, ALICE | DAVE)
  slapd.change('alice', 'mailHost', 'imap7')
  slapd.change('dave', 'mailHost', 'imap7')
  for address in ('alice@example.org', 'dave@example.org'):
    wait_until(lambda address=address: forgets.ask(address)[0] == 'inet:imap7', 'asked again')
  same_answers(keeps, ALICE | DAVE)


def test_a_directory_that_was_restarted_is_asked_again(directory):
  slapd = directory.slapd()
  asker = directory.asker(slapd.uri)
  same_answers(asker, ALICE)
  slapd.stop()
  slapd.start()
  same_answers(asker, {'erin@example.org': 'inet:imap1 inet:imap2:24'})
  assert asker.lines_with('event=directory-down') == 0


def answers_in_the_end(asker: Asker, address: str, answer: str):
  """On a loaded machine a short timeout may be too short at first."""
  wait_until(lambda: asker.ask(address)[0] == answer, f'{address} has its route')


def test_a_dead_directory_is_temporary_and_known_routes_stay_for_a_while(directory):
  slapd = directory.slapd()
  askers = [directory.asker(slapd.uri, '--route-ldap-cache=0s', '--route-ldap-negative-cache=0s',
                            f'--route-ldap-stale={stale}') for stale in ('10m', '1s')]
  for asker in askers:
    same_answers(asker, ALICE | DAVE)
  slapd.stop()
  lost = f"451 4.4.3 No route: {slapd.uri}: Can't contact LDAP server"
  keeps, forgets = askers
  same_answers(keeps, {'alice@example.org': 'inet:imap1.example.org',
                       'dave@example.org': f'{lost}...', 'bob@example.org': f'{lost}...'})
  assert keeps.lines_with('event=directory-down') == 1
  wait_until(lambda: forgets.ask('alice@example.org')[0].startswith(lost), 'it is forgotten')
  slapd.start()
  for asker in askers:
    answers_in_the_end(asker, 'bob@example.org', 'inet:imap2.example.org:2003')
    assert asker.lines_with('event=directory-up') == 1


OTHERS = ('bob@example.org', 'carol@example.org', 'erin@example.org', 'mailed@example.org')


def test_a_stalled_directory_holds_each_thread_once_at_most(directory):
  """Of 256 threads that ask, none waits much longer than the timeout; later ones are answered at
  once, but for the one that tries again."""
  slapd = directory.slapd()
  asker = directory.asker(slapd.uri, '--route-ldap-timeout=2s')
  answers_in_the_end(asker, 'alice@example.org', 'inet:imap1.example.org')
  slapd.pause()
  answer, took = asker.ask('256 crowd@example.org')
  assert answer.startswith('256 451 4.4.3 No route: ') or '451' in answer, answer
  assert 'inet' not in answer and 'default' not in answer, answer
  # One after another over four connections they would take two minutes.
  assert took < 50_000, f'{took} ms'
  answers = [asker.ask(address) for address in OTHERS]
  assert all(answer.startswith('451') for answer, _ in answers), answers
  assert min(took for _, took in answers) < 1000, answers
  slapd.resume()
  answers_in_the_end(asker, 'bob@example.org', 'inet:imap2.example.org:2003')


def times_out(asker: Asker):
  """Temporarily, and not before the timeout of one second. Without it no answer would ever come."""
  answer, took = asker.ask('alice@example.org')
  assert answer.startswith('451 4.4.3') and took >= 900, f'{answer} after {took} ms'


def test_a_directory_that_does_not_answer_costs_its_timeout(directory):
  """A port that takes connections and sends nothing; then a second directory that answers."""
  with socket.socket() as silent:
    silent.bind(('127.0.0.1', 0))
    silent.listen(16)
    uri = f'ldap://127.0.0.1:{silent.getsockname()[1]}'
    second = '--route-ldap-timeout=1s'
    for more in ([], ['--route-ldap-tls=starttls']):
      times_out(directory.asker(uri, second, *more))
    times_out(directory.asker(uri.replace('ldap:', 'ldaps:'), second))
    asker = directory.asker(f'{uri} {directory.slapd().uri}', '--route-ldap-timeout=3s')
    answers_in_the_end(asker, 'alice@example.org', 'inet:imap1.example.org')
    # It is not asked first again and again.
    answers = [asker.ask(address) for address in OTHERS]
    assert answers[0][0] == 'inet:imap2.example.org:2003', answers
    assert min(took for _, took in answers) < 1500, answers


def test_a_handshake_that_stalls_is_bounded(directory):
  """STARTTLS is answered, and nothing else; then a directory that stops within TLS."""
  success = bytes.fromhex('300c02010178070a010004000400')  # ExtendedResponse to message 1
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    server.listen(16)
    server.settimeout(60)
    asker = directory.asker(f'ldap://127.0.0.1:{server.getsockname()[1]}',
                            '--route-ldap-timeout=1s', '--route-ldap-tls=starttls')
    asker.send('alice@example.org')
    client, _ = server.accept()
    with client:
      client.recv(4096)
      client.sendall(success)
      answer, took = asker.receive()
    assert answer.startswith('451 4.4.3') and took >= 900, f'{answer} after {took} ms'
    assert process_seconds(asker.child.pid) < 0.5, 'it waited by trying again and again'
  slapd = directory.slapd()
  asker = directory.asker(slapd.tls_uri, '--route-ldap-timeout=1s', '--route-ldap-cache=0s',
                          '--route-ldap-stale=0s',
                          f'--route-ldap-ca-file={directory.authority.path("ca.pem")}')
  answers_in_the_end(asker, 'alice@example.org', 'inet:imap1.example.org')
  slapd.pause()
  times_out(asker)


def process_seconds(pid: int) -> float:
  """CPU time that it used."""
  fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_the_second_directory_is_asked_where_the_first_is_dead(directory):
  slapd = directory.slapd()
  asker = directory.asker(f'ldap://127.0.0.1:{free_port()} {slapd.uri}')
  same_answers(asker, ALICE)


def test_threads_share_a_few_connections(directory):
  slapd = directory.slapd()
  asker = directory.asker(slapd.uri)
  for _ in range(3):
    assert asker.ask('32 crowd@example.org')[0] == '16 inet:imap0; 16 inet:imap1'
  assert 1 <= slapd.connections() <= 4, f'{slapd.connections()} connections'


def test_a_file_counts_more_than_the_directory(directory):
  routes = directory.folder / 'routes'
  routes.write_text('alice@example.org imap6\nbob@example.org error:5.1.6 Bob has moved\n')
  routes.chmod(0o644)
  same_answers(directory.asker(directory.slapd().uri, f'--route-file={routes}'), {
      'alice@example.org': 'inet:imap6',
      'bob@example.org': '550 5.1.6 Bob has moved',
      'erin@example.org': 'inet:imap1 inet:imap2:24',
  })


@pytest.fixture
def slow_link(directory):
  """slow_link(delay, in_turn): a slow way to a slapd."""
  made: list[SlowLink] = []

  def new(*arguments) -> SlowLink:
    made.append(SlowLink(directory.slapd().port, *arguments))
    return made[-1]
  yield new
  for link in made:
    link.stop()


def test_the_recipients_of_a_message_are_looked_up_side_by_side(directory, slow_link):
  delay = 0.3
  asker = directory.asker(slow_link(delay).uri)
  answers, took = asker.ask('=32 crowd@example.org')
  assert answers == '16 inet:imap0; 16 inet:imap1', answers
  assert took < 32 * delay * 1000 / 2, f'{took} ms; one after the other {32 * delay} s'


def test_one_deadline_ends_all_look_ups_of_a_message(directory, slow_link):
  """Each answer comes in time, but not all of them do. The directory is not down for that."""
  delay = 0.3  # an entry, and its end
  asker = directory.asker(slow_link(delay, True).uri, '--route-ldap-timeout=2s')
  answers, took = asker.ask('=32 crowd@example.org')
  # The order of the answers is that of slapd, which has several threads.
  assert re.fullmatch(r'\d+ 451 4.4.3 No route: .*?(; \d+ inet:imap[01]){1,2}', answers), answers
  assert sum(map(int, re.findall(r'(?:^|; )(\d+) ', answers))) == 32, answers
  assert took < 2 * 32 * delay * 1000 / 2, f'{took} ms; one after the other {2 * 32 * delay} s'
  asked = (asker.ask(f'{number}crowd@example.org') for number in range(1, 33))
  answer, took = next((answer, took) for answer, took in asked if 'No route' not in answer)
  assert took < 1000, f'{answer} after {took} ms: it is known'
  assert not asker.lines_with('directory-down')


def test_a_ca_file_must_be_a_file(directory):
  server = directory.slapd()
  folder = f'--route-ldap-ca-file={directory.folder}'
  found, _ = directory.asker(server.tls_uri, folder).ask('alice@example.org')
  assert found == (f'451 4.4.3 No route: {server.tls_uri}: {directory.folder}: not a regular file '
                   '(--route-ldap-ca-file)')
