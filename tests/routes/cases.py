"""What must hold of routes out of a directory: each function that begins with `test_` is a case.

What it is: Place (a folder, slapd and the program that asks), and the cases.
What it does not know: the rules of asking as such: tests/unit/directory_*_test.cpp have them.
Called by: run.
Failure: AssertionError, with what was said instead.
"""

import os
import select
import socket
import subprocess
import time
from pathlib import Path

from slapd import ADMIN, BASE, PASSWORD, Slapd, free_port, person

PEOPLE = [
    person('alice', ['alice@example.org'], 'imap1.example.org'),
    person('bob', ['bob@example.org', 'robert@example.org'], 'imap2.example.org:2003'),
    person('carol', ['carol@example.org'], 'unix:/run/carol/lmtp'),
    person('dave', ['dave@example.org'], None),
    person('erin', ['erin@example.org'], 'imap1, imap2:24'),
    person('twin1', ['twins@example.org'], 'imap1'),
    person('twin2', ['twins@example.org'], 'imap2'),
    person('same1', ['same@example.org'], 'imap1'),
    person('same2', ['same@example.org'], 'imap1'),
    person('broken', ['broken@example.org'], 'not a host:99999'),
    person('star', ['star*(x)\\y@example.org'], 'imap3'),
    person('mailed', [], 'imap4', mail=['mailed@example.org']),
    person('many', ['many@example.org'], None, description=['imap6', 'imap5']),
    person('catchall', ['@sales.example.org'], 'imap9'),
    person('secret', ['secret@example.org'], 'imap8', unit='private'),
    *[person(f'crowd{i}', [f'{i}crowd@example.org'], f'imap{i % 2}') for i in range(1, 33)],
    *[person(f'horde{i}', ['horde@example.org'], 'imap1') for i in range(9)],
]


ALICE = {'alice@example.org': 'inet:imap1.example.org'}
NO_ALICE = {'alice@example.org': '451 4.4.3 No route: ...'}
DAVE = {'dave@example.org': 'default'}


class Asker:
  """The program, with one question and answer at a time."""

  def __init__(self, program: str, options: list, log: Path, env: dict):
    self.log = log
    with log.open('ab') as errors:
      self.child = subprocess.Popen([program, *options], stdin=subprocess.PIPE, env=env,
                                    stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)

  def ask(self, question: str, seconds: float = 30) -> tuple[str, int]:
    """The answer, and how many milliseconds it took."""
    self.child.stdin.write(question + '\n')
    if not select.select([self.child.stdout], [], [], seconds)[0]:
      raise AssertionError(f'{question}: no answer')
    line = self.child.stdout.readline()
    assert line, f'{question}: the program ended: {self.log.read_text()[-400:]}'
    answer, took = line.rstrip('\n').split('\t')
    return answer, int(took)

  def lines_with(self, words: str) -> int:
    return sum(words in line for line in self.log.read_text(errors='replace').splitlines())

  def end(self) -> int:
    self.child.stdin.close()
    self.child.stdout.close()
    return self.child.wait(30)


class Place:
  def __init__(self, program: str, folder: Path, authority):
    self.program, self.folder, self.authority = program, folder, authority
    self.servers, self.askers = [], []
    folder.mkdir()

  def slapd(self, certificate: str = 'good') -> Slapd:
    made = Slapd(self.folder / f'slapd{len(self.servers)}', self.authority, certificate)
    self.servers.append(made)
    made.load(PEOPLE)
    made.start()
    return made

  def asker(self, uri: str, *options: str, env: dict | None = None) -> Asker:
    """With an environment libldap looks at it, and at the system's ldap.conf."""
    made = Asker(self.program, [f'--route-ldap={uri}', f'--route-ldap-base={BASE}', *options],
                 self.folder / f'asker{len(self.askers)}.log',
                 {**os.environ, **({'LDAPNOINIT': '1'} if env is None else env)})
    self.askers.append(made)
    return made

  def password_file(self, text: str = PASSWORD + '\n') -> str:
    path = self.folder / 'password'
    path.write_text(text)
    path.chmod(0o600)
    return str(path)

  def end(self):
    for server in self.servers:
      if server.child:
        server.resume()
    statuses = [asker.end() for asker in self.askers if asker.child.poll() is None]
    for server in self.servers:
      server.stop()
    assert not any(statuses), f'the program ended with {statuses}'


