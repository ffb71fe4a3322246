"""An .mc text, the .cf that m4 makes of it, and what the real Sendmail says of that .cf.

What it is: Cf, the folder in which m4 and `sendmail -bt` run, and Configuration, one .cf in it.
What it does not know: queues and delivery (see delivery.py).
Failure: AssertionError with what m4 or Sendmail printed.
"""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from fixtures.paths import ROOT
from fixtures.preload import private_environment
from fixtures.scratch import Scratch

TREE = Path('/usr/share/sendmail/cf')
OURS = ROOT / 'cf' / 'mailer' / 'lmtpq.m4'
MILTER = ROOT / 'cf' / 'feature' / 'lmtpq_milter.m4'
INCLUDE = f'MAILER_DEFINITIONS\ninclude(`{OURS}\')\n'
STOCK = "MAILER(`cyrusv2')\n"
BANNER = ('ADDRESS TEST MODE (ruleset 3 NOT automatically invoked)\n'
          'Enter <ruleset> <address>\n> ')
HOST = 'mail.test'  # in class w of an .mc with use_cw_file


def mc(knobs: str = '', mailer: str = INCLUDE) -> str:
  return f"OSTYPE(`linux')\n{knobs}\nMAILER(`local')\nMAILER(`smtp')\n{mailer}"


def feature(*arguments: str) -> str:
  """Our FEATURE, found by a way out of Sendmail's tree."""
  words = ['../' * 8 + str(MILTER)[1:-3], *arguments]
  return f"FEATURE({', '.join(f'`{word}{chr(39)}' for word in words)})\n"


class Cf:
  """Made by the fixture `cf`, once for a run."""

  def __init__(self, scratch: Scratch):
    self.scratch = scratch
    self.path = scratch.path
    self.log = self.path / 'mail.log'
    # A number as host name and no look at the interfaces: so Sendmail asks no name server, which it
    # does before it reads any option, and which takes 20 s when there is none.
    self.environment = private_environment(self.path, self.log) | {'PRELOAD_HOSTNAME': '127.0.0.1'}
    self.sendmail = self.path / 'sendmail'
    shutil.copyfile('/usr/libexec/sendmail/sendmail', self.sendmail)
    self.sendmail.chmod(0o755)  # without the setgid bit
    for name, text in (('service.switch', 'hosts files\naliases files\n'),
                       ('hosts', f'127.0.0.1 {HOST} localhost\n'),
                       ('local-host-names', f'{HOST}\n'),
                       ('makemap.cf', 'O DontBlameSendmail=TrustStickyBit\n')):
      (self.path / name).write_text(text)
    # TrustStickyBit: the scratch folder may be in /tmp.
    self.options = {'HostsFile': self.path / 'hosts', 'DontBlameSendmail': 'TrustStickyBit',
                    'DontProbeInterfaces': 'True',
                    'ServiceSwitchFile': self.path / 'service.switch'}

  def m4(self, text: str, *options: str, tree: str = str(TREE),
         folder: Path | None = None) -> subprocess.CompletedProcess:
    source = self.path / 'source.mc'
    source.write_text(text)
    return subprocess.run(['m4', *options, f'{tree}/m4/cf.m4', source], cwd=folder,
                          capture_output=True, text=True, timeout=60)

  def make(self, text: str, *options: str, **place) -> 'Configuration':
    return Configuration(self, text, *options, **place)

  def make_map(self, name: str, source: str):
    subprocess.run(['/usr/sbin/makemap', '-C', self.path / 'makemap.cf', 'hash', self.path / name],
                   input=source, text=True, check=True, timeout=60, stderr=subprocess.DEVNULL)

  def linked_tree(self, name: str, *ours: Path) -> Path:
    """Links to all of Sendmail's tree, and to our files in folders of the same names."""
    tree = self.scratch.folder(name)
    folders = {path.parent.name for path in ours}
    for source in TREE.iterdir():
      if source.name not in folders:
        os.symlink(source, tree / source.name)
    for folder in folders:
      self.scratch.folder(f'{name}/{folder}')
      for source in (TREE / folder).iterdir():
        if not source.name.startswith('lmtpq'):  # of an installed package
          os.symlink(source, tree / folder / source.name)
    for path in ours:
      os.symlink(path, tree / path.parent.name / path.name)
    return tree

  @functools.cached_property
  def installed(self) -> str:
    """A tree in which m4 finds our files by name, as `make install SENDMAIL_CF=` makes it."""
    return str(self.linked_tree('tree-installed', OURS, MILTER))


