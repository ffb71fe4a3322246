#!/bin/sh
# The Makefile: whose flags are passed on, what is compiled again when they change, what is installed and
# uninstalled, what clean removes. A copy of the tree is "compiled" by a script that notes what it was told.
# usage: check-make.sh BUILD
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
. tests/verdict.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Without the make variables of the caller.
make() {
  env -i PATH="$PATH" HOME="${HOME:-/}" TMPDIR="${TMPDIR:-/tmp}" make --no-print-directory "$@" </dev/null 2>&1
}
lines() { # file, pattern
  grep -cE -e "$2" "$1"
}
none() { # what must be empty
  [ -z "$1" ] || echo "$1" | head -5
}

# --- Compiling -----------------------------------------------------------------------------------------
tree=$scratch/tree
mkdir "$tree"
cp -R Makefile VERSION folders.txt common mailer milter "$tree/"
find tests -name '*.cpp' -o -name '*.h' -o -name floors.sh | tar -cf - -T - | tar -xf - -C "$tree"
cat >"$scratch/compiler" <<'END'
#!/bin/sh
[ "$*" != -dumpmachine ] || { echo x86_64-linux-gnu; exit; }
echo "$*" >>"$NOTES"
while [ $# -gt 0 ]; do
  case "$1 ${2:-}" in
  "-o "*.o) : >"$2" && echo "$2: common/log/log.h" >"${2%.o}.d" ;;
  "-o "*) : >"$2" ;;
  esac
  shift
done
END
chmod +x "$scratch/compiler"
notes=$scratch/notes
compile() { # arguments of make
  rm -f "$notes"
  : >"$notes"
  said=$(make -s -C "$tree" CXX="$scratch/compiler" NOTES="$notes" "$@") || echo "make $*: $said"
}
compiled() { lines "$notes" ' -c '; }
linked() { lines "$notes" ' -o build/lmtpq'; }

verdict "it builds" "$(compile)"
all=$(compiled)
verdict "each source is compiled, each program linked" \
  "$([ "$all" -ge 90 ] && [ "$(linked)" -eq 4 ] || echo "$all compiled, $(linked) linked")"
verdict "warnings are no errors" "$(none "$(grep -e -Werror "$notes")")"
verdict "the defaults are -O2 -g, hardened" \
  "$(none "$(grep -vE -e '-O2 -g|-shared|-pie' "$notes")")$([ "$(lines "$notes" 'FORTIFY_SOURCE=2.* -c ')" -eq "$all" ] || echo "not hardened")"
id() { # source
  sed -n "s,.*-DLMTPQ_BUILD=\"\([^\"]*\)\".* -c $1 .*,\1,p" "$notes"
}
first_id=$(id mailer/io/secure_loader.cpp)
verdict "lmtpq and lmtpq-secure.so have one build id" \
  "$([ -n "$first_id" ] && [ "$first_id" = "$(id mailer/secure/plugin.cpp)" ] || echo "$first_id, $(id mailer/secure/plugin.cpp)")"
verdict "what is up to date is left alone" "$(compile; cat "$notes")"
mkdir "$tree/common/attic"
echo >"$tree/common/attic/a.cpp"
verdict "a folder that is not listed is refused though all is up to date" \
  "$(compile | grep -q 'attic/a.cpp: its folder is not in folders.txt' || echo "accepted: $(compile)")"
rm -r "$tree/common/attic"
verdict "WERROR=1 alone compiles nothing again" "$(compile WERROR=1; cat "$notes")"
verdict "other CXXFLAGS compile and link all of it again" \
  "$(compile CXXFLAGS=-O3; [ "$(compiled) $(linked)" = "$all 4" ] || echo "$(compiled) of $all, $(linked) linked")"
verdict "CXXFLAGS take the place of the defaults" "$(none "$(grep -e '-O2\| -g' "$notes")")"
verdict "the build id changes with the flags, for both" \
  "$([ "$(id mailer/io/secure_loader.cpp)" != "$first_id" ] && [ "$(id mailer/secure/plugin.cpp)" = "$(id mailer/io/secure_loader.cpp)" ] || id mailer/secure/plugin.cpp)"
