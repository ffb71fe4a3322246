"""`lmtpq check --cf` of what the m4 files make: the examples are complete, and each wrong step is an error."""

import os
import shutil
import socket
import subprocess

import pytest

from fixtures import paths

from .configuration import INCLUDE, STOCK, Configuration, define, feature, is_root, mc
from .examples import NAMES, example

EX_CONFIG = 78
LOCAL = define('confLOCAL_MAILER', 'cyrusv2')
USER = 'nobody' if is_root() else ''
# The .mc of any site: features and mailers that name others in their rules.
SITE = """FEATURE(`access_db')
FEATURE(`mailertable')
FEATURE(`virtusertable')
FEATURE(`genericstable')
FEATURE(`relay_entire_domain')
FEATURE(`delay_checks')
FEATURE(`blocklist_recipients')
FEATURE(`redirect')
FEATURE(`always_add_domain')
FEATURE(`use_cw_file')
FEATURE(`greet_pause', 5000)
FEATURE(`ratecontrol')
FEATURE(`conncontrol')
FEATURE(`dnsbl', `dnsbl.test')
FEATURE(`bestmx_is_local')
FEATURE(`stickyhost')
define(`MAIL_HUB', `esmtp:hub.test')
define(`SMART_HOST', `relay.test')
define(`LUSER_RELAY', `error:5.1.1:"550 no such user"')
"""


class Checked:
  def __init__(self, cf):
    self.cf = cf
    self.program = cf.path / 'lmtpq'
    if not self.program.exists():
      shutil.copy(paths.program('LMTPQ'), self.program)
    cf.path.chmod(0o755)
    self.milter = cf.path / f'milter{next(cf.scratch.numbers)}'
    self.listening = socket.socket(socket.AF_UNIX)
    self.listening.bind(str(self.milter))
    self.listening.listen()
    self.keys = cf.path / 'tag.keys'
    self.keys.touch(mode=0o600)
    self.conf = cf.path / 'lmtpq.conf'
    self.conf.write_text('')

  def knobs(self) -> str:
    return (LOCAL + define('LMTPQ_MAILER_PATH', str(self.program)) +
            define('LMTPQ_MAILER_USER', USER or str(os.geteuid())) +
            define('LMTPQ_MAILER_ARGS', '--tag-keys=none') +
            define('LMTPQ_MAILER_CONFIG', str(self.conf)))

  def feature(self, failure: str = 'T') -> str:
    return feature(f'unix:{self.milter}', failure)

  def check(self, made: Configuration) -> subprocess.CompletedProcess:
    return self.check_file(made.path)

  def check_file(self, path) -> subprocess.CompletedProcess:
    return subprocess.run([self.program, 'check', '--cf', path, '--config', self.conf],
                          capture_output=True, text=True, timeout=60)

  def check_text(self, text: str) -> subprocess.CompletedProcess:
    """The .cf that m4 makes, also where it fails, as Debian's Makefile installs it."""
    path = self.cf.path / f'{next(self.cf.scratch.numbers)}.cf'
    path.write_text(self.cf.m4(text).stdout)
    return self.check_file(path)


@pytest.fixture
def checked(cf):
  made = Checked(cf)
  yield made
  made.listening.close()