def same(found, wanted):
  assert found == wanted, f'{found!r} instead of {wanted!r}'


def same_answers(asker: Asker, rows: dict):
  for address, wanted in rows.items():
    found, _ = asker.ask(address)
    assert found == wanted or (wanted.endswith('...') and found.startswith(wanted[:-3])), \
        f'{address}: {found!r} instead of {wanted!r}'


def test_the_attribute_names_the_store(place):
  asker = place.asker(place.slapd().uri)
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


def test_what_makes_no_sense_is_temporary(place):
  asker = place.asker(place.slapd().uri)
  same_answers(asker, {
      'twins@example.org': '451 4.4.3 No route: two entries of the directory name different stores',
      'broken@example.org': '451 4.4.3 No route: in the directory: destination...',
      'horde@example.org': '451 4.4.3 No route: Size limit exceeded',
  })
  same_answers(place.asker(place.servers[0].uri, '--route-ldap-base=dc=nowhere'),
               {'alice@example.org': '451 4.4.3 No route: No such object'})


def test_an_address_stays_one_value(place):
  """A star in it matches no other address, a bracket ends no filter."""
  asker = place.asker(place.slapd().uri)
  same_answers(asker, {
      'star*(x)\\\\y@example.org': 'no address',
      '"star*(x)\\\\\\\\y"@example.org': 'default',
      'ali*@example.org': 'default',
      '*@example.org': 'default',
      '"alice@example.org)(uid=*"': 'default',
      '"*)(mailHost=*"@example.org': 'default',
      'al\xefce@example.org': 'default',
  })


def test_values_without_order_are_sorted(place):
  asker = place.asker(place.slapd().uri, '--route-ldap-attribute=description')
  same_answers(asker, {'many@example.org': 'inet:imap5 inet:imap6'})


def test_a_filter_can_name_the_parts(place):
  asker = place.asker(place.slapd().uri, '--route-ldap-filter=(&(uid=%u)(mailLocalAddress=*@%d))')
  same_answers(asker, {'alice@example.org': 'default', 'alice': 'default'})
  asker = place.asker(place.servers[0].uri, '--route-ldap-filter=(uid=%u)')
  same_answers(asker, {'alice@anywhere': 'inet:imap1.example.org',
                       'bob+d': 'inet:imap2.example.org:2003'})


def test_a_login_is_the_bind_dns(place):
  uri = place.slapd().uri
  same_answers(place.asker(uri), {'secret@example.org': 'default'})
  login = [f'--route-ldap-bind-dn={ADMIN}', f'--route-ldap-password-file={place.password_file()}']
  same_answers(place.asker(uri, *login), {'secret@example.org': 'inet:imap8'})
  place.password_file('wrong\n')
  asker = place.asker(uri, *login)
  found, _ = asker.ask('alice@example.org')
  same(found, f'451 4.4.3 No route: {uri}: Invalid credentials')
  same(asker.lines_with('wrong'), 0)