class Configuration:
  """One .cf. Files that the admin would keep in /etc/mail are looked for in the scratch folder."""

  def __init__(self, cf: Cf, text: str, *options: str, **place):
    self.cf = cf
    made = cf.m4(text, *options, **place)
    if made.returncode != 0 or made.stderr:
      raise AssertionError(f'm4 exits {made.returncode}: {made.stderr.strip()}')
    self.text = made.stdout
    self.path = cf.path / f'{next(cf.scratch.numbers)}.cf'
    self.path.write_text(self.text.replace('/etc/mail/', f'{cf.path}/'))

  def command(self, *words: str) -> list[str]:
    options = [f'-O{name}={value}' for name, value in self.cf.options.items()]
    return [str(self.cf.sendmail), '-C', str(self.path), *options, *words]

  def run(self, *words: str, given: str = '') -> str:
    ran = subprocess.run(self.command(*words), input=given, env=self.cf.environment, timeout=60,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return ran.stdout

  def ask(self, *questions: str) -> str:
    """The answers of the address test mode."""
    return self.run('-bt', given=''.join(f'{line}\n' for line in questions))

  def route(self, address: str) -> str:
    """The triple of mailer, host and user that `3,0 ADDRESS` ends with."""
    answer = self.ask(f'3,0 {address}')
    found = re.findall(r'^parse +returns: (.*)$', answer, re.MULTILINE)
    if not found:
      raise AssertionError(f'-bt shows nothing of {address}: {answer}')
    return found[-1]

  def line(self, name: str) -> str:
    """The M line of a mailer as it is in the .cf, on one line."""
    found = re.search(rf'^M{name},((?:.*\n)(?:[ \t].*\n)*)', self.text, re.MULTILINE)
    if not found:
      raise AssertionError(f'the .cf has no mailer {name}')
    return ' '.join(found.group(1).split())

  def lines(self, start: str) -> list[str]:
    return [line for line in self.text.splitlines() if line.startswith(start)]

  def option(self, name: str) -> str:
    """As it is in the .cf; '' when it is not set there."""
    found = self.lines(f'O {name}=')
    if len(found) > 1:
      raise AssertionError(f'the .cf sets {name} {len(found)} times')
    return found[0].partition('=')[2] if found else ''

  def written(self, name: str, equate: str) -> str:
    """A field of that line, such as C=, which =M does not show; '' when it is not there."""
    found = re.search(rf'(?:^|[ ,]){equate}=([^ ,]*)', self.line(name))
    return found.group(1) if found else ''

  def mailers(self) -> dict[str, dict[str, str]]:
    """What =M shows: name -> letter of the equate -> value."""
    answer = self.ask('=M')
    found = {}
    for name, fields in re.findall(r'mailer \d+ \((\S+)\): (.*)', answer):
      head, _, arguments = fields.partition(' A=')
      found[name] = dict(field.split('=', 1) for field in head.split()) | {'A': arguments}
    if 'cyrusv2' not in found:
      raise AssertionError(f'=M shows no mailer cyrusv2: {answer}')
    return found

  def mailer(self, name: str = 'cyrusv2') -> dict[str, str]:
    return self.mailers()[name]


def define(name: str, value: str) -> str:
  return f"define(`{name}', `{value}')\n"


def is_root() -> bool:
  return os.geteuid() == 0
