#!/bin/sh
# The order of the floors (docs/ARCHITECTURE.md). Between folders the compiler keeps it (see SEES_ in
# the Makefile); this script tries that, keeps the protocol pure, and keeps the order within mailer/.
# usage: check-floors.sh [CXX]
set -u
cd "$(dirname "$0")/.." || exit 1
cxx=${1:-g++}
. tests/verdict.sh

floor() { # of a module in mailer/
  case $1 in
    main) echo 5 ;;
    front_* | fronts | session | probe | settings) echo 4 ;;
    delivery | progress) echo 3 ;;
    *) echo 2 ;;
  esac
}

verdict "no include climbs out of its folder" "$(grep -rnE '#include "\.\./' common mailer)"
verdict "the protocol knows no socket, clock, thread, file or log" "$(
  grep -nE '#include <(sys/|unistd|thread|chrono|poll|fcntl|fstream|cstdio|ctime)|#include "log\.h"' \
    mailer/lmtp/*)"
verdict "no floor of mailer/ includes a higher one" "$(
  for file in mailer/*.h mailer/*.cpp; do
    own=$(floor "$(basename "${file%.*}")")
    grep -oE '#include "[a-z_]+\.h"' "$file" | sed 's/.*"\(.*\)\.h"/\1/' | while read -r used; do
      [ -e "mailer/$used.h" ] || continue
      # settings.h is plain values, which every floor reads; its table is main's business.
      [ "$used" = settings ] && continue
      [ "$(floor "$used")" -le "$own" ] || echo "$file includes $used.h"
    done
  done)"

compiles() { # folder's sight, header
  echo "#include \"$2\"" | $cxx -std=c++20 -fsyntax-only $1 -x c++ - 2>/dev/null
}
verdict "common/ cannot see the protocol" "$(compiles '-iquote common' reply.h && echo "it can")"
verdict "the protocol cannot see the mailer" "$(
  compiles '-iquote mailer/lmtp -iquote common' delivery.h && echo "it can")"
verdict "the protocol can see common/" "$(
  compiles '-iquote mailer/lmtp -iquote common' command.h || echo "it cannot")"

close_suite
