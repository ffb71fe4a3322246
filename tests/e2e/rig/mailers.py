"""The .mc lines that define the mailers: Sendmail's own cyrusv2, or ours.

Called by: the tests, which hand the lines to Sendmail(); and by the demo.
"""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LMTPQ = Path(os.environ.get('LMTPQ', ROOT / 'build' / 'lmtpq')).resolve()


def in_reach(scratch) -> Path:
  """A copy of lmtpq, with what it loads from beside itself, that the mailer's user may run wherever
  the checkout lies (/root is closed to it), and that a build during the run does not change."""
  shutil.copy(LMTPQ.with_name('lmtpq-secure.so'), scratch.path)
  return Path(shutil.copy(LMTPQ, scratch.path / 'lmtpq'))


def arguments_of(address: str) -> str:
  """A DEST in the form of CYRUSV2_MAILER_ARGS: `FILE path` or `TCP host port`."""
  kind, _, place = address.partition(':')
  if kind == 'unix':
    return f'FILE {place}'
  host, _, port = place.rpartition(':')
  return f'TCP {host} {port}'


def stock(address: str) -> str:
  """MAILER(`cyrusv2') as Sendmail ships it, which has no cyrusv2q."""
  return f"define(`CYRUSV2_MAILER_ARGS', `{arguments_of(address)}')\nMAILER(`cyrusv2')\n"


def lmtpq(address: str, log: Path, arguments: str = '', user: str = 'cyrus', flags: str = '',
          knobs: str = '', program: Path = LMTPQ, conf: str = '') -> str:
  """Our cf/mailer/lmtpq.m4: cyrusv2 and cyrusv2q.

  arguments: further options of lmtpq; flags: added to the F= of cyrusv2, such as Q; knobs: .mc
  lines before the mailer; conf: the text of lmtpq's configuration file.
  """
  log.touch()
  log.chmod(0o666)  # lmtpq opens it as the user it has become
  # Nor is the configuration of this machine read.
  own = log.with_suffix('.conf')
  own.write_text(conf)
  for name, value in (('--log', log), ('--config', own), ('--tag-keys', 'none')):
    if f'{name}=' not in arguments:
      arguments += f' {name}={value}'
  if flags:
    knobs += f"\nMODIFY_MAILER_FLAGS(`CYRUSV2', `+{flags}')"
  return (f"define(`CYRUSV2_MAILER_ARGS', `{arguments_of(address)}')\n"
          f"define(`LMTPQ_MAILER_PATH', `{program}')\n"
          f"define(`LMTPQ_MAILER_USER', `{user}')\n"
          f"define(`LMTPQ_MAILER_ARGS', `{arguments.strip()}')\n"
          f"{knobs}\n"
          f"PUSHDIVERT(7)include(`{ROOT}/cf/mailer/lmtpq.m4')POPDIVERT\n")
