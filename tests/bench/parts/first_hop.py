"""A new client connection for each message, TLS and a login at the store (Cyrus): connections that
are kept, against a dial for each message."""

import subprocess
import threading
import time

from fixtures.messages import message

from figures import Failed, Row, against, at_least, ratio
from middle import Middle
from postfix import Load
from rounds import Turn, take_turns

MECHANISM = 'SCRAM-SHA-256'
LOAD = Load('4 KiB, a connection each', 400, reuse=False)
BODY = (b'x' * 70 + b'\r\n') * 57


class Relay(Middle):
  """`lmtpq relay`, one process a message, as many at a time as the load has connections."""
  name = 'lmtpq relay'

  def __init__(self, setting, options: list[str]):
    super().__init__(setting.scratch, 0)
    self.words = [setting.lmtpq, 'relay', '--config=/dev/null', f'--log={self.dir}/log',
                  '--tag-keys=none', *options]

  def start(self):
    pass

  def seconds(self, load: Load) -> float:
    trouble: list[str] = []
    threads = [threading.Thread(target=self.share, args=(load.messages // load.connections, trouble))
               for _ in range(load.connections)]
    start = time.monotonic()
    for thread in threads:
      thread.start()
    for thread in threads:
      thread.join()
    if trouble:
      raise Failed(f'lmtpq relay: {trouble[0]}')
    return time.monotonic() - start

  def share(self, count: int, trouble: list[str]):
    for _ in range(count):
      said = subprocess.run(self.words, capture_output=True, timeout=60, input=(
          b'LHLO client.test\r\nMAIL FROM:<sender@mail.test>\r\nRCPT TO:<bench@store.test>\r\n'
          b'DATA\r\n' + message(BODY) + b'.\r\nQUIT\r\n')).stdout
      if b'\r\n250 2.1.5' not in said.partition(b'\r\n354')[2]:
        trouble.append(said.decode(errors='replace')[-200:])
        return


def run(setting) -> list[Row]:
  store = setting.secure_cyrus('hop-cyrus', MECHANISM)
  store.start()
  store.add_mailboxes(['bench'])
  options = [*store.secure_options(), store.tcp_address]
  pooled = setting.serve(options[-1], '--connections=20', *options[:-1])
  dialling = setting.serve(options[-1], '--connections=20', '--connection-uses=1', *options[:-1])
  dialling.name = 'lmtpq serve --connection-uses=1'
  relay = Relay(setting, options)

  def turn(load: Load) -> Turn:
    def through(program: Middle) -> float:
      if program is relay:
        return relay.seconds(load)
      return load.seconds(setting.postfix, program.port)
    return Turn(through, load.messages, load.messages, lambda: store.filed('bench'))

  cells = take_turns([pooled, dialling, relay], turn(LOAD), min(3, setting.pairs),
                     turn(Load('warm', 16, reuse=False)))
  logins = set(store.logins())
  store.stop()
  if logins != {('lmtpuser', f'{MECHANISM}-PLUS+TLS')}:
    raise Failed(f'logins other than wanted: {logins}')
  ours = cells[pooled.name].rates()
  what = (f'{LOAD.messages} messages of 4 KiB, each on a new client connection, TLS and AUTH '
          f'({MECHANISM}-PLUS) to Cyrus: messages a second by `lmtpq serve` against ')
  dials, relays = cells[dialling.name].rates(), cells[relay.name].rates()
  return [at_least(what + 'a dial for each message (`--connection-uses=1`)',
                   against(ours, dials, '{:,.0f}/s'), ratio(ours, dials), 5),
          Row(what + '`lmtpq relay`, a process for each message', against(ours, relays, '{:,.0f}/s'))]
