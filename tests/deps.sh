#!/bin/sh
# Installs those packages of the lists that dpkg does not know as installed. Services are kept from
# starting: the tests run private instances of them.
# usage: deps.sh LIST...
set -eu
missing=$(sed 's/#.*//' "$@" | xargs -n1 sh -c \
  'dpkg-query -W -f "\${Status}\n" "$0" 2>/dev/null | grep -q "install ok installed" || echo "$0"')
[ -n "$missing" ] || exit 0
echo "installing:" $missing
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' >$policy
  chmod 755 $policy
  made=1
fi
trap '[ -z "$made" ] || rm -f $policy' EXIT
log=$(mktemp)
if ! { apt-get update -qq &&
       DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
     } >"$log" 2>&1 </dev/null; then
  cat "$log" >&2
  echo "the packages above could not be installed (root and a package mirror are needed)" >&2
  exit 1
fi
rm -f "$log"
