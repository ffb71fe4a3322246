"""The milter's log: syslog that does not read stops no message, and an MTA cannot fill the log."""

import socket
import subprocess

import pytest

from fixtures.process import wait_until
from fixtures.scratch import unix_listens
from fixtures.syslog import NO_NAMESPACE, Syslog
from peers.mta import wire
from peers.mta.session import Session

from .milter_process import IGNORE, Process


class TestLog(Process):
  def start_in_foreground(self, *before: str) -> subprocess.Popen:
    child = subprocess.Popen([*before, self.binary, f'--config={self.config}', '--foreground'])
    wait_until(lambda: unix_listens(self.socket), 'the milter listens')
    return child

  def ends(self, child: subprocess.Popen):
    child.terminate()
    assert child.wait(60) == 0

  @pytest.mark.may_skip(NO_NAMESPACE)
  def test_syslog_that_does_not_read_stops_no_message(self):
    self.configure(IGNORE, log='syslog')
    syslog = Syslog(self.folder, self.log)
    child = self.start_in_foreground(*syslog.before)
    assert self.quota() == '*'
    wait_until(lambda: self.lines('lmtpq-milter[', 'event=decision'), 'it is logged')
    syslog.stall()
    for _ in range(20):
      assert self.quota() == '*'
    for _ in range(20):
      self.break_the_protocol()  # of which libmilter logs a line
    self.ends(child)
    syslog.close()

  def break_the_protocol(self):
    with socket.socket(socket.AF_UNIX) as client:
      client.connect(str(self.socket))
      client.sendall(wire.packet(wire.NEGOTIATE, b'short'))
      assert client.recv(100) == b'', 'libmilter disconnects'

  def test_what_libmilter_says_again_is_one_line_and_a_count(self):
    child = self.start_in_foreground()
    for _ in range(50):
      self.break_the_protocol()
    self.ends(child)
    line, = self.lines('event=libmilter', 'len too short')
    assert 'level=error event=libmilter text="lmtpq-milter: ' in line
    line, = self.lines('event=lines-left-out', 'of=libmilter', 'len too short')
    assert line.endswith(' lines=49')

  def test_an_mta_that_takes_no_edits_is_one_line_and_a_count(self):
    child = self.start_in_foreground()
    for _ in range(50):
      Session(str(self.socket), actions=wire.ACTIONS['addhdrs']).close()
    self.ends(child)
    assert len(self.lines('event=mta-refuses-edits')) == 1
    assert len(self.lines('event=lines-left-out of=mta-refuses-edits lines=49')) == 1
