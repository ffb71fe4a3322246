"""A private mail submission program: what `sendmail -t` is to the users of a host.

What it is: Sendmail's submit.mc with the private port of a private Sendmail in it. Mail that it
  cannot hand over stays in a queue of its own.
What it does not know: mailers, milters; the Sendmail behind the port has them.
"""

import shutil
import subprocess

from .preload import private_environment
from .scratch import Scratch
from .sendmail import CF, Sendmail

SUBMIT_MC = """divert(0)dnl
VERSIONID(`a private submission program for tests')
define(`confCF_VERSION', `Submit')
define(`__OSTYPE__', `')
define(`confTIME_ZONE', `USE_TZ')
define(`confDONT_INIT_GROUPS', `True')
define(`confDOMAIN_NAME', `mail.test')
define(`confRUN_AS_USER', `smmsp:smmsp')
define(`MSP_QUEUE_DIR', `@DIR@/queue')
define(`confPID_FILE', `@DIR@/queue/pid')
define(`STATUS_FILE', `@DIR@/queue/statistics')
define(`confSERVICE_SWITCH_FILE', `@MTA@/service.switch')
define(`confHOSTS_FILE', `@MTA@/hosts')
define(`confTO_IDENT', `0')
define(`confQUEUE_LA', `999')
define(`confREFUSE_LA', `999')
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')
define(`RELAY_MAILER_ARGS', `TCP $h @PORT@')
FEATURE(`msp', `[127.0.0.1]')
"""


class Msp:
  def __init__(self, scratch: Scratch, name: str, mta: Sendmail):
    self.dir = scratch.folder(name)
    self.log = self.dir / 'msp.log'
    self.binary = mta.binary
    self.environment = private_environment(scratch.path, self.log)
    queue = scratch.folder(f'{name}/queue', 0o770)
    shutil.chown(queue, 'smmsp', 'smmsp')
    mc = self.dir / 'submit.mc'
    mc.write_text(SUBMIT_MC.replace('@DIR@', str(self.dir)).replace('@MTA@', str(mta.dir))
                  .replace('@PORT@', str(mta.port)))
    made = subprocess.run(['m4', f'-D_CF_DIR_={CF}/', f'{CF}/m4/cf.m4', mc], timeout=30,
                          capture_output=True, check=True)
    self.cf = self.dir / 'submit.cf'
    self.cf.write_bytes(made.stdout)

  def submit(self, raw: bytes, sender: str):
    """`sendmail -t`: the recipients are those of the header; lines end in LF."""
    ran = subprocess.run([self.binary, '-C', self.cf, '-t', '-oi', '-f', sender],
                         input=raw.replace(b'\r\n', b'\n'), env=self.environment, timeout=60,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ran.returncode != 0:
      raise AssertionError(f'sendmail -t: {ran.returncode} {ran.stdout.decode()}')