class TestCheckedCf:
  def test_of_milter_and_mailer_is_complete(self, cf, checked):
    ran = checked.check(cf.make(mc(checked.feature() + checked.knobs())))
    assert (ran.returncode, ran.stderr) == (0, ''), ran
    assert 'mail for local users goes to cyrusv2 (lmtpq relay ' in ran.stdout
    assert f'milter lmtpq at unix:{checked.milter} with F=T; ok\n' in ran.stdout

  @pytest.mark.parametrize('family, kind, host', [(socket.AF_INET, 'inet', '127.0.0.1'), (socket.AF_INET6, 'inet6', '::1')],
                           ids=['IPv4', 'IPv6'])
  def test_dials_a_milter_of_another_host(self, cf, checked, family, kind, host):
    with socket.create_server((host, 0), family=family) as milter:
      address = f'{kind}:{milter.getsockname()[1]}@{host}'
      made = cf.make(mc(feature(address, 'T') + checked.knobs()))
      there = checked.check(made)
    gone = checked.check(made)
    assert (there.returncode, there.stderr) == (0, ''), there
    assert gone.returncode == 0 and f'{address}' in gone.stderr and 'Connection refused' in gone.stderr, gone

  def test_of_a_site_with_many_features_is_complete(self, cf, checked):
    text = SITE + checked.feature() + checked.knobs()
    for name in ('access', 'mailertable', 'virtusertable', 'genericstable'):
      cf.make_map(name, '')
    ran = checked.check(cf.make(mc(text)))
    assert (ran.returncode, ran.stderr) == (0, ''), ran

  def test_without_the_mailer_smtp_is_complete(self, cf, checked):
    text = f"OSTYPE(`linux')\n{checked.feature()}{checked.knobs()}MAILER(`local')\n{INCLUDE}"
    ran = checked.check(cf.make(text))
    assert (ran.returncode, ran.stderr) == (0, ''), ran

  def test_with_the_default_failure_action_has_one_warning(self, cf, checked):
    ran = checked.check(cf.make(mc(checked.feature('') + checked.knobs())))
    assert ran.returncode == 0 and 'no F=' in ran.stderr, ran
    assert len(ran.stderr.splitlines()) == 1 and ran.stdout.endswith('; ok, 1 warning\n'), ran

  def test_with_a_daemon_needs_its_listeners(self, cf, checked):
    knobs = LOCAL + define('LMTPQ_DAEMON', f'{cf.path}/lmtp')
    made = cf.make(mc(checked.feature() + knobs))
    ran = checked.check(made)
    assert ran.returncode == EX_CONFIG and 'is no listener of lmtpq.conf' in ran.stderr, ran
    checked.conf.write_text(
        f'destination = unix:/x\n[listener.a]\naddress = unix:{cf.path}/lmtp\n'
        f'[listener.b]\naddress = unix:{cf.path}/lmtpq\nignore-quota = always\n')
    ran = checked.check(made)
    assert (ran.returncode, ran.stderr) == (0, ''), ran

  @pytest.mark.parametrize('name', NAMES)
  def test_of_each_example_lacks_only_what_is_not_on_this_machine(self, cf, checked, name):
    cf.make_map('access', '')
    cf.make_map('mailertable', '')
    made = example(cf, name)
    text = made.path.read_text().replace('/usr/local/libexec/lmtpq/lmtpq', str(checked.program))
    for user in ('cyrus:mail', 'mail:mail'):
      text = text.replace(f'U={user}', f'U={USER or os.geteuid()}')
    text = text.replace('/etc/lmtpq/lmtpq.conf', str(checked.conf))
    made.path.write_text(text)
    checked.conf.write_text(
        'tag-keys = none\n[listener.a]\naddress = unix:/run/lmtpq/lmtp\ndestination = unix:/x\n'
        '[listener.b]\naddress = unix:/run/lmtpq/lmtpq\nignore-quota = always\ndestination = unix:/x\n')
    ran = checked.check(made)
    lines = [line for line in ran.stderr.splitlines() if 'milter lmtpq: ' not in line]
    assert ran.returncode == 0 and lines == [], ran


class TestWrongSteps:
  """Each is an error of the check, before Sendmail reads the .cf."""

  def errors(self, ran) -> list[str]:
    assert ran.returncode == EX_CONFIG, ran
    return [line.partition(': error: ')[2] for line in ran.stderr.splitlines() if ': error: ' in line]

  def test_a_mistyped_include_of_the_mailers(self, checked):
    """Without the FEATURE m4 only says that it cannot open the file."""
    wrong = INCLUDE.replace('lmtpq.m4', 'lmtp.m4')
    found = self.errors(checked.check_text(mc(checked.knobs(), wrong)))
    assert any('goes to the mailer cyrusv2, which is not defined: it bounces' in one for one in found)
    found = self.errors(checked.check_text(mc(checked.feature() + checked.knobs(), wrong)))
    assert any(one.startswith('"*** ERROR: no filter lmtpq; m4 said why": Sendmail does not start')
               for one in found), found

  def test_a_knob_that_the_mailers_refuse(self, checked):
    text = mc(checked.knobs() + define('CYRUSV2_MAILER_ARGS', 'invalid'))
    found = self.errors(checked.check_text(text))
    assert any(one.startswith('"*** ERROR: no mailers cyrusv2 and cyrusv2q') for one in found), found

  @pytest.mark.parametrize('tag_mailer', ['', define('LMTPQ_TAG_MAILER', 'cyrusv2')])
  def test_the_stock_mailer_with_the_milter(self, checked, tag_mailer):
    """The mailer was changed back before the FEATURE was dropped."""
    found = self.errors(checked.check_text(mc(checked.feature() + tag_mailer + checked.knobs(), STOCK)))
    if tag_mailer:
      assert any(one.startswith('cyrusv2: mail for it gets a tag from the milter') for one in found), found
    else:
      assert any(one.startswith('"*** ERROR: no filter lmtpq') for one in found), found

  def test_no_local_mailer(self, cf, checked):
    text = mc(checked.knobs().replace(LOCAL, ''))
    ran = checked.check(cf.make(text))
    assert ran.returncode == 0 and 'no rule and no mailertable gives mail to lmtpq' in ran.stderr, ran
    assert 'mail for local users goes to local (not lmtpq: ' in ran.stdout, ran