def test_tls_is_verified(place):
  good = place.slapd()
  ca = f'--route-ldap-ca-file={place.authority.path("ca.pem")}'
  stranger = f'--route-ldap-ca-file={place.authority.path("stranger.pem")}'
  starttls = '--route-ldap-tls=starttls'
  same_answers(place.asker(good.uri, starttls, ca), ALICE)
  same_answers(place.asker(good.tls_uri, ca), ALICE)
  for uri, more in ((good.uri, [starttls]), (good.tls_uri, [])):
    # Whatever ldap.conf says.
    env = {'LDAPTLS_REQCERT': 'never', 'LDAPTLS_CACERT': place.authority.path('stranger.pem')}
    same_answers(place.asker(uri, *more, stranger, env=env), NO_ALICE)
    env.pop('LDAPTLS_CACERT')
    same_answers(place.asker(uri, *more, env=env), NO_ALICE)
  nowhere = place.asker(good.uri, starttls, '--route-ldap-ca-file=/nowhere')
  found, _ = nowhere.ask('alice@example.org')
  same(found, f'451 4.4.3 No route: {good.uri}: the CAs cannot be read (--route-ldap-ca-file)')
  for name in ('wrong_address', 'expired'):
    bad = place.slapd(name)
    same_answers(place.asker(bad.uri, starttls, ca), NO_ALICE)
    same_answers(place.asker(bad.tls_uri, ca), NO_ALICE)


def test_a_socket_will_do(place):
  same_answers(place.asker(place.slapd().socket_uri), ALICE)


def test_answers_are_kept_for_a_while(place):
  slapd = place.slapd()
  asker = place.asker(slapd.uri, '--route-ldap-cache=1s', '--route-ldap-negative-cache=1s')
  same_answers(asker, ALICE | DAVE)
  slapd.change('alice', 'mailHost', 'imap7')
  slapd.change('dave', 'mailHost', 'imap7')
  same_answers(asker, ALICE | DAVE)
  time.sleep(1.1)
  same_answers(asker, {'alice@example.org': 'inet:imap7', 'dave@example.org': 'inet:imap7'})


def test_a_directory_that_is_started_anew_is_asked_again(place):
  slapd = place.slapd()
  asker = place.asker(slapd.uri)
  same_answers(asker, ALICE)
  slapd.stop()
  slapd.start()
  same_answers(asker, {'erin@example.org': 'inet:imap1 inet:imap2:24'})
  same(asker.lines_with('does not answer'), 0)


def test_a_dead_directory_is_temporary_and_what_is_known_stays_for_a_while(place):
  slapd = place.slapd()
  asker = place.asker(slapd.uri, '--route-ldap-cache=0s', '--route-ldap-negative-cache=0s',
                      '--route-ldap-stale=3s')
  same_answers(asker, ALICE | DAVE)
  slapd.stop()
  lost = f"451 4.4.3 No route: {slapd.uri}: Can't contact LDAP server..."
  same_answers(asker, {'alice@example.org': 'inet:imap1.example.org', 'dave@example.org': lost,
                       'bob@example.org': lost})
  same(asker.lines_with('does not answer'), 1)
  time.sleep(3.1)
  same_answers(asker, {'alice@example.org': lost})
  slapd.start()
  end = time.monotonic() + 10
  while asker.ask('alice@example.org')[0] != 'inet:imap1.example.org':
    assert time.monotonic() < end, 'it is not asked again'
    time.sleep(0.1)
  same(asker.lines_with('answers again'), 1)


def test_a_stalled_directory_holds_each_thread_once_at_most(place):
  """Of 32 who ask, none waits much longer than the timeout, and who asks next hears at once."""
  slapd = place.slapd()
  asker = place.asker(slapd.uri, '--route-ldap-timeout=1s')
  same_answers(asker, ALICE)
  slapd.pause()
  answer, took = asker.ask('32 crowd@example.org')
  assert answer.startswith('32 451 4.4.3 No route: ') or '451' in answer, answer
  assert 'inet' not in answer and 'default' not in answer, answer
  assert took < 3500, f'{took} ms'
  answer, took = asker.ask('bob@example.org')
  assert answer.startswith('451') and took < 100, f'{answer} after {took} ms'
  slapd.resume()
  end = time.monotonic() + 15
  while asker.ask('bob@example.org')[0] != 'inet:imap2.example.org:2003':
    assert time.monotonic() < end, 'it is not asked again'
    time.sleep(0.1)


