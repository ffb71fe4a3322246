"""Where the packages and the clean system are.

LMTPQ_DEBS      the folder of the .debs (BUILD/deb, by make deb)
LMTPQ_SUITE     their release (that of this system)
LMTPQ_CHROOT    a tree of this release that debootstrap made; it gets Sendmail and Cyrus
                (BUILD/packages/SUITE, which is made where there is none)
"""

import os
import platform
from pathlib import Path

import pytest

from .booted import Booted
from .debs import before, packages_in
from .system import System, make_base


@pytest.fixture(scope='session')
def debs(build) -> dict[str, Path]:
  """Package -> file; also those with debug symbols."""
  found = packages_in(Path(os.environ.get('LMTPQ_DEBS', build / 'deb')))
  assert found, 'no packages: make deb'
  return found


@pytest.fixture(scope='session')
def base(build, debs) -> Path:
  suite = os.environ.get('LMTPQ_SUITE', platform.freedesktop_os_release()['VERSION_CODENAME'])
  tree = Path(os.environ.get('LMTPQ_CHROOT', build / 'packages' / suite)).resolve()
  make_base(tree, suite, [file for name, file in debs.items() if not name.endswith('-dbgsym')])
  return tree


@pytest.fixture(scope='session')
def new(debs) -> list[Path]:
  return [debs[name] for name in ('lmtpq', 'lmtpq-serve', 'lmtpq-milter')]


@pytest.fixture(scope='session')
def old(new, tmp_path_factory) -> list[Path]:
  """The version before."""
  return before(new, tmp_path_factory.mktemp('before'))


@pytest.fixture(scope='class')
def system(base):
  made = System(base, 'packages')
  yield made
  made.remove()


@pytest.fixture(scope='class')
def booted(base):
  """As `system`, with systemd."""
  made = Booted(base, 'systemd')
  yield made
  made.remove()
