#!/bin/sh
# Sendmail from source, stock and patched, as Debian builds it, under build/patches/VERSION.
# usage: build-sendmail.sh trees VERSION            fetches; makes stock/, patched/ and site.config.m4
#        build-sendmail.sh binary VERSION FLAVOUR   builds FLAVOUR/obj./sendmail/sendmail, FLAVOUR.log
# What it is: Debian's tree of that version with Debian's site configuration and flags, and -Wall -Wextra; or
#   the upstream tree with a small configuration of our own, where Debian's packaging cannot be had.
# What it does not know: what is checked of the results.
# Called by: check-patches.sh, for several versions at a time.
# Lifetimes: what was built stays until the source, the packaging, the patch, the compiler or this file changes.
# Failure: the reason in VERSION/failed; in VERSION/skipped if nobody has the source.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
# Whoever runs us may be make, with flags and a jobserver that are not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS DEB_BUILD_OPTIONS
version=$2
folder=$PWD/build/patches/$version
patch=$PWD/patches/sendmail-$version.patch
upstream=$folder/sendmail-$version
packaging=$upstream.debian/debian

digest_of() { # files and folders
  find "$@" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
}
stamp_of() { # flavour
  {
    digest_of "$upstream" tests/build-sendmail.sh
    [ ! -d "$packaging" ] || digest_of "$packaging"
    [ "$1" = stock ] || cat "$patch"
    gcc --version
  } | sha256sum
}
is_current() { # stamp file, flavour
  [ "$(cat "$folder/$1" 2>/dev/null)" = "$(stamp_of "$2")" ]
}

apply_debian_patches() {
  sed 's/#.*//' debian/patches/series | while read -r name; do
    [ -z "$name" ] || patch -s -p1 -F0 --no-backup-if-mismatch -i "debian/patches/$name"
  done
}
# As debian/rules does. The first run may end because it wrote debian/control anew.
configure_as_debian() {
  dh_autoreconf
  debian/rules configure || debian/rules configure
  sed 's/ -ffile-prefix-map=[^ ]*//' debian/build/site.config.m4 >"$folder/site.config.m4"
}
# 8.15.2 as it was released does not compile with OpenSSL 1.1 or later.
configure_by_hand() {
  tls=$(grep -q X509_STORE_CTX_set_error sendmail/tls.c && echo ' -DSTARTTLS' || :)
  cat >"$folder/site.config.m4" <<EOF
define(\`confMAPDEF', \`-DNEWDB -DMAP_REGEX')
define(\`confLIBS', \`-ldb')
define(\`confOPTIMIZE', \`-g -O2 -fstack-protector-strong -Wformat')
APPENDDEF(\`conf_sendmail_ENVDEF', \`-DHASFLOCK=1 -DMILTER -DSASL -I/usr/include/sasl$tls')
APPENDDEF(\`conf_sendmail_LIBS', \`-lsasl2 -lssl -lcrypto -lresolv')
EOF
}
make_stock() {
  cp -R "$upstream" "$folder/stock"
  cd "$folder/stock"
  if [ -d "$packaging" ]; then
    cp -R "$packaging" debian
    apply_debian_patches
    configure_as_debian
  else
    configure_by_hand
  fi
  echo "APPENDDEF(\`confOPTIMIZE', \`-Wall -Wextra')" >>"$folder/site.config.m4"
  cp "$folder/site.config.m4" devtools/Site/
}
make_patched() {
  mkdir "$folder/patched"
  tar -c -C "$folder/stock" --exclude=./obj. . | tar -x -C "$folder/patched"
  cd "$folder/patched"
  patch -p1 -F0 --no-backup-if-mismatch -i "$patch"
}

# In a process of its own, where set -e holds.
step() { # name, log
  "$0" "$1" "$version" >"$folder/$2" 2>&1 && return
  echo "$1: $(grep -iE 'error|fail|warning: .*patch' "$folder/$2" | tail -n 3 | cut -c1-300), see $folder/$2" >"$folder/failed"
  exit 1
}
get_upstream() {
  status=0
  patches/fetch "$version" "$folder" >"$folder/fetch.log" 2>&1 || status=$?
  case $status in
  0) return ;;
  69) tail -n 1 "$folder/fetch.log" >"$folder/skipped" ;;
  *) tail -n 1 "$folder/fetch.log" >"$folder/failed" ;;
  esac
  exit $status
}
make_trees() {
  mkdir -p "$folder"
  rm -f "$folder/failed" "$folder/skipped"
  get_upstream
  if ! is_current stock.tree stock; then
    rm -rf "$folder/stock" "$folder"/*.tree "$folder"/*.built
    step stock stock-tree.log
    stamp_of stock >"$folder/stock.tree"
  fi
  if ! is_current patched.tree patched; then
    rm -rf "$folder/patched" "$folder"/patched.*
    step patched patched-tree.log
    stamp_of patched >"$folder/patched.tree"
  fi
}
build() { # flavour
  if [ -e "$folder/failed" ] || [ -e "$folder/skipped" ]; then return; fi
  if is_current "$1.built" "$1" || ! is_current "$1.tree" "$1"; then return; fi
  # The name under which Build looks first for its folder, as in debian/rules.
  rm -rf "$folder/$1/obj." "$folder/$1.built"
  mkdir "$folder/$1/obj."
  cd "$folder/$1/sendmail"
  ./Build -S >"$folder/$1.log" 2>&1
  cd - >/dev/null
  stamp_of "$1" >"$folder/$1.built"
}

case $1 in
trees) make_trees ;;
stock) make_stock ;;
patched) make_patched ;;
binary) build "$3" ;;
*) exit 64 ;;
esac