def test_who_does_not_answer_at_all_costs_its_timeout(place):
  """A port that takes connections and says nothing; then a second directory that is well."""
  with socket.socket() as silent:
    silent.bind(('127.0.0.1', 0))
    silent.listen(16)
    uri = f'ldap://127.0.0.1:{silent.getsockname()[1]}'
    for more in ([], ['--route-ldap-tls=starttls']):
      answer, took = place.asker(uri, '--route-ldap-timeout=1s', *more).ask('alice@example.org')
      assert answer.startswith('451 4.4.3') and 900 <= took < 2500, f'{answer} after {took} ms'
    answer, took = place.asker(uri.replace('ldap:', 'ldaps:'), '--route-ldap-timeout=1s').ask(
        'alice@example.org')
    assert answer.startswith('451 4.4.3') and 900 <= took < 2500, f'{answer} after {took} ms'
    asker = place.asker(f'{uri} {place.slapd().uri}', '--route-ldap-timeout=1s')
    answer, took = asker.ask('alice@example.org')
    assert answer == 'inet:imap1.example.org' and took < 2500, f'{answer} after {took} ms'
    answer, took = asker.ask('bob@example.org')
    assert answer == 'inet:imap2.example.org:2003' and took < 500, f'{answer} after {took} ms'


def test_a_handshake_that_stalls_is_bounded(place):
  """STARTTLS is answered, and nothing else; then a directory that stops within TLS."""
  success = bytes.fromhex('300c02010178070a010004000400')  # ExtendedResponse to message 1
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    server.listen(16)
    server.settimeout(10)
    asker = place.asker(f'ldap://127.0.0.1:{server.getsockname()[1]}', '--route-ldap-timeout=1s',
                        '--route-ldap-tls=starttls')
    asker.child.stdin.write('alice@example.org\n')
    client, _ = server.accept()
    with client:
      client.recv(4096)
      client.sendall(success)
      line = asker.child.stdout.readline()
    answer, took = line.rstrip('\n').split('\t')
    assert answer.startswith('451 4.4.3') and 900 <= int(took) < 2500, f'{answer} after {took} ms'
    assert process_seconds(asker.child.pid) < 0.5, 'it waited by trying again and again'
  slapd = place.slapd()
  asker = place.asker(slapd.tls_uri, '--route-ldap-timeout=1s', '--route-ldap-cache=0s',
                      '--route-ldap-stale=0s',
                      f'--route-ldap-ca-file={place.authority.path("ca.pem")}')
  same_answers(asker, ALICE)
  slapd.pause()
  answer, took = asker.ask('alice@example.org')
  assert answer.startswith('451 4.4.3') and 900 <= took < 2500, f'{answer} after {took} ms'


def process_seconds(pid: int) -> float:
  """CPU time that it used."""
  fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
  return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def test_the_second_directory_is_asked_where_the_first_is_dead(place):
  slapd = place.slapd()
  asker = place.asker(f'ldap://127.0.0.1:{free_port()} {slapd.uri}')
  same_answers(asker, ALICE)


def test_threads_share_a_few_connections(place):
  slapd = place.slapd()
  asker = place.asker(slapd.uri)
  for _ in range(3):
    same(asker.ask('32 crowd@example.org')[0], '16 inet:imap0; 16 inet:imap1')
  assert 1 <= slapd.connections() <= 4, f'{slapd.connections()} connections'


def test_a_file_counts_more_than_the_directory(place):
  routes = place.folder / 'routes'
  routes.write_text('alice@example.org imap6\nbob@example.org error:5.1.6 Bob has moved\n')
  routes.chmod(0o644)
  same_answers(place.asker(place.slapd().uri, f'--route-file={routes}'), {
      'alice@example.org': 'inet:imap6',
      'bob@example.org': '550 5.1.6 Bob has moved',
      'erin@example.org': 'inet:imap1 inet:imap2:24',
  })


def tests(words: list):
  for name, test in list(globals().items()):
    if name.startswith('test_'):
      title = name[len('test_'):].replace('_', ' ')
      if not words or any(word in title for word in words):
        yield title, test
