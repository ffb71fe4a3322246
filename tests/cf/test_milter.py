"""FEATURE(lmtpq_milter): the X line for each SOCKET and FAILURE, and what is refused."""

import re

import pytest

from fixtures.paths import ROOT

from .configuration import BANNER, INCLUDE, MILTER, STOCK, define, feature, mc

QUICK = 'T=C:5s;S:5s;R:10s;E:15s'
PATIENT = 'T=C:30s;S:10s;R:30s;E:1m'
DEFAULT = f'Xlmtpq, S=unix:/run/lmtpq/milter.sock, {QUICK}'

SOCKETS = {
    'unix:/run/lmtpq/milter.sock': 'unix:/run/lmtpq/milter.sock',
    'local:/var/run/lmtpq.sock': 'local:/var/run/lmtpq.sock',
    'unix:/srv/format/unix/len-index_1@a:b+c%d=e~': 'unix:/srv/format/unix/len-index_1@a:b+c%d=e~',
    'unix:/' + 106 * 'a': 'unix:/' + 106 * 'a',
    'inet:8891@127.0.0.1': 'inet:8891@127.0.0.1',
    'inet:1@localhost': 'inet:1@localhost',
    # In brackets, Sendmail would never connect (see test_milter_failures.py).
    'inet:65535@[127.0.0.1]': 'inet:65535@127.0.0.1',
    'inet6:8891@[::1]': 'inet6:8891@::1',
    'inet6:8891@::1': 'inet6:8891@::1',
}
FORM = 'expected unix:PATH, inet:PORT@HOST or inet6:PORT@HOST'
INET = 'expected inet:PORT@HOST, the port a number from 1 to 65535'
HOST = 'a host is NAME, 1.2.3.4, or with inet6: [ADDR]'
CHARACTERS = 'a path has only letters, digits and ./:_+@%=~-'
REFUSED = {
    '/run/lmtpq/milter.sock': FORM,
    'lmtpq': FORM,
    'UNIX:/a': FORM,
    'S=unix:/a': FORM,
    'tcp:8891@localhost': FORM,
    'unix:': 'expected an absolute path',
    'unix:run/a': 'expected an absolute path',
    'local:a': 'expected an absolute path',
    'unix:/run/lmtpq/': 'that is a directory',
    'unix:/' + 107 * 'a': 'a path has at most 107 characters',
    'unix:/a b': CHARACTERS,
    'unix:/a"b': CHARACTERS,
    'unix:/a\\b': CHARACTERS,
    'unix:/a;b': CHARACTERS,
    'unix:/a$b': CHARACTERS,
    'inet:8891': INET,
    'inet:': INET,
    'inet:@localhost': INET,
    'inet:0@localhost': INET,
    'inet:088@localhost': INET,
    'inet:65536@localhost': INET,
    'inet:12345678901234567890@localhost': INET,
    'inet:smtp@localhost': INET,
    'inet:-1@localhost': INET,
    'inet6:x@::1': INET.replace('inet:', 'inet6:'),
    'inet:8891@': 'no host after the @',
    'inet:8891@[]': 'no host after the @',
    'inet:8891@::1': HOST,
    'inet:8891@[127.0.0.1': HOST,
    'inet:8891@a b': HOST,
    'inet:8891@a@b': HOST,
}


class TestMilterLine:
  def test_with_no_argument_is_the_socket_of_the_milter_and_lets_mail_pass(self, cf):
    made = cf.make(mc(feature()))
    assert made.lines('X') == [DEFAULT]
    assert made.option('InputMailFilters') == 'lmtpq'
    header = (ROOT / 'common' / 'tag' / 'milter_defaults.h').read_text()
    assert 'kMilterSocket = "unix:/run/lmtpq/milter.sock"' in header

  @pytest.mark.parametrize('given, written', SOCKETS.items())
  def test_has_each_form_of_the_socket_and_sendmail_takes_it(self, cf, given, written):
    made = cf.make(mc(feature(given)))
    assert made.lines('X') == [f'Xlmtpq, S={written}, {QUICK}']
    assert made.ask() == BANNER

  @pytest.mark.parametrize('flag, fields', [
      ('', QUICK), ('T', f'F=T, {PATIENT}'), ('4', f'F=4, {PATIENT}'), ('R', f'F=R, {PATIENT}')])
  def test_has_each_failure_flag_and_the_timeouts_that_fit_it(self, cf, flag, fields):
    made = cf.make(mc(feature('unix:/a', flag)))
    assert made.lines('X') == [f'Xlmtpq, S=unix:/a, {fields}']
    assert made.ask() == BANNER
    only_flag = cf.make(mc(feature('', flag)))
    assert only_flag.lines('X') == [f'Xlmtpq, S=unix:/run/lmtpq/milter.sock, {fields}']

  @pytest.mark.parametrize('flag, seconds', [('', (5, 5, 10, 15)), ('T', (30, 10, 30, 60))])
  def test_has_timeouts_as_sendmail_reads_them(self, cf, flag, seconds):
    shown = cf.make(mc(feature('', flag))).run('-d64.5', '-bt')
    assert (re.findall(r'^Xlmtpq: ([CSRE])=(\d+)$', shown, re.MULTILINE)
            == list(zip('CSRE', map(str, seconds))))

  def test_is_in_the_readme_with_its_knobs_and_defaults(self):
    readme = (ROOT / 'cf' / 'README.md').read_text()
    for words in ('| SOCKET | `LMTPQ_MILTER_SOCKET` | `unix:/run/lmtpq/milter.sock` |',
                  '| FAILURE | `LMTPQ_MILTER_FAILURE` | none |', f'`{QUICK[2:]}`',
                  f'`{PATIENT[2:]}`', f'\n    {DEFAULT}\n'):
      assert words in readme

  def test_takes_a_macro_of_m4(self, cf):
    made = cf.make(mc(define('MY_DIR', '/srv/run') + feature('unix:MY_DIR/sock')))
    assert made.lines('X') == [f'Xlmtpq, S=unix:/srv/run/sock, {QUICK}']


