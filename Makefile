# lmtpq: `make help` lists the targets. Everything that is built goes under $(BUILD).

PREFIX  ?= /usr/local
DESTDIR ?=
BUILD   ?= build
VERSION := 0.1

# All cores, also when nobody says -j.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

# The user's: make CXXFLAGS=-O3 CPPFLAGS=... LDFLAGS=... builds. What lmtpq itself needs is below.
CXX      ?= g++
CXXFLAGS ?= -O2 -g
WERROR   ?=
# `make SANITIZE=address,undefined BUILD=build/asan check`: see check-asan and e2e-asan.
SANITIZE ?=

WARN   := -Wall -Wextra -Wconversion -Wshadow $(if $(filter 1,$(WERROR)),-Werror)
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong \
          -fstack-clash-protection $(if $(filter x86_64,$(shell uname -m)),-fcf-protection)
ifneq ($(SANITIZE),)
HARDEN   := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
CXXFLAGS := -O1 -g
endif
NEEDED_CPPFLAGS := -iquote . -DLMTPQ_VERSION='"$(VERSION)"'
NEEDED_CXXFLAGS := -std=c++20 $(WARN) $(HARDEN) -pthread -fPIC -fno-semantic-interposition
NEEDED_LDFLAGS  := $(if $(SANITIZE),-fsanitize=$(SANITIZE),-Wl,-z,relro,-z,now) -pthread
COMPILE = $(CXX) $(NEEDED_CPPFLAGS) $(CPPFLAGS) $(NEEDED_CXXFLAGS) $(CXXFLAGS)
LINK    = $(CXX) -pie $(NEEDED_LDFLAGS) $(LDFLAGS)
# libanl: getaddrinfo_a, part of libc itself since glibc 2.34.
LIBS        := -lboost_program_options -lnettle
SECURE_LIBS := -lsasl2 -lssl -lcrypto
SERVE_LIBS  := -lsystemd -lboost_context -lldap -llber -lprometheus-cpp-pull -lprometheus-cpp-core

# floors.txt lists the folders of the product in their order; no other folder is compiled, and an
# include that climbs stops the build.
ROOMS       := $(shell awk '$$1 ~ /^[0-9]+$$/ {print $$2}' floors.txt)
SERVE_ROOMS := $(filter mailer/serve mailer/serve/%,$(ROOMS))
MAILER_ROOMS := $(filter-out $(SERVE_ROOMS) mailer/secure,$(filter mailer mailer/%,$(ROOMS)))
MILTER_ROOMS := $(filter milter milter/%,$(ROOMS))
COMMON_ROOMS := $(filter common common/%,$(ROOMS))

# `make V=1` shows the commands.
say = $(if $(V),,@echo "$(1)";)

