"""Fifty messages of 50 MB in lmtpq serve at a time: its memory."""

from figures import Failed, Row, at_most
from postfix import Load, Sink

LOAD = Load('50 MB', 50, connections=50, size=50_000_000, numbered=True)


def run(setting) -> list[Row]:
  sink = Sink(setting.scratch, setting.postfix, 'sink-in-flight')
  sink.start()
  serve = setting.serve(sink.address, '--connections=20')
  serve.start()
  took = LOAD.seconds(setting.postfix, serve.port)
  peak = serve.meter().peak() / 1e6
  if (arrived := sink.counters()['mesg']) != LOAD.messages:
    raise Failed(f'{arrived} of {LOAD.messages} arrived')
  serve.stop()
  sink.stop()
  return [at_most(f'peak memory of `lmtpq serve` with {LOAD.messages} messages of 50 MB in flight '
                  '(VmHWM)', f'**{peak:.1f} MB**, all through in {took:.1f} s', peak, 40, ' MB')]
