"""From smtp-source to smtp-sink, through each of the programs in between.

Rounds rotate: each program is the first of a round in its turn. CPU is that of the program in
between, all its processes and threads.
"""

from figures import Cell, Grid, Row, against, at_least, at_most, ratio
from middle import Direct, DovecotProxy, HaProxy, HaProxyAsItIs, Serve
from postfix import Load, Sink
from rounds import Turn, take_turns

REUSED = Load('4 KiB, reused connections', 10_000)
NEW = Load('4 KiB, a connection each', 5_000, reuse=False)
RECIPIENTS = Load('4 KiB to 50 recipients', 500, recipients=50)
LARGE = Load('50 MB', 20, connections=2, size=50_000_000)


def cells_of(setting, load: Load, rounds: int, *kinds) -> dict[str, Cell]:
  sink = Sink(setting.scratch, setting.postfix, f'sink-{load.label.replace(" ", "-")}')
  sink.start()
  programs = [kind(setting.scratch, sink.port) for kind in kinds]
  programs.append(setting.serve(sink.address, '--connections=20'))
  # It learns to know the store, and opens what it keeps open.
  warmer = Load('a few to warm up', 20, connections=load.connections, reuse=load.reuse)

  def turn(of: Load) -> Turn:
    return Turn(lambda program: of.seconds(setting.postfix, program.port), of.messages,
                of.connections if of.reuse else of.messages, lambda: sink.counters()['mesg'])

  try:
    return take_turns(programs, turn(load), rounds, turn(warmer))
  finally:
    sink.stop()


def grid_of(load: Load, cells: dict[str, Cell]) -> Grid:
  return Grid('proxy', {(load.label, program): cell for program, cell in cells.items()})


def reused(setting) -> list:
  cells = cells_of(setting, REUSED, setting.pairs, Direct, HaProxy, HaProxyAsItIs, DovecotProxy)
  ours, haproxy, dovecot = (cells[kind.name] for kind in (Serve, HaProxy, DovecotProxy))
  what = f'{REUSED.messages:,} messages of 4 KiB on {REUSED.connections} reused connections'
  rate = '{:,.0f}/s'
  return [
      at_most(f'CPU a message, {what}: `lmtpq serve` against HAProxy (TCP passthrough, one thread)',
              against(ours.cpu_each(), haproxy.cpu_each(), '{:.1f} us', 1e6),
              ratio(ours.cpu, haproxy.cpu), 1.2),
      at_least('the same, messages a second', against(ours.rates(), haproxy.rates(), rate),
               ratio(ours.rates(), haproxy.rates()), 0.8),
      at_least("the same, against Dovecot's LMTP proxy", against(ours.rates(), dovecot.rates(), rate),
               ratio(ours.rates(), dovecot.rates()), 5),
      grid_of(REUSED, cells)]


def new(setting) -> list:
  return [grid_of(NEW, cells_of(setting, NEW, min(3, setting.pairs), Direct, HaProxy, HaProxyAsItIs,
                                DovecotProxy))]


def recipients(setting) -> list:
  return [grid_of(RECIPIENTS, cells_of(setting, RECIPIENTS, setting.pairs, Direct, HaProxy,
                                       DovecotProxy))]


def large(setting) -> list:
  cells = cells_of(setting, LARGE, min(3, setting.pairs), Direct, HaProxy, DovecotProxy)
  ours, direct = cells[Serve.name], cells[Direct.name]
  return [
      at_most(f'{LARGE.messages} messages of 50 MB on {LARGE.connections} connections: time through '
              '`lmtpq serve` against none in between',
              against(ours.seconds, direct.seconds, '{:.2f} s'),
              ratio(ours.seconds, direct.seconds), 1.5),
      grid_of(LARGE, cells)]


def secure(setting) -> list:
  """The store is Cyrus."""
  store = setting.secure_cyrus('proxy-cyrus', 'SCRAM-SHA-256')
  store.start()
  store.add_mailboxes(['bench'])
  found: list[Row | Grid] = []
  for load in (Load('to Cyrus: 4 KiB, reused connections', 400),
               Load('to Cyrus: 4 KiB, a connection each', 400, reuse=False)):
    plain = setting.serve(store.open_address, '--connections=20', '--tls=none')
    plain.name = 'lmtpq serve, plain'
    secured = setting.serve(store.tcp_address, '--connections=20', *store.secure_options())
    secured.name = 'lmtpq serve, TLS and AUTH'
    programs = [Direct(setting.scratch, store.open_port),
                DovecotProxy(setting.scratch, store.open_port), plain, secured]

    def turn(of: Load) -> Turn:
      return Turn(lambda program: of.seconds(setting.postfix, program.port), of.messages,
                  of.connections if of.reuse else of.messages, lambda: store.filed('bench'))

    found.append(grid_of(load, take_turns(programs, turn(load), min(3, setting.pairs),
                                          turn(Load('warm', 20, reuse=load.reuse)))))
  store.stop()
  return found
