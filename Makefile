# lmtpq: `make help` lists the targets. Everything that is built goes under $(BUILD).

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
# The folder of Sendmail's m4, /usr/share/sendmail/cf: FEATURE and MAILER find our files there by name.
SENDMAIL_CF ?=
VERSION := $(or $(file <VERSION),$(error the file VERSION is missing or empty))

# `make check PLATFORM=trixie`: all goals are made in a root folder of that Debian release.
PLATFORM :=
ifneq ($(PLATFORM),)
GOALS := $(or $(MAKECMDGOALS),all)
$(firstword $(GOALS)): FORCE
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL tests/platform/run $(PLATFORM) $(BUILD)/$(PLATFORM) \
	  make --no-print-directory $(MAKEOVERRIDES) PLATFORM= BUILD=build $(GOALS)
$(wordlist 2,$(words $(GOALS)),$(GOALS)): $(firstword $(GOALS)) ; @:
FORCE:
else

# These are the user's, on the command line or in the environment: make CXXFLAGS=-O3. What lmtpq
# itself needs is in variables of other names.
CXXFLAGS   ?= $(if $(SANITIZE),-O1,-O2) -g
PKG_CONFIG ?= pkg-config
STRIP      ?= strip
CLANG_TIDY   ?= clang-tidy
CLANG_FORMAT ?= clang-format
WERROR ?=
# `make SANITIZE=address,undefined BUILD=build/asan check`: see check-asan and e2e-asan.
SANITIZE ?=
# no leaves out a library, and what it is for.
WITH_LDAP       ?= yes
WITH_SASL       ?= yes
WITH_SYSTEMD    ?= yes
WITH_PROMETHEUS ?= yes

# All cores, also when nobody says -j.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

FEATURES := LDAP SASL SYSTEMD PROMETHEUS
$(foreach feature,$(FEATURES),$(if $(filter yes no,$(WITH_$(feature))),,\
  $(error WITH_$(feature)=$(WITH_$(feature)): expected yes or no)))
without = $(filter no,$(WITH_$(1)))

# --- Flags -----------------------------------------------------------------------------------------

# Evaluated at the first use: make deps works without pkg-config.
once = $(eval $(1) := $(2))$($(1))
pkg_config = $(or $(shell $(PKG_CONFIG) $(1) $(2) && echo ' '),\
  $(error $(PKG_CONFIG) does not know $(2): make build-deps installs what building needs))
LIBS          = $(call once,LIBS,-lboost_program_options $(call pkg_config,--libs,nettle))
SECURE_LIBS   = $(call once,SECURE_LIBS,$(call pkg_config,--libs,$(SECURE_PACKAGES)))
SERVE_LIBS    = $(call once,SERVE_LIBS,$(if $(SERVE_PACKAGES),$(call pkg_config,--libs,$(SERVE_PACKAGES))) -lboost_context)
MILTER_LIBS   = $(call once,MILTER_LIBS,$(call pkg_config,--libs,milter))
CPPUNIT_LIBS  = $(call once,CPPUNIT_LIBS,$(call pkg_config,--libs,cppunit))
PACKAGE_FLAGS = $(call once,PACKAGE_FLAGS,$(call pkg_config,--cflags,nettle milter $(SECURE_PACKAGES) $(SERVE_PACKAGES)))
SECURE_PACKAGES := libssl libcrypto $(if $(call without,SASL),,libsasl2)
LDAP_PACKAGES   := $(if $(call without,LDAP),,ldap lber)
SERVE_PACKAGES  := $(strip $(LDAP_PACKAGES) $(if $(call without,SYSTEMD),,libsystemd) \
                   $(if $(call without,PROMETHEUS),,prometheus-cpp-core libmicrohttpd))

