"""Programs that take turns under the same load.

What it is: take_turns(), which starts each program again, warms it, and gives one Cell for each.
Failure: Failed when the store has not got what was sent.
"""

from collections.abc import Callable
from dataclasses import dataclass

from figures import Cell, Failed
from middle import Middle
from private_network import passive_opens


@dataclass
class Turn:
  """What is done through each program, in each round."""
  run: Callable[[Middle], float]  # answers the seconds that count
  messages: int
  dials: int  # connections of the client
  arrived: Callable[[], int]  # messages that the store has, so far


def take_turns(programs: list[Middle], turn: Turn, rounds: int, warm: Turn) -> dict[str, Cell]:
  """What is opened while a program warms up counts; nothing else of that does."""
  cells = {program.name: Cell(messages=turn.messages) for program in programs}
  try:
    for program in programs:
      program.start()
      unmeasured = Cell(messages=warm.messages)
      one_round(program, unmeasured, warm)
      cells[program.name].opened = unmeasured.opened
      if program.meter():
        program.meter().reset()
    for number in range(rounds):
      first = number % len(programs)
      for program in programs[first:] + programs[:first]:
        one_round(program, cells[program.name], turn)
    for program in programs:
      if program.meter():
        cells[program.name].peak = program.meter().peak()
  finally:
    for program in programs:
      program.stop()
  return cells


def one_round(program: Middle, cell: Cell, turn: Turn):
  arrived, opened, meter = turn.arrived(), passive_opens(), program.meter()
  used = meter.cpu() if meter else 0.0
  cell.seconds.append(turn.run(program))
  cell.cpu.append(meter.cpu() - used if meter else 0.0)
  cell.opened += passive_opens() - opened - turn.dials
  if (arrived := turn.arrived() - arrived) != turn.messages:
    raise Failed(f'{program.name}: {arrived} of {turn.messages} arrived')