sources = $(sort $(wildcard $(1)/*.cpp))
objects = $(patsubst %.cpp,$(BUILD)/%.o,$(call sources,$(1)))

in_rooms = $(foreach room,$(1),$(call objects,$(room)))

COMMON_OBJECTS := $(call in_rooms,$(COMMON_ROOMS))
MAILER_OBJECTS := $(filter-out $(BUILD)/mailer/main.o,$(call in_rooms,$(MAILER_ROOMS)))
MILTER_OBJECTS := $(filter-out $(BUILD)/milter/main.o,$(call in_rooms,$(MILTER_ROOMS)))
LIBRARIES      := $(BUILD)/libmailer.a $(BUILD)/libcommon.a
UNIT_ROOMS     := $(patsubst tests/unit/%/,%,$(sort $(dir $(wildcard tests/unit/*/*.cpp tests/unit/*/*/*.cpp tests/unit/*/*/*/*.cpp))))
unit_objects = $(foreach room,$(filter $(1),$(UNIT_ROOMS)),$(call objects,tests/unit/$(room)))
FUZZERS        := $(patsubst tests/fuzz/fuzz_%.cpp,%,$(wildcard tests/fuzz/fuzz_*.cpp))
REPLAYS        := $(FUZZERS:%=$(BUILD)/tests/fuzz/replay_%) $(BUILD)/tests/fuzz/replay_message
MILTER_LIBRARIES := $(BUILD)/libmilterparts.a $(BUILD)/libcommon.a
TEST_PROGRAMS  := $(BUILD)/tests/unit_tests $(BUILD)/tests/milter_unit_tests \
                  $(BUILD)/tests/serve_unit_tests \
                  $(BUILD)/tests/play_dialogues $(BUILD)/tests/store \
                  $(BUILD)/tests/ask_routes $(REPLAYS)

.PHONY: all help deps tests check e2e test demo bench fuzz lint format format-check install clean \
        check-asan check-tsan e2e-asan tsan-milter faults-asan faults-tsan
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/lmtpq $(BUILD)/lmtpq-serve $(BUILD)/lmtpq-secure.so $(BUILD)/lmtpq-milter

help:
	@sed -n 's/^## //p' Makefile

## make              build/lmtpq, its parts and build/lmtpq-milter
## make deps         install the Debian packages of packages.txt that are missing (root)
## make demo         a private Sendmail, lmtpq and store: three messages and what became of them
## make check        unit tests, dialogues, corpus replay, floors, documents; no root, no network
## make e2e          real Sendmail with real Cyrus, Dovecot and our store; the cf files; patches/, for
##                   which it fetches Sendmail's source into ~/.cache and builds it
## make test         deps, check and e2e: what CI runs
## make bench        speed and memory, against the stock mailer and other proxies; writes build/bench.txt,
##                   the figures of docs/PERFORMANCE.md and docs/performance.svg
## make fuzz         every fuzz target with clang's libFuzzer, FUZZ_SECONDS=60 each
## make check-asan e2e-asan check-tsan   the same under the sanitizers
## make faults-asan faults-tsan          the daemon's faults under load, under the sanitizers
## make lint format format-check         clang-tidy, clang-format
## make install DESTDIR= PREFIX=/usr/local

FLOORS_KEPT := $(BUILD)/floors-kept
$(FLOORS_KEPT): floors.txt tests/floors.sh $(foreach room,$(ROOMS),$(wildcard $(room)/*.h $(room)/*.cpp))
	@mkdir -p $(@D)
	@tests/floors.sh
	@touch $@

$(BUILD)/%.o: %.cpp | $(FLOORS_KEPT)
	@mkdir -p $(@D)
	$(call say,CXX $<)$(COMPILE) -MMD -MP -c $< -o $@

$(BUILD)/libcommon.a: $(COMMON_OBJECTS)
$(BUILD)/libmailer.a: $(MAILER_OBJECTS)
$(BUILD)/libmilterparts.a: $(MILTER_OBJECTS)
$(BUILD)/lib%.a:
	@rm -f $@
	$(call say,AR $@)$(AR) rcs $@ $^

$(BUILD)/lmtpq: $(BUILD)/mailer/main.o $(LIBRARIES)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -o $@

# `lmtpq serve` becomes it: what it links would make every other start slower.
SERVE_OBJECTS := $(filter-out $(BUILD)/mailer/serve/main.o,$(call in_rooms,$(SERVE_ROOMS)))
$(BUILD)/lmtpq-serve: $(BUILD)/mailer/serve/main.o $(SERVE_OBJECTS) $(LIBRARIES)
	$(call say,LD $@)$(LINK) $^ $(SERVE_LIBS) $(LIBS) -o $@

# What needs OpenSSL and libsasl2: mailer/io/secure_loader.h says why it is a file of its own. Both
# halves must have been compiled from the same headers with the same flags.
SHARED_HEADERS := $(foreach room,$(COMMON_ROOMS) $(MAILER_ROOMS),$(wildcard $(room)/*.h))
BUILD_ID := $(VERSION)-$(shell (cat $(SHARED_HEADERS); echo '$(CXXFLAGS) $(SANITIZE)') | sha256sum | cut -c1-16)
ENDS_OF_SECURE := $(BUILD)/mailer/io/secure_loader.o $(BUILD)/mailer/secure/plugin.o
$(ENDS_OF_SECURE): NEEDED_CPPFLAGS += -DLMTPQ_BUILD='"$(BUILD_ID)"'
$(ENDS_OF_SECURE): $(SHARED_HEADERS)
$(BUILD)/mailer/secure/%.o: NEEDED_CXXFLAGS += -fvisibility=hidden
$(BUILD)/lmtpq-secure.so: $(call objects,mailer/secure) $(LIBRARIES)
	$(call say,LD $@)$(CXX) $(NEEDED_LDFLAGS) $(LDFLAGS) -shared -Wl,--exclude-libs,ALL $^ $(SECURE_LIBS) $(LIBS) -o $@

$(BUILD)/lmtpq-milter: $(BUILD)/milter/main.o $(MILTER_LIBRARIES)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -lmilter -o $@

$(BUILD)/tests/milter_unit_tests: $(call unit_objects,milter milter/%) $(BUILD)/tests/unit/main.o $(MILTER_LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ -lcppunit $(LIBS) -lmilter -o $@

$(BUILD)/tests/serve_unit_tests: $(call unit_objects,mailer/serve/%) $(BUILD)/tests/unit/main.o $(SERVE_OBJECTS) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ -lcppunit $(SERVE_LIBS) $(LIBS) -o $@

$(BUILD)/tests/unit_tests: $(call unit_objects,$(COMMON_ROOMS) $(MAILER_ROOMS) mailer/secure) $(BUILD)/tests/unit/main.o $(call objects,mailer/secure) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ -lcppunit $(SECURE_LIBS) $(LIBS) -o $@

$(BUILD)/tests/play_dialogues: $(call objects,tests/dialogues) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -o $@

$(BUILD)/tests/store: $(call objects,tests/peers/store)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ -o $@

$(BUILD)/tests/ask_routes: $(call objects,tests/routes) $(call objects,mailer/serve/ldap) $(LIBRARIES)
	@mkdir -p $(@D)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -lldap -llber -o $@

$(BUILD)/tests/fuzz/replay_message: $(BUILD)/tests/fuzz/milter/fuzz_message.o $(BUILD)/tests/fuzz/replay.o $(MILTER_LIBRARIES)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -o $@

$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(LIBRARIES)
	$(call say,LD $@)$(LINK) $^ $(LIBS) -o $@

tests: all $(TEST_PROGRAMS)

deps:
	@sh tests/deps.sh packages.txt

# A suite ends with "N passed, N failed"; tally runs the suites, adds up, and ends the same way.
check: tests
	@tests/tally tests/check.suites BUILD=$(BUILD)

e2e: tests tsan-milter
	@tests/tally tests/e2e.suites BUILD=$(BUILD)

test: deps
	@$(MAKE) --no-print-directory tests tsan-milter
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

demo: deps
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

# libFuzzer is clang's; the product's objects are compiled once more for it.
FUZZ_SECONDS ?= 60
fuzz: $(FUZZERS:%=fuzz-%) fuzz-message
fuzz-%:
	@$(MAKE) --no-print-directory CXX=clang++ SANITIZE=fuzzer-no-link,address,undefined BUILD=build/fuzz \
	  build/fuzz/tests/fuzz/fuzz_$*
	@mkdir -p build/fuzz/corpus_$*
	build/fuzz/tests/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	  build/fuzz/corpus_$* tests/fuzz/corpus/$*
$(BUILD)/tests/fuzz/fuzz_message: $(BUILD)/tests/fuzz/milter/fuzz_message.o $(MILTER_LIBRARIES)
	$(call say,LD $@)$(LINK) -fsanitize=fuzzer $^ $(LIBS) -o $@
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(LIBRARIES)
	$(call say,LD $@)$(LINK) -fsanitize=fuzzer $^ $(LIBS) -o $@

FORMATTED := $(shell find common mailer milter tests -name '*.h' -o -name '*.cpp')
format:
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run -Werror $(FORMATTED)
lint: format-check
	clang-tidy --quiet $(foreach room,$(ROOMS),$(call sources,$(room))) -- \
	  -std=c++20 $(NEEDED_CPPFLAGS) -DLMTPQ_BUILD='""'

SHARE := $(DESTDIR)$(PREFIX)/share
LIB   := $(DESTDIR)$(PREFIX)/lib
install: all
	install -d $(DESTDIR)$(PREFIX)/libexec/lmtpq $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/sbin \
	  $(SHARE)/lmtpq $(SHARE)/doc/lmtpq $(SHARE)/man/man8 $(SHARE)/man/man5 \
	  $(LIB)/systemd/system $(LIB)/sysusers.d $(LIB)/tmpfiles.d
	install -m 755 $(BUILD)/lmtpq $(BUILD)/lmtpq-serve $(BUILD)/lmtpq-secure.so $(DESTDIR)$(PREFIX)/libexec/lmtpq/
	install -m 755 $(BUILD)/lmtpq-milter $(DESTDIR)$(PREFIX)/sbin/lmtpq-milter
	ln -sf ../libexec/lmtpq/lmtpq $(DESTDIR)$(PREFIX)/bin/lmtpq
	cp -R cf $(SHARE)/lmtpq/
	install -m 644 docs/DAEMON.md docs/METRICS.md docs/ROUTING.md docs/TLS.md docs/TAG.md \
	  $(SHARE)/doc/lmtpq/
	install -m 644 docs/man/lmtpq.8 docs/man/lmtpq-milter.8 $(SHARE)/man/man8/
	install -m 644 docs/man/lmtpq.conf.5 $(SHARE)/man/man5/
	install -m 644 dist/grafana/lmtpq.json $(SHARE)/lmtpq/
	install -m 644 dist/systemd/* $(LIB)/systemd/system/
	install -m 644 dist/sysusers.d/lmtpq.conf $(LIB)/sysusers.d/
	install -m 644 dist/tmpfiles.d/lmtpq.conf $(LIB)/tmpfiles.d/
	find $(SHARE)/lmtpq/cf $(SHARE)/doc/lmtpq $(SHARE)/man/man[58]/lmtpq* $(LIB)/systemd/system/lmtpq* -type f \
	  -exec sed -i 's|/usr/local|$(PREFIX)|g' {} +

clean:
	rm -rf build

# Skip build/patches: Sendmail's source contains unrelated *.d files.
-include $(shell find $(BUILD) -path $(BUILD)/patches -prune -o -name '*.d' -print 2>/dev/null)
