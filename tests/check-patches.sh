#!/bin/sh
# patches/ against each Sendmail that it is for: the patch applies, comes off again, builds without a new
# warning, is documented; the patched binary does what it must, and the stock one beside it. A version
# whose source cannot be had here is skipped.
# usage: check-patches.sh [VERSION...]      STORE_BIN: the store for the end-to-end part, tests/patches
set -u
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C GROFF_NO_SGR=1
. tests/verdict.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

digest_of() { # folder
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}
# On a copy of the tree: forth and back again.
applies() { # patch, tree, words that patch must not print
  rm -rf "$scratch/tree"
  mkdir "$scratch/tree"
  tar -c -C "$2" --exclude=./obj. . | tar -x -C "$scratch/tree"
  before=$(digest_of "$scratch/tree")
  for direction in --forward --reverse; do
    patch -p1 -F0 --batch --no-backup-if-mismatch $direction -d "$scratch/tree" -i "$PWD/$1" >"$scratch/said" 2>&1 &&
      ! grep -qE "$3" "$scratch/said" || { echo "$direction:" && cat "$scratch/said"; }
    [ $direction != --forward ] || [ "$(digest_of "$scratch/tree")" != "$before" ] || echo "it changes nothing"
  done
  [ "$(digest_of "$scratch/tree")" = "$before" ] || echo "patch left other files"
}

warnings() { # log: without line numbers, each as often as it is there
  grep -E 'warning:' "$1" | sed -E 's/:[0-9]+(:[0-9]+)?:/:/' | sort
}
new_warnings() { # of the stock one, of the patched one
  [ -s "$1" ] || echo "the stock one has none at all: was -Wall there?"
  comm -13 "$1" "$2"
}
# A host name without a dot would cost a minute.
compiled_with() { # binary
  unshare --uts sh -c 'hostname mail.test && exec timeout 60 "$0" -C/dev/null -d0.1 -bt' "$1" </dev/null 2>&1 |
    sed -n '/Compiled with:/,/^$/p'
}

# As doc/op/Makefile does, for a printer of plain text.
format_guide() { # flavour
  (cd "$folder/$1/doc/op" && pic -C op.me && echo) 2>"$scratch/$1.complaints" |
    eqn -C -Tascii 2>>"$scratch/$1.complaints" |
    groff -Tascii -me -ww -P-cbou 2>>"$scratch/$1.complaints" >"$scratch/$1.guide"
  sed -E 's/:[0-9]+:/:/' "$scratch/$1.complaints" | sort >"$scratch/$1.complaints.sorted"
}
# What the patch adds to a document says nothing of these.
unsaid() { # file of stock, file of patched, patterns
  diff "$1" "$2" | sed -n 's/^> //p' >"$scratch/added"
  shift 2
  for pattern in "$@"; do
    # groff parts words at the end of a line.
    sed -E ':all; N; $!b all; s/-\n +//g' "$scratch/added" | grep -qE -e "$pattern" || echo "nothing says $pattern"
  done
}

check_source() {
  verdict "$version: the patch applies to the upstream tree as it is, and comes off again" "$(
    applies "$patch" "$folder/sendmail-$version" 'fuzz|offset|FAILED')"
  [ ! -d "$folder/stock/debian" ] ||
    verdict "$version: the patch applies to Debian's tree without fuzz, and comes off again" "$(
      applies "$patch" "$folder/stock" 'fuzz|FAILED')"
  format_guide stock
  format_guide patched
  verdict "$version: groff finds nothing new in op.me" "$(
    [ "$(wc -l <"$scratch/stock.guide")" -ge 5000 ] || echo "the stock one is not there"
    comm -13 "$scratch/stock.complaints.sorted" "$scratch/patched.complaints.sorted")"
  verdict "$version: op.me has the flags" "$(
    unsaid "$scratch/stock.guide" "$scratch/patched.guide" '^ *Q ' '^ *T ' IGNOREQUOTA TRACE sessionid)"
  verdict "$version: cf/README has the flags" "$(
    unsaid "$folder/stock/cf/README" "$folder/patched/cf/README" '\<Q\>' '\<T\>' IGNOREQUOTA TRACE)"
}
check_build() {
  for flavour in stock patched; do
    verdict "$version: the $flavour one builds" "$(
      [ -e "$folder/$flavour.built" ] || { grep -E 'error:|\*\*\*' "$folder/$flavour.log" || echo "no log" ; } | head -n 5)"
    [ -e "$folder/$flavour.built" ] || return
    warnings "$folder/$flavour.log" >"$scratch/$flavour.warnings"
  done
  verdict "$version: no warning that the stock one has not" "$(
    new_warnings "$scratch/stock.warnings" "$scratch/patched.warnings")"
  verdict "$version: -d0.1 lists LMTPEXT of the patched one only" "$(
    compiled_with "$patched" | grep -w LMTPEXT >/dev/null || echo "the patched one does not"
    compiled_with "$stock" >"$scratch/said"
    grep -q NAMED_BIND "$scratch/said" || echo "the stock one lists nothing"
    grep -w LMTPEXT "$scratch/said")"
}
check_end_to_end() {
  sed -e "s/^\(FAILED\|ERROR\) /&$version /" -e "\$d" "$scratch/$version.run"
  counts=$(tail -n 1 "$scratch/$version.run" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
  [ "$counts" ] || counts="0 0"
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  verdict "$version: the end-to-end part ends with its counts" "$(
    [ "${counts% *}" -gt 0 ] && [ $(($(cat "$scratch/$version.status") == 0)) -eq $((${counts#* } == 0)) ] ||
      tail -n 3 "$scratch/$version.run")"
}

versions=${*:-$(sed -n 's/^\([0-9][^ ]*\) .*/\1/p' patches/sources)}
# The longest part, on two cores.
for version in $versions; do echo "trees $version"; done | xargs -P 2 -L 1 tests/patches/build
for version in $versions; do printf 'binary %s stock\nbinary %s patched\n' "$version" "$version"; done |
  xargs -P 2 -L 1 tests/patches/build
for version in $versions; do
  folder=build/patches/$version
  if [ -e "$folder/failed" ] || [ -e "$folder/skipped" ]; then continue; fi
  [ ! -e "$folder/stock.built" ] || [ ! -e "$folder/patched.built" ] || echo "$version"
done | xargs -P 3 -I VERSION sh -c 'folder=build/patches/VERSION
  tests/run -q tests/patches --patched $folder/patched/obj./sendmail/sendmail \
    --stock $folder/stock/obj./sendmail/sendmail --sendmail-version VERSION --tree $folder/patched \
    >"$0/VERSION.run" 2>&1
  echo $? >"$0/VERSION.status"' "$scratch"
for version in $versions; do
  folder=build/patches/$version
  patch=patches/sendmail-$version.patch
  stock=$folder/stock/obj./sendmail/sendmail
  patched=$folder/patched/obj./sendmail/sendmail
  if [ -s "$folder/skipped" ]; then
    skip "$version" "$(cat "$folder/skipped")"
    continue
  fi
  verdict "$version: the trees are there" "$(cat "$folder/failed" 2>/dev/null)"
  [ ! -e "$folder/failed" ] || continue
  check_source
  check_build
  [ ! -e "$scratch/$version.run" ] || check_end_to_end
done
close_suite
