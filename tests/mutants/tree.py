"""A private copy of the sources, in which mutants are built: nobody else's files change.

The copy is in a folder of the build and stays there, so that the next run compiles little. Objects are
compiled with -O1 and without debug symbols, by ccache where it is installed, and linked by lld.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fixtures.process import end_all_descendants

BUILD = 'build'
LEFT_OUT = {'.git', BUILD, '__pycache__'}
FOLDERS = ('common', 'mailer', 'milter')  # of the product
CCACHE = '/usr/lib/ccache'


class Tree:
  def __init__(self, origin: Path, root: Path):
    self.origin = origin
    self.root = root
    self.complaint = ''  # of the last make()

  def copy(self):
    """Files that differ get the time of now: make compares times."""
    there = set()
    for path in files_below(self.origin, self.root.parent):
      name = path.relative_to(self.origin)
      target = self.root / name
      there.add(name)
      target.parent.mkdir(parents=True, exist_ok=True)
      if path.is_symlink():
        target.unlink(missing_ok=True)
        target.symlink_to(path.readlink())
      elif not target.exists() or target.read_bytes() != path.read_bytes():
        shutil.copyfile(path, target)
        shutil.copymode(path, target)
    for path in files_below(self.root):
      if path.relative_to(self.root) not in there:
        path.unlink()

  def make(self, *targets: str) -> bool:
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(('MAKE', 'MFLAGS', 'MUTANTS'))}
    environment['PATH'] = f'{CCACHE}:{environment["PATH"]}'
    linker = ['LDFLAGS=-fuse-ld=lld'] if shutil.which('ld.lld') else []
    try:
      made = subprocess.run(['make', '-s', '-j2', f'BUILD={BUILD}', 'CXXFLAGS=-O1', *linker, *targets],
                            cwd=self.root, env=environment, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except BaseException:
      # A compiler that goes on would make a mutant's object after its source was restored.
      end_all_descendants()
      raise
    self.complaint = made.stdout.decode(errors='replace')
    return made.returncode == 0

  def digest(self, programs: tuple[str, ...]) -> str:
    """A mutant that leaves programs as they were cannot fail in their suites."""
    return digest_of(self.root / BUILD / name for name in programs)

  def digest_of_folders(self, *names: str) -> str:
    return digest_of(path for name in names for path in files_below(self.root / name))

  def sources(self, within: str) -> dict[str, str]:
    """The text by name. Headers compile half the product: only those that are named."""
    paths = [self.root / within] if within.endswith('.h') else [
        path for folder in FOLDERS for path in sorted((self.root / folder).rglob('*.cpp'))]
    names = [str(path.relative_to(self.root)) for path in paths]
    return {name: (self.root / name).read_text() for name in names if name.startswith(within)}

  def write(self, name: str, text: str):
    (self.root / name).write_text(text)


def files_below(folder: Path, apart: Path | None = None) -> list[Path]:
  """Not those of a build, and not those of the folder `apart`."""
  found = []
  if not folder.exists():
    return found
  for entry in sorted(folder.iterdir()):
    if entry.name in LEFT_OUT or entry == apart:
      continue
    if entry.is_dir() and not entry.is_symlink():
      found += files_below(entry, apart)
    else:
      found.append(entry)
  return found


def digest_of(paths: Iterable[Path]) -> str:
  made = hashlib.sha256()
  for path in paths:
    made.update(path.read_bytes())
  return made.hexdigest()
