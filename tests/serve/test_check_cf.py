"""`lmtpq check --cf`: what it says of a sendmail.cf, without lmtpq-serve."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from fixtures import paths

EX_CONFIG = 78
KEY = 'k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n'
CF = """V10/Berkeley
O InputMailFilters=lmtpq
O DaemonPortOptions=Name=MTA
O Milter.macros.connect=j, _, {client_addr}
O Milter.macros.envfrom=i, {auth_authen}, {verify}, {cert_subject}, {client_addr}
O Milter.macros.envrcpt={rcpt_mailer}, {rcpt_host}, {rcpt_addr}
O Milter.macros.eom={msg_id}, i, {msg_size}
Sparse=0
R$* < @$* > $*\t\t$#esmtp $@ $2 $: $1 < @ $2 > $3\tuser@host
R$+\t\t\t$#cyrusv2 $: $1\t\t\tregular local names
Xlmtpq, S=unix:{folder}/milter, F=T, T=C:30s;S:10s;R:30s;E:1m
Mesmtp,\t\tP=[IPC], F=mDFMuXa, E=\\r\\n, L=990,
\t\tA=TCP $h
Mcyrusv2,\tP={folder}/lmtpq, F=lsDFMnqXzA@/:|mS, U={user}, W=1m,
\t\tE=\\r\\n, T=DNS/RFC822/SMTP,
\t\tA=lmtpq relay --config={folder}/lmtpq.conf --tag-keys={folder}/tag.keys unix:/run/store
"""
MAILER = '\n'.join(CF.splitlines()[-3:]) + '\n'
DAEMON = ('Mcyrusv2, P=[IPC], F=lsDFMnqXzA@/:|m, E=\\r\\n,\n\tA=FILE {folder}/lmtp\n')


class Place:
  """A .cf with all that it names; the program has no lmtpq-serve beside it."""

  def __init__(self, path: Path, lmtpq: Path):
    self.path = path
    path.chmod(0o755)
    self.program = path / 'lmtpq'
    os.link(lmtpq, self.program)
    self.user = 'nobody' if os.geteuid() == 0 else str(os.geteuid())
    (path / 'lmtpq.conf').write_text('')
    keys = path / 'tag.keys'
    keys.touch(mode=0o600)
    keys.write_text(KEY)
    self.milter = self.listen('milter')

  def listen(self, name: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(self.path / name))
    made.listen()
    return made

  def filled(self, text: str) -> str:
    return text.replace('{folder}', str(self.path)).replace('{user}', self.user)

  def check(self, text: str, *words: str) -> subprocess.CompletedProcess:
    cf = self.path / 'sendmail.cf'
    cf.write_text(self.filled(text))
    return subprocess.run([self.program, 'check', '--cf', cf, f'--config={self.path}/lmtpq.conf',
                           *words], capture_output=True, text=True, timeout=60)

  def findings(self, text: str, *words: str) -> list[str]:
    """LINE: error|warning: TEXT of each; the exit status fits them."""
    ran = self.check(text, *words)
    start = f'{self.path}/sendmail.cf:'
    lines = ran.stderr.splitlines()
    assert all(line.startswith(start) for line in lines), ran
    assert ran.returncode == (EX_CONFIG if ': error: ' in ran.stderr else 0), ran
    assert len(ran.stdout.splitlines()) == 1 and ran.stdout.startswith(f'{start} '), ran
    return [line.removeprefix(start).strip() for line in lines]


@pytest.fixture(scope='module')
def alone(tmp_path_factory, lmtpq) -> Path:
  """A copy without lmtpq-serve beside it."""
  return Path(shutil.copy(lmtpq, tmp_path_factory.mktemp('alone')))


@pytest.fixture
def place(scratch, alone, request):
  made = Place(scratch.folder(f'cf{abs(hash(request.node.name)) % 10**8}'), alone)
  yield made
  made.milter.close()


def test_a_complete_cf_has_no_finding_and_the_last_line_says_where_mail_goes(place):
  ran = place.check(CF)
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert ran.stdout == place.filled(
      '{folder}/sendmail.cf: mail for local users goes to cyrusv2 (lmtpq relay '
      '--config={folder}/lmtpq.conf --tag-keys={folder}/tag.keys unix:/run/store), '
      'milter lmtpq at unix:{folder}/milter with F=T; ok\n')


# name: what is replaced in the .cf, by what, and the finding (LINE: ...)
FINDINGS = {
    'no mailer': (MAILER, '', '10: error: mail for local users goes to the mailer cyrusv2, which is '
                  'not defined: it bounces'),
    'a rule of the admin': ('$#esmtp', '$#cyrusv2q', '9: error: mail goes to the mailer cyrusv2q, '
                            'which is not defined'),
    'an error of m4': (MAILER, '*** ERROR: no mailers cyrusv2 and cyrusv2q; m4 said why\n',
                       '14: error: "*** ERROR: no mailers cyrusv2 and cyrusv2q; m4 said why": '
                       'Sendmail does not start with this line'),
    'text that m4 left': ('V10/Berkeley', "include(`x')", "1: error: \"include(`x')\""),
    'no program': ('P={folder}/lmtpq', 'P={folder}/bin/lmtpq', '14: error: cyrusv2: P='),
    'a program that may not be run': ('P={folder}/lmtpq', 'P={folder}/lmtpq.conf',
                                      '14: error: cyrusv2: P='),
    'a relative program': ('P={folder}/lmtpq', 'P=lmtpq', '14: error: cyrusv2: P=lmtpq: '),
    'no F=z': ('qXzA', 'qXA', '14: error: cyrusv2: F= lacks z'),
    'no F=X': ('qXzA', 'qzA', '14: error: cyrusv2: F= lacks X'),
    'no F=n': ('DFMnq', 'DFMq', '14: error: cyrusv2: F= lacks n'),
    'no F=l': ('F=ls', 'F=s', '14: error: cyrusv2: F= lacks l: without it mail bounces'),
    'no F=S': ('|mS', '|m', '14: warning: cyrusv2: F= lacks S'),
    'F=f': ('|mS', '|mSf', '14: error: cyrusv2: F= has f'),
    'F=E': ('|mS', '|mSE', '14: warning: cyrusv2: F= has E'),
    'another command': ('lmtpq relay', 'lmtpq serve',
                        '14: error: cyrusv2: A=lmtpq serve'),
    'an unknown option': ('lmtpq relay', 'lmtpq relay --no-such-option',
                          '14: error: cyrusv2: A=lmtpq relay: unknown option --no-such-option'),
    'no store': (' unix:/run/store', '', '14: error: cyrusv2: A=lmtpq relay: no destination'),
    'no configuration file': ('--config={folder}/lmtpq', '--config={folder}/other',
                              '14: error: cyrusv2: A=lmtpq relay: '),
    'no key': ('tag.keys', 'other.keys', '14: error: cyrusv2: A=lmtpq relay: --tag-keys: '),
    '$u': ('unix:/run/store', 'unix:/run/store $u', '14: error: cyrusv2: A= has $u'),
    'a macro for many': ('unix:/run/store', 'inet:$h:24', '14: error: cyrusv2: A= has a macro'),
    'deliver by LMTP': ('lmtpq relay', 'lmtpq deliver', '14: error: cyrusv2: A= runs lmtpq deliver'),
    'no user': ('U={user}', 'U=no-such-user', '14: error: cyrusv2: U=no-such-user: no such user'),
    'no failure action': ('F=T, ', '', '11: warning: milter lmtpq: no F='),
    'a failure action that bounces': ('F=T, ', 'F=R, ', '11: error: milter lmtpq: F=R: mail bounces'),
    'no list of filters': ('O InputMailFilters', '#O InputMailFilters', '11: error: milter lmtpq '
                           'is asked for no mail'),
    'a daemon with another list': ('Name=MTA', 'Name=MTA, I=other', '3: warning: mail to this daemon '
                                   'gets no tag'),
    'a daemon with a list by its long name': ('Name=MTA', 'Name=MTA, inputMailFilters=other', '3: warning: mail '
                                              'to this daemon gets no tag'),
    'a daemon alone': ('O InputMailFilters=lmtpq\nO DaemonPortOptions=Name=MTA',
                       'O DaemonPortOptions=Name=MSA\nO DaemonPortOptions=Name=MTA, I=other;lmtpq',
                       '11: warning: milter lmtpq is asked for the mail of some daemons only'),
    'a macro that is missing': ('{msg_id}, i, {msg_size}', '{msg_size}', '7: warning: '
                                'Milter.macros.eom lacks i: '),
    'a stage without macros': ('O Milter.macros.connect', '#', '11: warning: Milter.macros.connect '
                               'lacks {client_addr}'),
    'no socket': ('{folder}/milter,', '{folder}/none,', '11: warning: milter lmtpq: nobody can be '
                  'reached at S=unix:'),
    'no such form of a socket': ('unix:{folder}/milter,', 'tcp:1@x,', '11: warning: milter lmtpq: nobody '
                                 'can be reached at S=tcp:1@x: expected unix:PATH'),
    'the stock mailer': (MAILER, DAEMON, '14: error: cyrusv2: mail for it gets a tag from the milter, '
                         'and it does not run lmtpq, which removes tags: unix:'),
    'a stock program': ('A=lmtpq relay', 'A=deliver', '14: error: '),
    'no group': ('U={user}', 'U={user}:no-such-group', '14: error: cyrusv2: U={user}:no-such-group: no such '
                 'group on this system'),
    '${u}': ('unix:/run/store', 'unix:/run/store ${u}', '14: error: cyrusv2: A= has $u'),
    '$&u': ('unix:/run/store', 'unix:/run/store $&u', '14: error: cyrusv2: A= has $u'),
    'a macro without r=1': ('W=1m,\n\t\tE=\\r\\n, T=DNS/RFC822/SMTP,\n\t\tA=lmtpq relay --config={folder}/lmtpq.conf '
                            '--tag-keys={folder}/tag.keys unix:/run/store',
                            'm=1, A=lmtpq relay --config={folder}/lmtpq.conf --tag-keys=none inet:$h:24',
                            '14: error: cyrusv2: A= has a macro'),
    'another failure action': ('F=T, ', 'F=X, ', '11: error: milter lmtpq: F=X: expected T or 4'),
    'no such port of a socket': ('unix:{folder}/milter,', 'inet:no-such@127.0.0.1,', '11: warning: milter lmtpq: '
                                 'nobody can be reached at S=inet:no-such@127.0.0.1: no service no-such'),
    'a socket without a port': ('unix:{folder}/milter,', 'inet@a:1,', '11: warning: milter lmtpq: nobody '
                                'can be reached at S=inet@a:1: expected unix:PATH'),
    'a socket without a host': ('unix:{folder}/milter,', 'inet:1,', '11: warning: milter lmtpq: nobody '
                                'can be reached at S=inet:1: expected unix:PATH'),
    'a socket of IPv6': ('unix:{folder}/milter,', 'inet6:1@::1,', '11: warning: milter lmtpq: nobody can be '
                         'reached at S=inet6:1@::1: inet:[::1]:1'),
}


@pytest.mark.parametrize('name', FINDINGS)
def test_each_error_has_its_line_and_what_to_do(place, name):
  old, new, expected = FINDINGS[name]
  assert CF.count(old) >= 1, name
  found = place.findings(CF.replace(old, new))
  assert any(line.startswith(place.filled(expected)) for line in found), found
  # What follows from it is said once more, and nothing else is.
  follows = ('error: no mailer runs lmtpq', '11: error: milter lmtpq writes tags',
             '10: error: mail for local users goes to the mailer cyrusv2, which is not defined')
  others = [line for line in found if not line.startswith(place.filled(expected))]
  assert all(line.startswith(follows) for line in others), found


def test_a_milter_without_a_mailer_that_removes_tags_is_an_error(place):
  text = CF.replace(MAILER, 'Mlocal, P=/bin/sh, F=ls, A=sh -c $u\n').replace('$#cyrusv2', '$#local')
  found = place.findings(text)
  assert found == ['error: no mailer runs lmtpq or dials its daemon; add MAILER(lmtpq) to the .mc, '
                   'and see whether m4 found its file',
                   '11: error: milter lmtpq writes tags, and no mailer removes them: add '
                   'MAILER(lmtpq) to the .mc, or drop FEATURE(lmtpq_milter)'], found


def test_without_a_milter_no_tag_is_looked_for(place):
  text = CF.replace(CF.splitlines()[10] + '\n', '')
  ran = place.check(text)
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert ran.stdout.endswith('unix:/run/store), no milter writes tags; ok\n'), ran


def test_lmtpq_needs_a_rule_or_a_mailertable(place):
  text = CF.replace('$#cyrusv2', '$#esmtp')
  ran = place.check(text)
  assert ran.returncode == 0, ran
  assert ran.stderr == place.filled('{folder}/sendmail.cf: warning: no rule and no mailertable gives mail to '
                                    'lmtpq; set confLOCAL_MAILER in the .mc\n'), ran
  assert ('mail for local users goes to esmtp (not lmtpq: [IPC] TCP $h), other mail can go to cyrusv2 (lmtpq '
          'relay ') in ran.stdout, ran
  assert place.findings(text + 'Kmailertable hash /etc/mail/mailertable\n') == []


def test_a_macro_is_expanded_once_for_each_process(place):
  for macro in ('$h', '${client_name}', '$&h', '$h.$&h'):
    text = CF.replace('unix:/run/store', f'inet:x{macro}').replace('W=1m', 'm=1, r=1')
    assert place.findings(text) == [], macro


@pytest.mark.parametrize('socket', ['{folder}/milter', 'local:{folder}/milter', 'unix:{folder}/milter'])
def test_a_path_of_the_milter_has_three_forms(place, socket):
  text = CF.replace('S=unix:{folder}/milter, F=T', f'S={socket}, F=4')
  assert place.findings(text) == []
  (place.path / 'milter.conf').write_text(place.filled('socket = unix:{folder}/milter\n'))
  other = text.replace('Xlmtpq', 'Xquota').replace('Filters=lmtpq', 'Filters=quota')
  assert 'milter quota at ' in place.check(other).stdout


def test_a_next_host_may_remove_the_tags(place):
  (place.path / 'milter.conf').write_text('tag-mailers = esmtp\n')
  text = CF.replace(MAILER, 'Mlocal, P=/bin/sh, F=ls, A=sh -c $u\n').replace('$#cyrusv2', '$#local')
  found = place.findings(text)
  assert not any('writes tags' in line for line in found), found
  assert any(line.startswith('12: warning: esmtp: mail leaves this host with tags') for line in found)
  assert any('cyrusv2: mail for it gets' in line
             for line in place.findings(CF.replace(MAILER, DAEMON), '--milter-config=/nowhere'))


def test_a_milter_of_another_name_is_known_by_its_socket(place):
  text = CF.replace('Xlmtpq', 'Xquota').replace('Filters=lmtpq', 'Filters=quota')
  assert 'no milter writes tags' in place.check(text).stdout
  (place.path / 'milter.conf').write_text(place.filled('socket = unix:{folder}/milter\n'))
  ran = place.check(text)
  assert 'milter quota at unix:' in ran.stdout and ran.stderr == '', ran


def test_a_milter_on_tcp_is_looked_for_there(place):
  listening = socket.create_server(('127.0.0.1', 0))
  port = listening.getsockname()[1]
  text = CF.replace('unix:{folder}/milter', f'inet:{port}@127.0.0.1')
  assert place.findings(text) == []
  listening.close()
  [found] = place.findings(text)
  assert found.startswith(f'11: warning: milter lmtpq: nobody can be reached at S=inet:{port}@127.0.0.1: ')


def test_a_daemon_is_known_by_a_listener_of_the_configuration(place):
  text = CF.replace(MAILER, DAEMON)
  assert any('error' in line for line in place.findings(text))
  conf = '[listener.mta]\naddress = unix:{folder}/lmtp\ndestination = unix:/run/store\n'
  (place.path / 'lmtpq.conf').write_text(place.filled(conf))
  ran = place.check(text)
  assert (ran.returncode, ran.stderr) == (0, ''), ran
  assert 'cyrusv2 ([IPC] FILE ' in ran.stdout, ran
  [found] = place.findings(text.replace('|m, E=', '|mQ, E='))
  assert found.startswith('14: warning: cyrusv2: its listener unix:'), found


@pytest.mark.parametrize('greeting, is_ours', [
    (b'220 mail.test LMTP lmtpq abc\r\n', True), (b'220 mail.test Cyrus LMTP ready\r\n', False)])
def test_a_daemon_that_runs_is_known_by_its_greeting(place, greeting, is_ours):
  listening = place.listen('lmtp')
  child = os.fork()
  if child == 0:
    for _ in range(2):
      client = listening.accept()[0]
      client.sendall(greeting)
      client.recv(1)
    os._exit(0)
  try:
    assert (place.findings(CF.replace(MAILER, DAEMON)) == []) is is_ours
  finally:
    os.kill(child, 9)
    os.waitpid(child, 0)
    listening.close()


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
def test_files_are_read_with_the_rights_that_sendmail_gives(place):
  """Keys with those of root, all else as the user of U=."""
  assert place.findings(CF) == []
  (place.path / 'lmtpq.conf').chmod(0o600)
  [found] = place.findings(CF)
  assert 'lmtpq.conf: Permission denied as user nobody' in found, found
  (place.path / 'lmtpq.conf').chmod(0o644)
  (place.path / 'own').mkdir(mode=0o700)
  shutil.copy(place.program, place.path / 'own')
  [found] = place.findings(CF.replace('P={folder}/', 'P={folder}/own/'))
  assert 'P=' in found and 'Permission denied as user nobody' in found, found


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
@pytest.mark.parametrize('user, may_read', [
    ('nobody', False), ('nobody:daemon', True), ('nobody.daemon', True), ('nobody:1', True), ('nobody: daemon', True),
    ('65534', False), ('65534:1', True), ('65534:65534', False), ('daemon', True), ('daemon:nogroup', False)])
def test_the_group_of_the_mailer_counts(place, user, may_read):
  conf = place.path / 'lmtpq.conf'
  os.chown(conf, 0, 1)
  conf.chmod(0o640)
  found = place.findings(CF.replace('U={user}', f'U={user}'))
  assert found == [] if may_read else 'lmtpq.conf: Permission denied as user ' in found[0], found


@pytest.mark.may_skip('only root')
@pytest.mark.skipif(os.geteuid() != 0, reason='only root can do this')
def test_a_check_by_another_user_says_so(place):
  (place.path / 'sendmail.cf').write_text(place.filled(CF.replace('U={user}', 'U=root')))
  ran = subprocess.run(
      [place.program, 'check', '--cf', place.path / 'sendmail.cf', f'--config={place.path}/lmtpq.conf'],
      capture_output=True, text=True, timeout=60, user=65534, group=65534, extra_groups=[])
  assert '14: warning: cyrusv2: checked as user nobody, not as that of U=; run the check' in ran.stderr, ran


def test_a_mailer_that_is_missing_is_reported_once(place):
  rules = 'R$=L\t$#cyrusv2 $: @ $1\nR$+ + *\t$#cyrusv2 $@ $&h $: $1\n'
  found = place.findings(CF.replace('Sparse=0\n', 'Sparse=0\n' + rules).replace(MAILER, ''))
  assert len([line for line in found if 'which is not defined' in line]) == 1, found
  assert any(line.startswith('12: error: mail for local users goes to') for line in found), found


def test_a_file_that_no_m4_makes_is_refused(place):
  ran = place.check(100_000 * CF.splitlines(keepends=True)[9])
  assert ran.returncode == EX_CONFIG and ': error: larger than 1 MiB; ' in ran.stderr, ran


@pytest.mark.parametrize('words, error', [
    (['--cf', '/nowhere/sendmail.cf'], '/nowhere/sendmail.cf: error: No such file or directory'),
    (['--cf', '/'], '/: error: Is a directory'),
    (['--cf='], 'lmtpq: --cf: expected a path'),
    (['--cf', '/x', '--queue', '/y'], 'lmtpq: --cf and --queue are two checks'),
    (['--cf', '/x', '--user', 'root'], 'lmtpq: --user has no effect'),
    (['--queue', '/x', '/y'], 'lmtpq: unexpected argument /y')])
def test_what_cannot_be_checked_is_an_error(place, words, error):
  ran = subprocess.run([place.program, 'check', *words], capture_output=True, text=True, timeout=60)
  assert ran.returncode == EX_CONFIG and ran.stderr.startswith(error), ran


def test_only_the_configuration_files_need_the_daemon(place):
  ran = subprocess.run([place.program, 'check', '--help'], capture_output=True, text=True, timeout=60)
  assert ran.returncode == 0 and ran.stdout.startswith('usage: lmtpq check'), ran
  ran = subprocess.run([place.program, 'check'], capture_output=True, text=True, timeout=60)
  assert ran.returncode == 72 and 'lmtpq-serve' in ran.stderr, ran
  assert paths.program('LMTPQ').with_name('lmtpq-serve').exists()