class TestMilterErrors:
  def refused(self, cf, knobs: str, mailer: str = INCLUDE) -> str:
    """What m4 says; and the .cf that it made all the same is one that Sendmail refuses."""
    made = cf.m4(mc(knobs, mailer))
    assert made.returncode == 1, knobs
    assert made.stdout.count('*** ERROR: no filter lmtpq; m4 said why\n') == 1, knobs
    lines = made.stderr.splitlines()
    assert lines and all(line.startswith('*** ERROR: FEATURE(lmtpq_milter): ') for line in lines), (
        made.stderr)
    return ' '.join(line.partition('): ')[2] for line in lines)

  @pytest.mark.parametrize('socket, complaint', REFUSED.items())
  def test_in_the_socket_are_named(self, cf, socket, complaint):
    assert self.refused(cf, feature(socket)) == f'SOCKET is "{socket}": {complaint}'

  def test_a_comma_in_the_socket_is_named(self, cf):
    assert self.refused(cf, feature('unix:/a, F=T')) == 'SOCKET must not have a comma'

  @pytest.mark.parametrize('flag', ['t', 'TR', 'F=T', 'tempfail', '421', ' T', 'T,R'])
  def test_in_the_failure_flag_are_named(self, cf, flag):
    assert (self.refused(cf, feature('unix:/a', flag))
            == f'FAILURE is "{flag}": expected T, 4, R or nothing')

  @pytest.mark.parametrize('arguments', [('invalid',), ('', 'x'), ('unix:/a', 'T', '5m')])
  def test_leave_no_filter_and_a_cf_on_which_sendmail_does_not_start(self, cf, arguments):
    made = cf.make(mc())
    text = cf.m4(mc(feature(*arguments))).stdout
    assert 'Xlmtpq' not in text
    assert 'O InputMailFilters=' not in text.replace('#O', '')
    made.path.write_text(text)
    printed = made.run('-bv', 'postmaster')
    assert 'unknown configuration line "*** ERROR: no filter lmtpq' in printed
    assert 'deliverable' not in printed

  def test_twice_in_one_mc(self, cf):
    twice = 'the .mc has a filter lmtpq already, drop one of the two'
    assert self.refused(cf, feature() + feature()) == twice
    assert self.refused(cf, feature() + feature('unix:/other', 'T')) == twice
    assert self.refused(cf, feature() + f"include(`{MILTER}')\n") == twice
    assert self.refused(cf, "INPUT_MAIL_FILTER(`lmtpq', `S=unix:/a')\n" + feature()) == twice

  def test_more_arguments_than_two(self, cf):
    assert (self.refused(cf, feature('unix:/a', 'T', '5m'))
            == 'it takes SOCKET and FAILURE, and no more')

  @pytest.mark.parametrize('below', ['LOCAL_RULE_0\n', ''])
  def test_a_list_of_filters_below_that_leaves_it_out(self, cf, below):
    knobs = feature() + define('confINPUT_MAIL_FILTERS', 'other, xlmtpq') + below
    assert (self.refused(cf, knobs)
            == 'confINPUT_MAIL_FILTERS is set below it without lmtpq, add it there')

  @pytest.mark.parametrize('mailer', [
      '', STOCK, "MAILER(`lmtpqq')\n", "include(`/nowhere/lmtpq.m4')\n",
      'MAILER_DEFINITIONS\nMstore, P=/usr/local/libexec/lmtpq/lmtpq, F=lsDFMnqXz, A=lmtpq relay unix:/x\n'])
  def test_no_mailer_that_removes_the_tags(self, cf, mailer):
    """The stock mailer does not, and a file that m4 does not find defines none."""
    made = cf.m4(mc(feature(), mailer))
    assert made.returncode == 1, made.stderr
    assert made.stdout.count('*** ERROR: no filter lmtpq; m4 said why\n') == 1
    said = [line for line in made.stderr.splitlines() if line.startswith('*** ERROR')]
    assert said == ['*** ERROR: FEATURE(lmtpq_milter): no mailer removes its tags: add '
                    'MAILER(lmtpq), whose file m4 must find, or define LMTPQ_TAG_MAILER as the '
                    'mailer that runs lmtpq']
    named = cf.m4(mc(feature() + define('LMTPQ_TAG_MAILER', 'store'), mailer))
    assert '*** ERROR' not in named.stdout + named.stderr

  def test_nothing_more_where_the_mailers_have_errors(self, cf):
    made = cf.m4(mc(feature() + define('CYRUSV2_MAILER_ARGS', 'invalid')))
    assert made.returncode == 1
    assert 'no mailer removes its tags' not in made.stderr

  def test_do_not_hide_those_of_the_mailers(self, cf):
    made = cf.m4(mc(feature('x') + define('CYRUSV2_MAILER_ARGS', 'invalid')))
    assert made.returncode == 1
    assert 'ERROR: FEATURE(lmtpq_milter): SOCKET' in made.stderr
    assert 'ERROR: MAILER(lmtpq): CYRUSV2_MAILER_ARGS' in made.stderr