WARN := -Wall -Wextra -Wconversion -Wshadow
# glibc's checks need optimization, and a user who asks for them knows the level.
OPTIMIZED := $(filter-out -O0,$(lastword $(filter -O%,$(CXXFLAGS))))
FORTIFY   := $(if $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CXXFLAGS)),,$(if $(OPTIMIZED),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
HARDEN    := $(FORTIFY) -D_GLIBCXX_ASSERTIONS -fstack-protector-strong -fstack-clash-protection \
             $(if $(filter x86_64%,$(shell $(CXX) -dumpmachine)),-fcf-protection)
ifneq ($(SANITIZE),)
HARDEN := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
NEEDED_CPPFLAGS = -iquote . $(strip $(PACKAGE_FLAGS))
NEEDED_CXXFLAGS := -std=c++20 $(WARN) $(HARDEN) -pthread -fno-semantic-interposition
NEEDED_LDFLAGS  := $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl,-z,relro,-z,now) -pthread
# -fPIC last: lmtpq-secure.so takes objects of the libraries.
COMPILE = $(CXX) $(NEEDED_CPPFLAGS) $(CPPFLAGS) $(NEEDED_CXXFLAGS) $(CXXFLAGS) -fPIC
LINK    = $(CXX) -pie $(NEEDED_LDFLAGS) $(CXXFLAGS) $(LDFLAGS)

# --- Sources ---------------------------------------------------------------------------------------

# folders.txt lists the folders of the product in their order; no other folder is compiled, and an
# include that climbs stops the build.
FOLDERS        := $(shell awk '$$1 ~ /^[0-9]+$$/ {print $$2}' folders.txt)
SERVE_FOLDERS  := $(filter mailer/serve mailer/serve/%,$(FOLDERS))
MAILER_FOLDERS := $(filter-out $(SERVE_FOLDERS) mailer/secure,$(filter mailer mailer/%,$(FOLDERS)))
MILTER_FOLDERS := $(filter milter milter/%,$(FOLDERS))
COMMON_FOLDERS := $(filter common common/%,$(FOLDERS))