verdict "the build id is the same wherever the source is" "$(
  compile CXXFLAGS='-O3 -ffile-prefix-map=/here=.'
  here=$(id mailer/io/secure_loader.cpp)
  compile CXXFLAGS='-O3 -ffile-prefix-map=/over/there=.'
  [ -n "$here" ] && [ "$here" = "$(id mailer/io/secure_loader.cpp)" ] || echo "$here, $(id mailer/io/secure_loader.cpp)"
  compile CXXFLAGS=-O3)"
verdict "other LDFLAGS link all of it again, and compile nothing" \
  "$(compile CXXFLAGS=-O3 LDFLAGS=-Wl,-O1; [ "$(compiled) $(linked)" = "0 4" ] || cat "$notes")"
verdict "LDFLAGS and LDLIBS reach every program" \
  "$(compile CXXFLAGS=-O3 LDFLAGS=-Wl,--as-needed LDLIBS=-lmine; [ "$(lines "$notes" '-Wl,--as-needed .*-lmine')" -eq 4 ] || cat "$notes")"
verdict "CPPFLAGS and CXXFLAGS of the command line reach every source" \
  "$(compile CXXFLAGS='-O1 -g' CPPFLAGS=-DX WERROR=1; [ "$(lines "$notes" ' -DX .* -O1 -g .*-c ')" -eq "$all" ] || head -1 "$notes")"
verdict "WERROR=1 makes warnings errors" "$([ "$(lines "$notes" ' -Werror .*-c ')" -eq "$all" ] || head -1 "$notes")"
verdict "CXXFLAGS of the environment do too" "$(
  : >"$notes"
  said=$(env -i PATH="$PATH" NOTES="$notes" CXX="$scratch/compiler" CXXFLAGS=-Os make -s -C "$tree" 2>&1) || echo "$said"
  [ "$(lines "$notes" ' -Os .*-c ')" -eq "$all" ] || head -1 "$notes")"
verdict "without optimization there is no _FORTIFY_SOURCE" "$(compile CXXFLAGS=-O0; grep FORTIFY "$notes" | head -1)"
verdict "a _FORTIFY_SOURCE of the user's is the only one" \
  "$(compile CXXFLAGS=-O2 CPPFLAGS=-D_FORTIFY_SOURCE=3; grep FORTIFY_SOURCE=2 "$notes" | head -1)"
verdict "a header that changes compiles what includes it" "$(
  compile
  touch "$tree/common/log/log.h"
  compile
  [ "$(compiled)" -eq "$all" ] || echo "$(compiled) of $all")"

verdict "another version compiles one source and both ends of lmtpq-secure.so again" "$(
  echo 99.1 >"$tree/VERSION"
  compile
  [ "$(compiled)" -eq 3 ] && [ "$(lines "$notes" '-DLMTPQ_VERSION="99.1" .*-c common/version.cpp')" -eq 1 ] || cat "$notes"
  cp VERSION "$tree/VERSION")"
verdict "without a version nothing is built" "$(
  : >"$tree/VERSION"
  said=$(make -s -C "$tree" NOTES="$notes") && echo accepted
  case $said in *"VERSION is missing or empty"*) ;; *) echo "$said" ;; esac
  cp VERSION "$tree/VERSION")"
verdict "WITH_LDAP=no and its like leave out their libraries and sources" "$(
  compile WITH_LDAP=no WITH_SASL=no WITH_SYSTEMD=no WITH_PROMETHEUS=no BUILD=build/less
  grep -oE -e '-l(ldap|lber|sasl2|systemd|prometheus[a-z-]*)|-c mailer/se[a-z/]*(ldap/ldap_|sasl_|metric|service_manager)[a-z_]*.cpp' "$notes" | head -3
  grep -q -e '-lssl' "$notes" || echo "OpenSSL is gone too")"
verdict "WITH_LDAP=invalid is refused" "$(
  said=$(make -s -C "$tree" WITH_LDAP=0) && echo accepted
  case $said in *"WITH_LDAP=0: expected yes or no"*) ;; *) echo "$said" ;; esac)"
