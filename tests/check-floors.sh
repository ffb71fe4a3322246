#!/bin/sh
# The order of the floors (docs/ARCHITECTURE.md). Between folders the compiler keeps it (see SEES_ in
# the Makefile); this script tries that, keeps the protocol pure and libmilter at its boundary, and
# keeps the order within mailer/ and milter/.
# usage: check-floors.sh [CXX]
set -u
cd "$(dirname "$0")/.." || exit 1
cxx=${1:-g++}
. tests/verdict.sh

floor() { # folder, module
  case $1/$2 in
    */main) echo 5 ;;
    mailer/front_* | mailer/fronts | mailer/session | mailer/probe* | mailer/settings | mailer/start) echo 4 ;;
    milter/callbacks | milter/explain | milter/settings | milter/signals | milter/daemon) echo 4 ;;
    mailer/delivery | mailer/dispatch | mailer/progress | milter/message) echo 3 ;;
    *) echo 2 ;;
  esac
}

climbs() { # folder
  for file in $1/*.h $1/*.cpp; do
    own=$(floor $1 "$(basename "${file%.*}")")
    grep -oE '#include "[a-z_]+\.h"' "$file" | sed 's/.*"\(.*\)\.h"/\1/' | while read -r used; do
      [ -e "$1/$used.h" ] || continue
      # settings.h is plain values, which every floor reads; its table is main's business.
      [ "$used" = settings ] && continue
      [ "$(floor $1 "$used")" -le "$own" ] || echo "$file includes $used.h"
    done
  done
}

verdict "no include climbs out of its folder" "$(grep -rnE '#include "\.\./' common mailer milter)"
verdict "the protocol knows no socket, clock, thread, file or log" "$(
  grep -nE '#include <(sys/|unistd|thread|chrono|poll|fcntl|fstream|cstdio|ctime)|#include "log\.h"' \
    mailer/lmtp/*)"
verdict "no floor of mailer/ includes a higher one" "$(climbs mailer)"
verdict "no floor of milter/ includes a higher one" "$(climbs milter)"
verdict "libmilter is known to the callbacks alone" "$(
  grep -rlE '#include <libmilter|smfi_[a-z]+\(|SMFI[A-Z_]+' milter | grep -v '^milter/callbacks\.cpp$')"

reached() { # from these files: the headers of common/ that they include, and those include ...
  cat "$@" | grep -oE '#include "[a-z_0-9]+\.h"' | sed 's/.*"\(.*\)"/\1/' | sort -u >"$scratch/found"
  : >"$scratch/reached"
  while [ -s "$scratch/found" ]; do
    while read -r header; do
      [ -e "common/$header" ] && ! grep -qx "$header" "$scratch/reached" || continue
      echo "$header" >>"$scratch/reached"
      for file in "common/$header" "common/${header%.h}"*.cpp; do
        [ -e "$file" ] && grep -oE '#include "[a-z_0-9]+\.h"' "$file" | sed 's/.*"\(.*\)"/\1/'
      done
    done <"$scratch/found" >"$scratch/next"
    sort -u "$scratch/next" >"$scratch/found"
  done
  cat "$scratch/reached"
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
verdict "common/ has nothing but what both programs include" "$(
  reached mailer/*.h mailer/*.cpp mailer/lmtp/* >"$scratch/mailer"
  reached milter/*.h milter/*.cpp >"$scratch/milter"
  for header in common/*.h; do
    for program in mailer milter; do
      grep -qx "$(basename "$header")" "$scratch/$program" || echo "$program does not need $header"
    done
  done)"

compiles() { # folder's sight, header
  echo "#include \"$2\"" | $cxx -std=c++20 -fsyntax-only $1 -x c++ - 2>/dev/null
}
verdict "common/ cannot see the protocol" "$(compiles '-iquote common' reply.h && echo "it can")"
verdict "the protocol cannot see the mailer" "$(
  compiles '-iquote mailer/lmtp -iquote common' delivery.h && echo "it can")"
verdict "the milter cannot see the mailer" "$(
  compiles '-iquote milter -iquote common' delivery.h && echo "it can")"
verdict "the protocol can see common/" "$(
  compiles '-iquote mailer/lmtp -iquote common' command.h || echo "it cannot")"

close_suite
