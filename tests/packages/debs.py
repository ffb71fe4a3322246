"""Packages as files: what is in them, and others made of them."""

import re
import shutil
import subprocess
from pathlib import Path


def run(*words, **more) -> str:
  done = subprocess.run([str(word) for word in words], text=True, timeout=600, check=False,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
  assert done.returncode == 0, done.stdout[-4000:]
  return done.stdout


def packages_in(folder: Path) -> dict[str, Path]:
  return {file.name.split('_')[0]: file for file in sorted(folder.glob('*.deb'))}


def field(deb: Path, name: str) -> str:
  return run('dpkg-deb', '-f', deb, name).strip()


def contents(deb: Path) -> dict[str, tuple[str, str]]:
  """Path (of a link, with where it leads) -> mode in letters, owner/group."""
  found = {}
  for line in run('dpkg-deb', '-c', deb).splitlines():
    mode, owner, _, _, _, path = line.split(None, 5)
    found[path[1:].rstrip('/')] = (mode, owner)
  return found


def unpack(deb: Path, to: Path) -> Path:
  run('dpkg-deb', '-R', deb, to)
  return to


def before(debs: list[Path], scratch: Path) -> list[Path]:
  """The same packages with a lower version and other configuration files."""
  made = []
  for deb in debs:
    tree = unpack(deb, scratch / deb.stem)
    version = field(deb, 'Version')
    control = tree / 'DEBIAN/control'
    control.write_text(re.sub(rf'(Version: |\(= ){re.escape(version)}\b', rf'\g<0>~0',
                              control.read_text()))
    conffiles = tree / 'DEBIAN/conffiles'
    for name in conffiles.read_text().split() if conffiles.exists() else ():
      with (tree / name[1:]).open('a') as file:
        file.write('# as it was before\n')
    made.append(scratch / deb.name)
    run('dpkg-deb', '--root-owner-group', '-b', tree, made[-1])
    shutil.rmtree(tree)
  return made