verdict "a package that is not installed is named, with the remedy" "$(
  said=$(make -s -C "$tree" BUILD=build/lacking CXX="$scratch/compiler" PKG_CONFIG=false NOTES="$notes") && echo accepted
  case $said in *"make build-deps"*) ;; *) echo "$said" ;; esac)"

verdict "PLATFORM=trixie hands all goals and variables on, once, and makes nothing here" "$(
  mkdir -p "$tree/tests/platform"
  printf '#!/bin/sh\necho "$*"\n' >"$tree/tests/platform/run"
  chmod +x "$tree/tests/platform/run"
  said=$(make -s -C "$tree" check e2e PLATFORM=trixie CXXFLAGS='-O1 -g' BUILD=build/other)
  case $said in
  *"
"*) echo "$said" ;;
  "trixie build/other/trixie make "*" CXXFLAGS=-O1 -g "*" PLATFORM= BUILD=build check e2e") ;;
  *) echo "$said" ;;
  esac
  [ ! -e "$tree/build/other" ] || echo "build/other is there")"

verdict "compile_commands.json is JSON, and has every source" "$(
  make -s -C "$tree" compile_commands.json
  cd "$tree" && /usr/bin/python3 - 2>&1 <<'END'
import json, pathlib, shlex
entries = json.load(open('compile_commands.json'))
files = {entry['file'] for entry in entries}
there = {str(path) for folder in ('common', 'mailer', 'milter', 'tests')
         for path in pathlib.Path(folder).rglob('*.cpp')}
print(*sorted(files ^ there))
for entry in entries:
  words = shlex.split(entry['command'])
  versions = [word for word in words if word.startswith('-DLMTPQ_VERSION=')]
  wanted = ['-DLMTPQ_VERSION="%s"' % open('VERSION').read().strip()]
  if entry['file'] not in words or versions != wanted * (entry['file'] == 'common/version.cpp') or entry['directory'] != str(pathlib.Path.cwd()):
    print(entry)
END
)"
verdict "clean removes what BUILD names, and no other folder" "$(
  said=$(make -s -C "$tree" clean BUILD=build/less) || echo "$said"
  [ ! -e "$tree/build/less" ] || echo "it is still there"
  [ -e "$tree/build/lmtpq" ] || echo "all is gone")"
verdict "clean refuses a folder that make has not built in" "$(
  make -s -C "$tree" clean BUILD=tests >/dev/null && echo accepted
  [ -e "$tree/tests/floors.sh" ] || echo "it is gone")"
verdict "help names every target that is for people" "$(
  make help >"$scratch/help"
  sed -n '/^\.PHONY:/,/[^\\]$/p' Makefile | tr -s ' \\\n' '\n' | grep -vxE '\.PHONY:|all|tests|FORCE|help|tsan-milter|platform-suites|' |
    while read -r target; do grep -qE "(make| )$target( |$)" "$scratch/help" || echo "$target"; done)"

# --- Installing ----------------------------------------------------------------------------------------
# -o all: what is installed is what is being tested, whatever flags it was built with.
root=$scratch/root
install() { # target, arguments of make
  make -s -o all "$@" BUILD="$build" PREFIX=/opt/lmtpq DESTDIR="$root"
}
tree_of() {
  (cd "$root" && find . -mindepth 1 | sort)
}
mkdir -p "$root/opt/lmtpq/share/doc/other" "$root/opt/lmtpq/lib/systemd/system"
touch "$root/opt/lmtpq/lib/systemd/system/other.service"
tree_of >"$scratch/before"
said=$(install install)
verdict "it installs" "$said"
tree_of >"$scratch/installed"
verdict "programs, manual, configuration, documents and patches are installed" "$(
  for path in bin/lmtpq libexec/lmtpq/lmtpq libexec/lmtpq/lmtpq-serve libexec/lmtpq/lmtpq-secure.so sbin/lmtpq-milter \
    share/man/man8/lmtpq.8 share/man/man8/lmtpq-milter.8 share/man/man5/lmtpq.conf.5 share/lmtpq/lmtpq.json \
    $(find cf -type f | sed 's,^,share/lmtpq/,') $(find patches -type f | sed 's,^,share/doc/lmtpq/,') \
    $(for name in README SECURITY CHANGES DAEMON INSTALL METRICS PERFORMANCE RELIABILITY ROUTING TAG TLS; do echo share/doc/lmtpq/$name.md; done); do
    [ -s "$root/opt/lmtpq/$path" ] || echo "$path"
  done)"
