"""The environment that keeps a server's log in a file and gives it a host name of its own.

See preload.c. The library is compiled once for each scratch folder.
"""

import os
import subprocess
from pathlib import Path


def private_environment(folder: Path, log: Path) -> dict[str, str]:
  library = folder / 'preload.so'
  if not library.exists():
    source = Path(__file__).with_name('preload.c')
    built = library.with_suffix(f'.{os.getpid()}')
    subprocess.run(['cc', '-shared', '-fPIC', '-O1', '-Wall', '-fno-builtin', '-o', built, source],
                   check=True, timeout=60)
    built.rename(library)
  log.touch()
  log.chmod(0o666)  # written by servers that have dropped their privileges
  return {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LD_PRELOAD': str(library),
          'RIG_LOG': str(log), 'RIG_HOSTNAME': 'mail.test', 'TZ': 'UTC'}
