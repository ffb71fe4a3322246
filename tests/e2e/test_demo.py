"""`make demo`: what a newcomer sees first is as promised."""

import os
import subprocess

import pytest

from fixtures.paths import ROOT


@pytest.mark.parametrize('choice', [{}, {'STORE': 'cyrus'}], ids=['the test store', 'Cyrus'])
def test_the_demo_ends_as_promised(choice):
  shown = subprocess.run([ROOT / 'tests/e2e/demo'], env=os.environ | choice,
                         capture_output=True, text=True, timeout=300)
  assert shown.returncode == 0, shown.stdout + shown.stderr
  assert 'All as expected' in shown.stdout