verdict "the installed lmtpq runs by its name" "$("$root/opt/lmtpq/bin/lmtpq" --version | grep -q '^lmtpq ' || echo no)"
verdict "modes are 755 for programs and folders, 644 for the others" "$(
  cd "$root/opt/lmtpq" && {
    find . -type d ! -perm 755
    find bin sbin libexec -type f ! -perm 755
    find share lib -type f ! -perm 644 ! -name fetch
  })"
verdict "the manual that is installed has the version" "$(
  for page in "$root"/opt/lmtpq/share/man/man?/*; do
    grep -qx "\.Os lmtpq $(cat VERSION)" "$page" || echo "$page"
    mandoc -T lint -W warning "$page" 2>&1
  done)"
verdict "what is installed names the prefix" "$(
  grep -rlF /usr/local "$root/opt/lmtpq/share/lmtpq" "$root/opt/lmtpq/share/man" "$root/opt/lmtpq/lib" "$root"/opt/lmtpq/share/doc/lmtpq/*.md)"
verdict "patches are installed as they are" "$(diff -r patches "$root/opt/lmtpq/share/doc/lmtpq/patches")"
verdict "links of the installed documents lead to installed files" "$(
  cd "$root/opt/lmtpq/share/doc/lmtpq" && grep -oE '\]\([^):#]+' ./*.md | sed 's/\](//' | sort -u |
    while IFS=: read -r page link; do
      case $link in ARCHITECTURE.md | HACKING.md) ;; *) [ -e "$link" ] || echo "$page: $link" ;; esac
    done)"
said=$(install uninstall)
verdict "it uninstalls" "$said"
verdict "uninstall leaves what others put there, and no file or folder of ours" \
  "$(tree_of | grep -vxE '\./opt/lmtpq/(bin|sbin|libexec|share|lib)' | diff "$scratch/before" - | grep '>';
    grep -vxE '\./opt/lmtpq/(share|lib)' "$scratch/before" | while read -r path; do [ -e "$root/$path" ] || echo "$path is gone"; done)"

said=$(install install SENDMAIL_CF=/opt/sendmail/cf)
verdict "SENDMAIL_CF puts mailer and feature where Sendmail's m4 finds them by name" "$said$(
  for file in mailer/lmtpq.m4 feature/lmtpq_milter.m4; do
    cmp "$root/opt/sendmail/cf/$file" "$root/opt/lmtpq/share/lmtpq/cf/$file" 2>&1
  done
  install uninstall SENDMAIL_CF=/opt/sendmail/cf
  find "$root/opt/sendmail" -type f)"
rm -r "$root/opt/sendmail"

said=$(install install-strip)
verdict "install-strip installs the same files" "$said$(tree_of | diff "$scratch/installed" - | head -3)"
verdict "stripped programs have no symbols for a debugger" "$(
  for file in "$root"/opt/lmtpq/libexec/lmtpq/* "$root/opt/lmtpq/sbin/lmtpq-milter"; do
    readelf -SW "$file" | grep -E '\.(debug_info|symtab)' && echo "$file"
  done)"
verdict "the stripped lmtpq runs" "$("$root/opt/lmtpq/bin/lmtpq" serve --version | grep -q '^lmtpq ' || echo no)"
make -s -o all uninstall BUILD="$build" PREFIX=/opt/lmtpq DESTDIR="$root" WITH_SYSTEMD=no >"$scratch/said"
verdict "uninstall does not depend on WITH_..." "$(find "$root" -name '*lmtpq*.s*' | grep service; cat "$scratch/said")"
close_suite