# For each feature the files that need its library, and the one that takes their place without it.
LDAP_SOURCES       := $(filter-out %/no_ldap.cpp,$(wildcard mailer/serve/ldap/*.cpp))
SYSTEMD_SOURCES    := $(wildcard mailer/serve/systemd/service_*.cpp tests/unit/mailer/serve/systemd/*.cpp)
PROMETHEUS_SOURCES := $(filter-out %/no_metrics.cpp,$(wildcard mailer/serve/metrics/*.cpp))
SASL_SOURCES       := $(wildcard mailer/secure/sasl_*.cpp tests/unit/mailer/secure/sasl_*.cpp)
LDAP_STUB       := mailer/serve/ldap/no_ldap.cpp
SYSTEMD_STUB    := mailer/serve/systemd/no_systemd.cpp
PROMETHEUS_STUB := mailer/serve/metrics/no_metrics.cpp
SASL_STUB       := mailer/secure/no_sasl.cpp
LEFT_OUT := $(foreach feature,$(FEATURES),$(if $(call without,$(feature)),$($(feature)_SOURCES),$($(feature)_STUB)))

all_sources = $(sort $(wildcard $(1)/*.cpp))
sources     = $(filter-out $(LEFT_OUT),$(all_sources))
objects     = $(patsubst %.cpp,$(BUILD)/%.o,$(sources))
in_folders  = $(foreach folder,$(1),$(call objects,$(folder)))

COMMON_OBJECTS := $(call in_folders,$(COMMON_FOLDERS))
MAILER_OBJECTS := $(filter-out $(BUILD)/mailer/main.o,$(call in_folders,$(MAILER_FOLDERS)))
# `lmtpq serve` becomes lmtpq-serve: what that links would make every other start slower.
SERVE_OBJECTS  := $(filter-out $(BUILD)/mailer/serve/main.o,$(call in_folders,$(SERVE_FOLDERS)))
MILTER_OBJECTS := $(filter-out $(BUILD)/milter/main.o,$(call in_folders,$(MILTER_FOLDERS)))
LIBRARIES        := $(BUILD)/libmailer.a $(BUILD)/libcommon.a
MILTER_LIBRARIES := $(BUILD)/libmilterparts.a $(BUILD)/libcommon.a
UNIT_FOLDERS   := $(patsubst tests/unit/%/,%,$(sort $(dir $(wildcard tests/unit/*/*.cpp tests/unit/*/*/*.cpp tests/unit/*/*/*/*.cpp))))
unit_objects    = $(foreach folder,$(filter $(1),$(UNIT_FOLDERS)),$(call objects,tests/unit/$(folder)))
FUZZERS        := $(patsubst tests/fuzz/fuzz_%.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))
MILTER_FUZZERS := $(patsubst tests/fuzz/milter/fuzz_%.cpp,%,$(wildcard tests/fuzz/milter/fuzz_*.cpp))
REPLAYS        := $(patsubst %,$(BUILD)/tests/fuzz/replay_%,$(FUZZERS) $(MILTER_FUZZERS))
MAILER_PROGRAMS := $(BUILD)/lmtpq $(BUILD)/lmtpq-serve $(BUILD)/lmtpq-secure.so
PROGRAMS       := $(MAILER_PROGRAMS) $(BUILD)/lmtpq-milter
TEST_PROGRAMS  := $(BUILD)/tests/unit_tests $(BUILD)/tests/milter_unit_tests \
                  $(BUILD)/tests/serve_unit_tests \
                  $(BUILD)/tests/play_dialogues $(BUILD)/tests/store \
                  $(BUILD)/tests/ask_routes $(REPLAYS)
PRODUCT_SOURCES := $(foreach folder,$(FOLDERS),$(call all_sources,$(folder)))
ALL_SOURCES     := $(PRODUCT_SOURCES) $(sort $(shell find tests -name '*.cpp'))

.PHONY: all help build-deps test-deps deps deb deb-deps packages tests check e2e test ci ci-platform platform-suites variants \
        demo bench fuzz lint format format-check coverage mutants compile_commands.json install install-strip uninstall clean FORCE \
        check-asan check-tsan e2e-asan tsan-milter faults-asan faults-tsan wire wire-asan wire-tsan soak
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS)

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

## make                 build/lmtpq, its parts and build/lmtpq-milter
## make install         into PREFIX=/usr/local, below DESTDIR=
## make install-strip   the same without debug symbols
## make uninstall       removes what install made, with the same PREFIX and DESTDIR
## make deb             Debian packages of it into $(BUILD)/deb; make deb-deps installs what that needs
## make clean           removes $(BUILD)
## make build-deps      installs the Debian packages of packages-build.txt that are missing (root)
## make test-deps       also those of packages-test.txt
## make deps            also those of packages-deb.txt and packages-lint.txt
## make demo            a private Sendmail, lmtpq and store: three messages and what became of them
##
## make check           unit tests, dialogues, corpus replay, floors, documents; no root, no network
## make e2e             real Sendmail with real Cyrus, Dovecot and our store; the cf files; patches/, for
##                      which it fetches Sendmail's source into ~/.cache and builds it
## make test            test-deps, check and e2e
## make ci              test and packages, before them lint, a build by clang and the variants: what .ci/run does
## make ci-platform     check and e2e on Debian 13, without patches/
## make variants        lmtpq without LDAP, SASL, systemd, Prometheus, and without all of them
## make coverage        which lines and branches of each folder make check reaches, by gcovr
## make mutants         changes the product in MUTANTS=200 places, one at a time, and reports the changes that no
##                      test notices; hours
## make lint            clang-tidy over the product, and format-check
## make format format-check         clang-format over the product and the tests
## make fuzz            every fuzz target with clang's libFuzzer, FUZZ_SECONDS=60 each; fuzz-NAME: one
## make check-asan e2e-asan check-tsan   the same under the sanitizers
## make wire wire-asan wire-tsan         broken stores and hostile clients at random, WIRE_SEEDS=150 of them,
##                      from WIRE_FIRST=1 on; also under the sanitizers
## make soak            SOAK_MESSAGES=1000000 through the daemon while everything around it fails, and the count of
##                      those lost, doubled or changed; SOAK_SEED=1 draws the faults
## make faults-asan faults-tsan          the daemon's faults under load, under the sanitizers
## make packages        makes and tests the Debian packages: their contents, and what becomes of mail when they
##                      are installed, upgraded, removed, purged in a clean system of $(BUILD)/packages, without
##                      systemd and booted by it (root, network)
## make bench           speed and memory, against the stock mailer and other proxies; writes
##                      build/bench.txt, the figures of docs/PERFORMANCE.md and docs/performance.svg
## make compile_commands.json       for clangd and other tools
##
## Variables: CXX CXXFLAGS CPPFLAGS LDFLAGS LDLIBS AR PKG_CONFIG, BUILD=build, PREFIX, DESTDIR,
## SENDMAIL_CF=/usr/share/sendmail/cf, V=1 (show the commands), WERROR=1 (warnings are errors), SANITIZE=address,undefined, and WITH_LDAP=no
## WITH_SASL=no WITH_SYSTEMD=no WITH_PROMETHEUS=no, which leave out a library and what needs it.
## PLATFORM=trixie, with any target: on that Debian release, in a root folder of it (root, network); what is
## built is in $(BUILD)/trixie.

# --- Compiling and linking -------------------------------------------------------------------------

# `make V=1` shows the commands.
say    = $(if $(V),,@echo "$(1)";)
quoted = '$(subst ','\'',$(1))'

FLOORS_KEPT := $(BUILD)/floors-kept
$(FLOORS_KEPT): folders.txt tests/floors.sh $(shell find common mailer milter -name '*.h' -o -name '*.cpp')
	@mkdir -p $(@D)
	@tests/floors.sh
	@touch $@

# lmtpq and lmtpq-secure.so must have been compiled from the same headers with the same flags:
# mailer/io/secure_loader.h says why that is a separate file.
SHARED_HEADERS := $(foreach folder,$(COMMON_FOLDERS) $(MAILER_FOLDERS),$(wildcard $(folder)/*.h))
# Where the source is does not matter: two builds of it are equal.
PLACES   := -ffile-prefix-map=% -fdebug-prefix-map=% -fmacro-prefix-map=%
BUILD_ID = $(call once,BUILD_ID,$(VERSION)-$(shell (cat $(SHARED_HEADERS); \
             echo $(call quoted,$(filter-out $(PLACES),$(COMPILE)))) | sha256sum | cut -c1-16))
VERSION_TEXT   := common/version.cpp
ENDS_OF_SECURE := mailer/io/secure_loader.cpp mailer/secure/plugin.cpp
FEATURE_LIST   := mailer/settings/build_features.cpp
WITH_FLAGS     := $(foreach feature,$(FEATURES),-DLMTPQ_WITH_$(feature)=$(if $(call without,$(feature)),false,true))
# What a source needs that others do not.
# Unit tests compile in half the time without optimization, and take as long.
extra_flags = $(if $(filter $(VERSION_TEXT),$(1)),-DLMTPQ_VERSION='"$(VERSION)"') \
              $(if $(filter $(ENDS_OF_SECURE),$(1)),-DLMTPQ_BUILD='"$(BUILD_ID)"') \
              $(if $(filter $(FEATURE_LIST),$(1)),$(WITH_FLAGS)) \
              $(if $(filter mailer/secure/%,$(1)),-fvisibility=hidden) \
              $(if $(filter tests/unit/%,$(1)),-O0 $(if $(OPTIMIZED),-U_FORTIFY_SOURCE))

# Files that change when their text does: what was made with other flags is made again.
$(BUILD)/flags/compile:  TEXT = $(strip $(COMPILE))
$(BUILD)/flags/link:     TEXT = $(LINK) $(LDLIBS) $(LIBS) $(SECURE_LIBS) $(SERVE_LIBS) $(MILTER_LIBS)
$(BUILD)/flags/version:  TEXT = $(VERSION)
$(BUILD)/flags/build-id: TEXT = $(BUILD_ID)
$(BUILD)/flags/features: TEXT = $(WITH_FLAGS)
$(BUILD)/flags/%: FORCE
	@mkdir -p $(@D)
	@echo $(call quoted,$(TEXT)) | cmp -s - $@ || echo $(call quoted,$(TEXT)) >$@
$(VERSION_TEXT:%.cpp=$(BUILD)/%.o): $(BUILD)/flags/version
$(ENDS_OF_SECURE:%.cpp=$(BUILD)/%.o): $(BUILD)/flags/build-id
$(FEATURE_LIST:%.cpp=$(BUILD)/%.o): $(BUILD)/flags/features
$(PROGRAMS) $(TEST_PROGRAMS): $(BUILD)/flags/link

$(BUILD)/%.o: %.cpp $(BUILD)/flags/compile | $(FLOORS_KEPT)
	@mkdir -p $(@D)
	$(call say,CXX $<)$(COMPILE) $(if $(filter 1,$(WERROR)),-Werror) $(call extra_flags,$<) -MMD -MP -c $< -o $@
-include $(wildcard $(ALL_SOURCES:%.cpp=$(BUILD)/%.d))

$(BUILD)/libcommon.a: $(COMMON_OBJECTS)
$(BUILD)/libmailer.a: $(MAILER_OBJECTS)
$(BUILD)/libmilterparts.a: $(MILTER_OBJECTS)
$(BUILD)/lib%.a:
	@rm -f $@
	$(call say,AR $@)$(AR) rcs $@ $^

# $(call link,libraries): what a program depends on becomes the program.
inputs = $(filter %.o %.a,$^)
link   = $(call say,LD $@)mkdir -p $(@D) && $(LINK) $(inputs) $(1) $(LDLIBS) -o $@

$(BUILD)/lmtpq: $(BUILD)/mailer/main.o $(LIBRARIES)
	$(call link,$(LIBS))
$(BUILD)/lmtpq-serve: $(BUILD)/mailer/serve/main.o $(SERVE_OBJECTS) $(LIBRARIES)
	$(call link,$(SERVE_LIBS) $(LIBS))
$(BUILD)/lmtpq-secure.so: private LINK = $(CXX) -shared -Wl,--exclude-libs,ALL $(NEEDED_LDFLAGS) $(CXXFLAGS) $(LDFLAGS)
$(BUILD)/lmtpq-secure.so: $(call objects,mailer/secure) $(LIBRARIES)
	$(call link,$(SECURE_LIBS) $(LIBS))
$(BUILD)/lmtpq-milter: $(BUILD)/milter/main.o $(MILTER_LIBRARIES)
	$(call link,$(LIBS) $(MILTER_LIBS))

UNIT_MAIN := $(BUILD)/tests/unit/main.o
$(BUILD)/tests/unit_tests: $(call unit_objects,$(COMMON_FOLDERS) $(MAILER_FOLDERS) mailer/secure) $(UNIT_MAIN) \
                           $(call objects,mailer/secure) $(LIBRARIES)
	$(call link,$(CPPUNIT_LIBS) $(SECURE_LIBS) $(LIBS))
$(BUILD)/tests/serve_unit_tests: $(call unit_objects,$(SERVE_FOLDERS)) $(UNIT_MAIN) $(SERVE_OBJECTS) $(LIBRARIES)
	$(call link,$(CPPUNIT_LIBS) $(SERVE_LIBS) $(LIBS))
$(BUILD)/tests/milter_unit_tests: $(call unit_objects,$(MILTER_FOLDERS)) $(UNIT_MAIN) $(MILTER_LIBRARIES)
	$(call link,$(CPPUNIT_LIBS) $(LIBS) $(MILTER_LIBS))
$(BUILD)/tests/play_dialogues: $(call objects,tests/dialogues) $(LIBRARIES)
	$(call link,$(LIBS))
$(BUILD)/tests/store: $(call objects,tests/peers/store)
	$(call link)
$(BUILD)/tests/ask_routes: $(call objects,tests/routes) $(call objects,mailer/serve/ldap) $(LIBRARIES)
	$(call link,$(SERVE_LIBS) $(LIBS))

# Without libmilter: a target has fakes of it.
$(MILTER_FUZZERS:%=$(BUILD)/tests/fuzz/replay_%): $(BUILD)/tests/fuzz/replay_%: \
    $(BUILD)/tests/fuzz/milter/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(MILTER_LIBRARIES)
	$(call link,$(LIBS))
$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(LIBRARIES)
	$(call link,$(LIBS))

tests: all $(TEST_PROGRAMS)

compile_commands.json:
	$(file >$@,[)$(foreach source,$(ALL_SOURCES),$(file >>$@,$(call entry,$(source))))$(file >>$@,{}])
	@sed -i ':all; N; $$!b all; s/,\n{}\]/\n]/' $@
entry = {"directory": "$(CURDIR)", "file": "$(1)", "command": "$(call json,$(COMPILE) $(call extra_flags,$(1)) -c $(1) -o $(BUILD)/$(1:.cpp=.o))"},
json  = $(subst ",\",$(subst \,\\,$(strip $(1))))

# --- Tests -----------------------------------------------------------------------------------------

build-deps:
	@sh tests/deps.sh packages-build.txt
test-deps:
	@sh tests/deps.sh packages-build.txt packages-test.txt
deps:
	@sh tests/deps.sh packages-build.txt packages-deb.txt packages-test.txt packages-lint.txt

# A suite ends with "N passed, N failed"; tally runs the suites, adds up, and ends the same way.
check: tests
	@tests/tally tests/check.suites BUILD=$(BUILD)

e2e: tests tsan-milter
	@tests/tally tests/e2e.suites tests/patches.suites BUILD=$(BUILD)

test: test-deps
	@$(MAKE) --no-print-directory tests tsan-milter
	@tests/tally tests/check.suites tests/e2e.suites tests/patches.suites BUILD=$(BUILD)

# It has 45 minutes on two cores: without the second build of the packages.
TWICE := packages/test_contents.py::TestTogether::test_a_second_build_elsewhere_and_later_is_equal
ci: deps
	@tests/tally tests/ci.suites tests/check.suites tests/e2e.suites tests/packages.suites tests/patches.suites \
	  BUILD=$(BUILD) LEFT_OUT=--deselect=$(TWICE)

# check and e2e on Debian 13, as one suite; platform-suites is what runs there.
ci-platform:
	@tests/tally tests/platform.suites BUILD=$(BUILD)
platform-suites: tests tsan-milter
	@tests/tally tests/check.suites tests/e2e.suites BUILD=$(BUILD)

# Whatever else is tested, the milter's threads are tested under ThreadSanitizer.
tsan-milter:
	@$(MAKE) --no-print-directory SANITIZE=thread BUILD=build/tsan build/tsan/lmtpq-milter

check-asan:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=build/asan check

e2e-asan:
	@$(MAKE) --no-print-directory SANITIZE=address,undefined BUILD=build/asan e2e

check-tsan:
	@$(MAKE) --no-print-directory SANITIZE=thread BUILD=build/tsan check

variants:
	@tests/check-variants.sh $(BUILD)/variants

coverage:
	@tests/coverage

# Small changes of the product, in a copy of it: tests/mutants/run.
MUTANTS          ?= 200
MUTANTS_SEED     ?= 1
MUTANTS_IN       ?=
MUTANTS_AT_LEAST ?= 92
MUTANTS_AGAIN    ?= no
mutants:
	@tests/mutants/run --build $(BUILD) --number $(MUTANTS) --seed $(MUTANTS_SEED) --in "$(MUTANTS_IN)" \
	  --at-least $(MUTANTS_AT_LEAST) $(if $(filter yes,$(MUTANTS_AGAIN)),--again)

demo: test-deps
	@$(MAKE) --no-print-directory -s all $(BUILD)/tests/store
	@LMTPQ=$(BUILD)/lmtpq LMTPQ_MILTER=$(BUILD)/lmtpq-milter STORE_BIN=$(BUILD)/tests/store tests/e2e/demo

bench: all $(BUILD)/tests/store
	@bash -o pipefail -c "tests/bench/run --lmtpq $(BUILD)/lmtpq --milter $(BUILD)/lmtpq-milter \
	  --store $(BUILD)/tests/store --write | tee $(BUILD)/bench.txt"
	@bash -o pipefail -c "tests/run tests/faults -n 0 -q --build $(BUILD) \
	  | grep -vE '^(\.|$$)' | tee -a $(BUILD)/bench.txt"

# The daemon under load while everything around it dies, under the sanitizers.
faults-asan: SANITIZER := address,undefined
faults-tsan: SANITIZER := thread
faults-asan faults-tsan: faults-%: $(BUILD)/tests/store
	@$(MAKE) --no-print-directory SANITIZE=$(SANITIZER) BUILD=build/$* \
	  build/$*/lmtpq build/$*/lmtpq-serve build/$*/lmtpq-secure.so
	STORE_BIN=$(BUILD)/tests/store tests/run tests/faults -n 0 --build build/$* --messages 1000

# Random dialogues from both sides; about 4 s a seed.
WIRE_FIRST ?= 1
WIRE_SEEDS ?= 150
WIRE = tests/run -q tests/wire -n 2 --dist loadgroup --wire-first $(WIRE_FIRST) --wire-seeds $(WIRE_SEEDS)
wire: all
	$(WIRE) --build $(BUILD)
wire-asan: SANITIZER := address,undefined
wire-tsan: SANITIZER := thread
wire-asan wire-tsan: wire-%:
	@$(MAKE) --no-print-directory SANITIZE=$(SANITIZER) BUILD=build/$* \
	  build/$*/lmtpq build/$*/lmtpq-serve build/$*/lmtpq-secure.so
	$(WIRE) --build build/$*

# SIGINT ends it with the report so far.
SOAK_MESSAGES ?= 1000000
SOAK_SEED     ?= 1
soak: all
	@tests/soak/run --messages $(SOAK_MESSAGES) --seed $(SOAK_SEED) --build $(BUILD)

# libFuzzer is clang's; the product's objects are compiled once more for it.
FUZZ_SECONDS ?= 60
fuzz: $(patsubst %,fuzz-%,$(FUZZERS) $(MILTER_FUZZERS))
fuzz-%:
	@$(MAKE) --no-print-directory CXX=clang++ SANITIZE=fuzzer-no-link,address,undefined BUILD=build/fuzz \
	  build/fuzz/tests/fuzz/fuzz_$*
	@mkdir -p build/fuzz/corpus_$*
	build/fuzz/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	  build/fuzz/corpus_$* tests/fuzz/corpus/$*
$(MILTER_FUZZERS:%=$(BUILD)/tests/fuzz/fuzz_%): $(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/milter/fuzz_%.o $(MILTER_LIBRARIES)
	$(call link,-fsanitize=fuzzer $(LIBS))
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBRARIES)
	$(call link,-fsanitize=fuzzer $(LIBS))

FORMATTED := $(shell find common mailer milter tests -name '*.h' -o -name '*.cpp')
format:
	$(CLANG_FORMAT) -i $(FORMATTED)
format-check:
	@$(CLANG_FORMAT) --dry-run -Werror $(FORMATTED)
# Some minutes. What clang-tidy says of warnings that it does not show is left out.
lint: format-check compile_commands.json
	@printf '%s\n' $(PRODUCT_SOURCES) | xargs -P $$(nproc) -n 4 bash -o pipefail -c \
	  '$(CLANG_TIDY) --quiet -p . "$$@" 2>&1 | sed "/warnings\? generated\.$$/d"' lint

# --- Installing ------------------------------------------------------------------------------------

# KIND:FILE:TARGET of all that is installed. A text names our folders, by their defaults.
put      = $(foreach file,$(2),$(1):$(file):$(PREFIX)/$(3)/$(notdir $(file)))
put_tree = $(foreach file,$(sort $(shell find $(2) -type f)),$(1):$(file):$(PREFIX)/$(3)/$(file))
UNITS   := $(filter-out $(if $(call without,SYSTEMD),%/lmtpq.service %/lmtpq.socket),$(wildcard dist/systemd/*))
INSTALLED = $(call put,program,$(MAILER_PROGRAMS),libexec/lmtpq) \
            $(call put,program,$(BUILD)/lmtpq-milter,sbin) \
            link:../libexec/lmtpq/lmtpq:$(PREFIX)/bin/lmtpq \
            $(call put_tree,text,cf,share/lmtpq) \
            $(if $(SENDMAIL_CF),$(foreach file,mailer/lmtpq.m4 feature/lmtpq_milter.m4,text:cf/$(file):$(SENDMAIL_CF)/$(file))) \
            $(call put,file,dist/grafana/lmtpq.json,share/lmtpq) \
            $(call put,text,docs/man/lmtpq.8 docs/man/lmtpq-milter.8,share/man/man8) \
            $(call put,text,docs/man/lmtpq.conf.5,share/man/man5) \
            $(call put,page,README.md SECURITY.md docs/CHANGES.md docs/DAEMON.md docs/INSTALL.md docs/METRICS.md \
              docs/PERFORMANCE.md docs/RELIABILITY.md docs/ROUTING.md docs/TAG.md docs/TLS.md,share/doc/lmtpq) \
            $(call put,file,LICENSE docs/performance.svg,share/doc/lmtpq) \
            $(call put_tree,file,patches,share/doc/lmtpq) \
            $(call put,text,$(UNITS),lib/systemd/system) \
            $(call put,file,dist/sysusers.d/lmtpq.conf,lib/sysusers.d) \
            $(call put,file,dist/tmpfiles.d/lmtpq.conf,lib/tmpfiles.d)
# Begins a loop with $$kind, $$file and $$target of each.
EACH_INSTALLED = @set -e; for entry in $(INSTALLED); do \
  kind=$${entry%%:*}; target=$${entry\#\#*:}; file=$${entry\#*:}; file=$${file%:*};

TO_PREFIX := s|/usr/local|$(PREFIX)|g
TO_TEXT   := $(TO_PREFIX); s|^\.Os$$|.Os lmtpq $(VERSION)|
TO_LINKS  := s~\[\(docs/\(ARCHITECTURE\|HACKING\)\.md\)\]([^)]*)~\1 of the source~g; s|](docs/|](|g; s|](\(\.\./\)*cf/|](../../lmtpq/cf/|g

INSTALL_FLAGS :=
install-strip: INSTALL_FLAGS := -s --strip-program=$(STRIP)
install install-strip: all
	$(EACH_INSTALLED) to="$(DESTDIR)$$target"; [ $$kind = link ] || [ -r $$file ]; \
	  case $$kind in \
	  link) install -d "$$(dirname "$$to")"; ln -sf $$file "$$to" ;; \
	  program) install -D -m 755 $(INSTALL_FLAGS) $$file "$$to" ;; \
	  file) install -D -m $$([ -x $$file ] && echo 755 || echo 644) $$file "$$to" ;; \
	  text) sed '$(TO_TEXT)' $$file | install -D -m 644 /dev/stdin "$$to" ;; \
	  page) sed '$(TO_PREFIX); $(TO_LINKS)' $$file | install -D -m 644 /dev/stdin "$$to" ;; \
	  esac; done

# The folders too, as far as they are empty then; those that any PREFIX has stay.
uninstall: UNITS := $(wildcard dist/systemd/*)
uninstall:
	$(EACH_INSTALLED) rm -f "$(DESTDIR)$$target"; inner=$${target#$(PREFIX)/*/}; \
	  top="$(DESTDIR)$${target%/$$inner}"; folder=$${inner%/*}; \
	  if [ $$folder != $$inner ] && [ -d "$$top/$$folder" ]; then \
	    (cd "$$top" && rmdir -p --ignore-fail-on-non-empty $$folder); \
	  fi; done

# --- Debian packages -------------------------------------------------------------------------------

# The build uses a copy of these, and neither the flags nor the variables of this make.
DEB_TREE := Makefile VERSION LICENSE README.md SECURITY.md folders.txt cf common debian dist docs mailer milter patches tests/floors.sh
deb:
	@rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb/lmtpq
	@cp -dR --parents $(DEB_TREE) $(BUILD)/deb/lmtpq
	cd $(BUILD)/deb/lmtpq && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u MAKEOVERRIDES \
	  dpkg-buildpackage -b -us -uc -j$(or $(DEB_JOBS),$(shell nproc))
	@rm -rf $(BUILD)/deb/lmtpq
	@ls $(BUILD)/deb/*.deb

deb-deps:
	@sh tests/deps.sh packages-build.txt packages-deb.txt

packages:
	@tests/tally tests/packages.suites BUILD=$(BUILD) LEFT_OUT=

clean:
	@[ ! -e $(BUILD) ] || [ -e $(BUILD)/floors-kept ] || \
	  { echo "make clean: $(BUILD) is no folder that make builds in" >&2; exit 1; }
	rm -rf $(BUILD)

endif
